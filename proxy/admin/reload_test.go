package admin_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/valor-ivx/weir/proxy/admin"
)

// TestReloadToBeConfirmed: the time is read strictly; to confirm or take back what nobody waits for is a conflict; all of it is audited.
func TestReloadToBeConfirmed(t *testing.T) {
	s := serve(t, admin.Options{})
	for _, c := range []struct {
		method, path string
		status       int
		contains     string
		confirm      time.Duration // that the Control was given last
	}{
		{"POST", "/v1/reload/confirm", http.StatusConflict, "does not wait to be confirmed", 0},
		{"DELETE", "/v1/reload", http.StatusConflict, "does not wait to be confirmed", 0},
		{"POST", "/v1/reload?confirm=60s", http.StatusOK, `"generation":2`, time.Minute},
		{"POST", "/v1/reload/confirm", http.StatusOK, `"unchanged":true`, 0},
		{"POST", "/v1/reload?confirm=1h30m", http.StatusOK, `"generation":2`, 90 * time.Minute},
		{"DELETE", "/v1/reload", http.StatusOK, `"generation":3`, 0},
		{"POST", "/v1/reload", http.StatusOK, `"generation":2`, 0},
		{"POST", "/v1/reload?confirm=", http.StatusBadRequest, "it is a duration", 0},
		{"POST", "/v1/reload?confirm=60", http.StatusBadRequest, "it is a duration", 0},
		{"POST", "/v1/reload?confirm=999ms", http.StatusBadRequest, "from 1s to 24h", 0},
		{"POST", "/v1/reload?confirm=24h1s", http.StatusBadRequest, "from 1s to 24h", 0},
		{"GET", "/v1/reload/confirm", http.StatusMethodNotAllowed, "POST", 0},
	} {
		res, body := s.call(c.method, c.path, "")
		if res.StatusCode != c.status || !strings.Contains(body, c.contains) {
			t.Errorf("%s %s: %s %s", c.method, c.path, res.Status, body)
		}
		s.control.mu.Lock()
		if s.control.confirm != c.confirm {
			t.Errorf("%s %s: asked to be confirmed within %s, want %s", c.method, c.path, s.control.confirm, c.confirm)
		}
		s.control.mu.Unlock()
	}
	if n := len(s.audit.FilterMessage("write done").All()); n != 5 {
		t.Errorf("%d lines of writes done", n)
	}
	if n := len(s.audit.FilterMessage("write refused").All()); n != 6 {
		t.Errorf("%d lines of writes refused", n)
	}
}
