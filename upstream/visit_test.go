package upstream_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/valor-ivx/weir/upstream"
)

// A visit is a plain GET that says what it is, and counts as nobody's request; what does not answer is an error.
func TestVisit(t *testing.T) {
	asked := make(chan *http.Request, 4)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r
		if r.URL.Path == "/bad" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(s.Close)
	r := upstream.NewRegistry(upstream.Options{})
	t.Cleanup(r.Close)
	address := strings.TrimPrefix(s.URL, "http://")
	pool, err := r.Acquire(upstream.PoolOptions{Targets: []upstream.Target{{Address: address, Weight: 1}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Release)
	peer := pool.Live().At(0)
	for path, want := range map[string]int{"/a%20b": http.StatusOK, "/bad": http.StatusServiceUnavailable} {
		status, err := peer.Visit(t.Context(), upstream.Visit{Host: "example.com:8443", Path: path, Secure: path == "/bad", Agent: "weir-prewarm"})
		if err != nil || status != want {
			t.Errorf("%s: %d, %v", path, status, err)
		}
		q := <-asked
		proto := map[bool]string{true: "https", false: "http"}[path == "/bad"]
		if q.Method != http.MethodGet || q.Host != "example.com:8443" || q.RequestURI != path || q.UserAgent() != "weir-prewarm" || q.Header.Get("X-Forwarded-Proto") != proto || q.Header.Get("X-Forwarded-Host") != q.Host {
			t.Errorf("%s %s %s %v", q.Method, q.Host, q.RequestURI, q.Header)
		}
	}
	if st := pool.Snapshot()[0]; st.Requests != 0 || st.Failures != 0 || st.InFlight != 0 {
		t.Errorf("%+v", st)
	}
	s.Close()
	if status, err := peer.Visit(t.Context(), upstream.Visit{Host: "a", Path: "/", Agent: "weir-prewarm"}); err == nil || status != 0 {
		t.Errorf("nobody is there: %d, %v", status, err)
	}
}
