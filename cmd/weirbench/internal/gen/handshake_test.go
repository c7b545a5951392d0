package gen_test

import (
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valor-ivx/weir/cmd/weirbench/internal/gen"
)

func secure(t *testing.T, h http.Handler, h2 bool) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.EnableHTTP2 = h2
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

func addrOf(s *httptest.Server) netip.AddrPort {
	return netip.MustParseAddrPort(s.Listener.Addr().String())
}

// cost grows by the reading.
func cost() func() (time.Duration, error) {
	var d time.Duration
	return func() (time.Duration, error) { d += time.Second; return d, nil }
}

// Every counted connection was a full handshake of the one kind, with one request that asked for its end.
func TestHandshakesAreFullAndCounted(t *testing.T) {
	var requests, wrong atomic.Int64
	s := secure(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		if c := r.TLS; c.DidResume || c.Version != tls.VersionTLS13 || c.CurveID != tls.X25519 || !r.Close || r.ProtoMajor != 1 {
			wrong.Add(1)
		}
		io.WriteString(w, "hello")
	}), true)
	h := gen.StartHandshakes(t.Context(), addrOf(s), "/", 4)
	used, n, err := h.Window(t.Context(), 300*time.Millisecond, cost())
	if err != nil || used != time.Second || n < 4 {
		t.Errorf("Window = %v, %d, %v", used, n, err)
	}
	if err := h.Stop(); err != nil {
		t.Error(err)
	}
	if wrong.Load() > 0 {
		t.Errorf("%d of %d connections were of another kind", wrong.Load(), requests.Load())
	}
	// A connection is counted at its end; what Stop cut off was asked but not counted.
	if d := requests.Load() - h.Done(); d < 0 || d > 4 {
		t.Errorf("%d requests, %d counted", requests.Load(), h.Done())
	}
}

func TestHandshakesReportWhatIsNoMeasure(t *testing.T) {
	hello := func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") }
	busy := secure(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "busy", http.StatusServiceUnavailable) }), false)
	plain := httptest.NewServer(http.HandlerFunc(hello))
	defer plain.Close()
	old := httptest.NewUnstartedServer(http.HandlerFunc(hello))
	old.TLS = &tls.Config{MaxVersion: tls.VersionTLS12}
	old.StartTLS()
	defer old.Close()
	chunked := secure(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "hel")
		w.(http.Flusher).Flush()
	}), false)
	for name, c := range map[string]struct {
		addr netip.AddrPort
		says string
	}{
		"bad status": {addrOf(busy), "status 503"},
		"no TLS":     {addrOf(plain), "TLS"},
		"TLS 1.2":    {addrOf(old), "protocol version"},
		"no length":  {addrOf(chunked), "no Content-Length"},
		"gone":       {nobody(t), "refused"},
	} {
		t.Run(name, func(t *testing.T) {
			h := gen.StartHandshakes(t.Context(), c.addr, "/", 2)
			_, _, err := h.Window(t.Context(), time.Minute, cost())
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("Window = %v", err)
			}
			_ = h.Stop() // the other worker may have met the same, or not yet
			if h.Done() != 0 {
				t.Errorf("%d counted", h.Done())
			}
		})
	}
}
