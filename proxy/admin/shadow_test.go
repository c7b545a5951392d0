package admin_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/valor-ivx/weir/proxy/admin"
)

func (f *fakeControl) Shadow(name string) (admin.Shadow, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case name != "api":
		return admin.Shadow{}, admin.ErrNotFound
	case f.shadow == nil:
		return admin.Shadow{}, admin.ErrNoShadow
	}
	return *f.shadow, nil
}

func (f *fakeControl) ResetShadow(_ context.Context, name string, c admin.Change) (before, after admin.Shadow, err error) {
	before, err = f.Shadow(name)
	switch {
	case err != nil:
		return before, before, err
	case !c.Match.Holds(before.Version):
		return before, before, admin.ErrConflict
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.shadow = &admin.Shadow{Version: "v2", From: "blue", To: "green", Since: start}
	return before, *f.shadow, nil
}

func TestShadowEndpoints(t *testing.T) {
	s := serve(t, admin.Options{})
	f := s.control
	const path = "/v1/services/api/shadow"
	if res, body := s.call("GET", path, ""); res.StatusCode != http.StatusNotFound || !strings.Contains(body, "has no shadow") {
		t.Errorf("without one: %d %s", res.StatusCode, body)
	}
	f.shadow = &admin.Shadow{Version: "v1", From: "blue", To: "green", Compared: 12, Differing: 3, Since: start}
	for _, c := range []struct {
		method, path, body, header string
		status                     int
		says                       string
	}{
		{"GET", path, "", "", http.StatusOK, `"compared":12`},
		{"GET", "/v1/services/web/shadow", "", "", http.StatusNotFound, "no such service"},
		{"POST", path, "", "", http.StatusMethodNotAllowed, "DELETE, GET, HEAD"},
		{"DELETE", path, `{"a":1}`, "", http.StatusBadRequest, "no body"},
		{"DELETE", path, "", `If-Match: "v0"`, http.StatusPreconditionFailed, "If-Match"},
		{"DELETE", path, "", `If-Match: "v1"`, http.StatusOK, `"compared":0`},
	} {
		header := []string{"Weir-Operator: ann"}
		if c.header != "" {
			header = append(header, c.header)
		}
		res, body := s.call(c.method, c.path, c.body, header...)
		if res.StatusCode != c.status || !strings.Contains(body, c.says) {
			t.Errorf("%s %s %s %s: %d %s, want %d and %q", c.method, c.path, c.body, c.header, res.StatusCode, body, c.status, c.says)
		}
	}
	if res, _ := s.call("GET", path, ""); res.Header.Get("ETag") != `"v2"` {
		t.Errorf("ETag %q", res.Header.Get("ETag"))
	}
	entries := s.audit.TakeAll()
	last := entries[len(entries)-1].ContextMap()
	if last["event.action"] != "reset shadow" || !strings.HasPrefix(last["weir.audit.before"].(string), "12 compared, 3 differing") || !strings.HasPrefix(last["weir.audit.after"].(string), "0 compared") {
		t.Errorf("audit %v", last)
	}
}
