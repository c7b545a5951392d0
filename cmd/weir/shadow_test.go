package main

import (
	"context"
	"fmt"

	"github.com/valor-ivx/weir/proxy/admin"
)

// The fake's shadow.

func (f *fakeControl) Shadow(name string) (admin.Shadow, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.shadow == nil || name != "api" {
		return admin.Shadow{}, admin.ErrNoShadow
	}
	return *f.shadow, nil
}

func (f *fakeControl) ResetShadow(_ context.Context, _ string, _ admin.Change) (before, after admin.Shadow, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	before = *f.shadow
	f.shadow = &admin.Shadow{From: "blue", To: "green", Share: 100, Rate: "10/s", State: "waiting", Reason: "the service is paused", Since: since}
	return before, *f.shadow, nil
}

// newShadow has found 22 places, the first one with a sample that would colour a terminal.
func newShadow() *admin.Shadow {
	s := &admin.Shadow{
		From: "blue", To: "green", Share: 150, Rate: "10/s", State: "asking", Since: since, Compared: 120, Differing: 30, Places: 1,
		Results: map[string]uint64{"same": 90, "differs": 30, "private": 7, "failed": 0},
		Differences: []admin.ShadowDifference{{
			Endpoint: "GET /api/users/*", Where: "$.items[].price", Compared: 100, Differing: 30, Noise: 1, Verdict: "differs",
			Samples: []admin.ShadowSample{{RequestID: "a", From: "12", To: "\x1b[31m12.5"}},
		}},
	}
	for i := range 21 {
		s.Differences = append(s.Differences, admin.ShadowDifference{Endpoint: "GET /", Where: fmt.Sprintf("$.noise%c", 'a'+i), Compared: 20, Noise: 20, Verdict: "noise"})
	}
	return s
}
