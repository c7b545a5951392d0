package admin_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/valor-ivx/weir/proxy/admin"
)

// tapped is the next event of a tap.
func (w *stream) tapped() (e admin.TapEvent) {
	w.Helper()
	for w.lines.Scan() {
		if data, ok := strings.CutPrefix(w.lines.Text(), "data: "); ok {
			if err := json.Unmarshal([]byte(data), &e); err != nil {
				w.Fatal(err)
			}
			return e
		}
	}
	w.Fatal("the tap has ended")
	return e
}

// untapped is the wait for a tap to be closed; its bound is a guard.
func (f *fakeControl) awaitUntapped(t *testing.T) {
	t.Helper()
	select {
	case <-f.untapped:
	case <-time.After(time.Minute):
		t.Fatal("no tap was closed")
	}
}

// TestTap: the first event says that requests are seen from now on; then there is one for each, with what was missed.
func TestTap(t *testing.T) {
	s := serve(t, admin.Options{})
	w := s.stream("/v1/tap?service=api&route=r&group=green&method=GET&path=/a&client=10.1.2.3/8&status=5xx&min_duration=20ms&header=X-Test&failed")
	if e := w.tapped(); e.Request != nil || e.Missed != 0 {
		t.Fatalf("%+v", e)
	}
	for _, missed := range []uint64{0, 7} {
		s.control.tapped <- missed
		e := w.tapped()
		if e.Missed != missed || e.Request == nil || e.Request.Status != 200 {
			t.Fatalf("%+v", e)
		}
		if want := "{Slow:false Failed:true Service:api Route:r Group:green Method:GET Path:/a Client:10.0.0.0/8 Status:5 MinDuration:20ms Header:X-Test ID: Limit:0}"; e.Request.Path != want {
			t.Errorf("asked for\n%s, want\n%s", e.Request.Path, want)
		}
	}
	w.leave()
	s.control.awaitUntapped(t)
}

func TestTapParameters(t *testing.T) {
	s := serve(t, admin.Options{})
	for query, want := range map[string]string{
		"client=::ffff:10.1.2.3": "Client:10.1.2.3/32", "client=2001:db8::1/64": "Client:2001:db8::/64", "status=404": "Status:404", "status=1XX": "Status:1", "": "Status:0",
	} {
		w := s.stream("/v1/tap?" + query)
		w.tapped()
		s.control.tapped <- 0
		if e := w.tapped(); !strings.Contains(e.Request.Path, want) {
			t.Errorf("%s: %s", query, e.Request.Path)
		}
		w.leave()
		s.control.awaitUntapped(t)
	}
	for _, bad := range []string{
		"stauts=5xx", "status=6xx", "status=0xx", "status=xx", "status=99", "status=600", "status=5", "status=-1", "status=05x", "status=+404", "status=5xxx", "client=x", "client=10.0.0.0/33",
		"min_duration=5", "min_duration=-1s", "path=a", "path=/" + strings.Repeat("a", admin.MostPath), "header=", "header=a%20b", "failed=maybe", "limit=5", "slow", "id=1",
	} {
		res, body := s.call("GET", "/v1/tap?"+bad, "")
		if res.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %s", bad, res.Status)
		}
		checkProblem(t, res, body)
	}
	for _, bad := range []string{"header=a", "status=x", "min_duration=x"} {
		if res, _ := s.call("GET", "/v1/requests?"+bad, ""); res.StatusCode != http.StatusBadRequest {
			t.Errorf("/v1/requests?%s: %s", bad, res.Status)
		}
	}
	if _, body := s.call("GET", "/v1/requests?id=abc&status=5xx&client=10.0.0.1", ""); !strings.Contains(body, "10.0.0.1/32 5 0s  abc 100}") {
		t.Error(body)
	}
}

func TestTapIsGuarded(t *testing.T) {
	s := serve(t, admin.Options{Token: "one"})
	if res, body := s.call("GET", "/v1/tap?token=one", ""); res.StatusCode != http.StatusUnauthorized {
		t.Fatal(res.Status, body)
	}
	if res, body := s.call("GET", "/v1/tap", "", "Authorization: Bearer one", "Sec-Fetch-Site: cross-site"); res.StatusCode != http.StatusForbidden {
		t.Fatal(res.Status, body)
	}
	s.control.full.Store(true)
	res, body := s.call("GET", "/v1/tap", "", "Authorization: Bearer one")
	if res.StatusCode != http.StatusServiceUnavailable {
		t.Fatal(res.Status, body)
	}
	checkProblem(t, res, body)
	s.control.full.Store(false)
	w := s.stream("/v1/tap", "Authorization: Bearer one")
	w.tapped()
	if err := s.server.SetToken("two"); err != nil {
		t.Fatal(err)
	}
	w.ended()
	s.control.awaitUntapped(t)
	w = s.stream("/v1/tap", "Authorization: Bearer two")
	w.tapped()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := s.server.Shutdown(ctx); err != nil {
		t.Fatalf("shutdown waits for a tap: %v", err)
	}
	w.ended()
	s.control.awaitUntapped(t)
}
