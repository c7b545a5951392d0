package server

import (
	"math"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valor-ivx/weir/proxy"
)

// TestShareWindow: the observed share follows what is assigned, forgets by half in half a minute, and begins anew with the weights.
func TestShareWindow(t *testing.T) {
	var assigned [2]atomic.Uint64
	var shares [2]float64
	service := func(baseline [2]uint64) map[string]*proxy.Service {
		return map[string]*proxy.Service{"api": {Groups: []proxy.Group{
			{Name: "blue", Assigned: &assigned[0], Baseline: baseline[0]}, {Name: "green", Assigned: &assigned[1], Baseline: baseline[1]},
		}}}
	}
	var w shareWindows
	now := time.Unix(1000, 0)
	look := func(after time.Duration, services map[string]*proxy.Service) {
		now = now.Add(after)
		w.look(now, services, func(g *proxy.Group, share float64) {
			if g.Name == "blue" {
				shares[0] = share
			} else {
				shares[1] = share
			}
		})
	}
	holds := func(what string, blue float64) {
		t.Helper()
		if math.Abs(shares[0]-blue) > 1e-9 || shares[0]+shares[1] != 0 && math.Abs(shares[0]+shares[1]-1) > 1e-9 {
			t.Errorf("%s: %v, want blue %v", what, shares, blue)
		}
	}
	first := service([2]uint64{})
	look(0, first)
	holds("nothing yet", 0)
	assigned[0].Add(75)
	assigned[1].Add(25)
	look(time.Second, first)
	holds("75 of 100", 0.75)
	look(time.Hour, first)
	holds("nothing new for long", 0.75)
	assigned[0].Add(100)
	look(time.Second, first)
	if shares[0] < 0.999 {
		t.Errorf("what was long ago counts: %v", shares)
	}
	assigned[1].Add(50)
	look(30*time.Second, first) // blue's 100 count 50 by now
	if math.Abs(shares[0]-0.5) > 0.001 {
		t.Errorf("half after half a minute: %v", shares)
	}
	second := service([2]uint64{assigned[0].Load(), assigned[1].Load()})
	look(time.Second, second)
	holds("other weights", 0)
	assigned[1].Add(10)
	look(time.Second, second)
	holds("under the other weights", 0)
}
