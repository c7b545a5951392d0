package gen_test

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/quic-go/http3"

	"github.com/valor-ivx/weir/cmd/weirbench/internal/gen"
)

func quick(t *testing.T, h http.HandlerFunc) netip.AddrPort {
	t.Helper()
	borrowed := httptest.NewTLSServer(nil) // for its certificate
	borrowed.Close()
	socket, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	s := &http3.Server{Handler: h, TLSConfig: http3.ConfigureTLSConfig(&tls.Config{Certificates: borrowed.TLS.Certificates})}
	var served sync.WaitGroup
	served.Go(func() { _ = s.Serve(socket) }) // ends with Close
	t.Cleanup(func() {
		_ = s.Close()
		served.Wait()
		_ = socket.Close()
	})
	return netip.MustParseAddrPort(socket.LocalAddr().String())
}

// Every answer that is counted came by HTTP/3, on as many connections as were asked for, with no more requests at a time than were.
func TestH3IsCounted(t *testing.T) {
	const conns, streams = 3, 4
	var requests, now, most, wrong atomic.Int64
	var peers sync.Map
	addr := quick(t, func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		if n := now.Add(1); n > most.Load() {
			most.Store(n) // a peak that another one hides is as high
		}
		defer now.Add(-1)
		peers.Store(r.RemoteAddr, true)
		if r.ProtoMajor != 3 || r.URL.Path != "/small" || r.TLS.CurveID != tls.X25519 {
			wrong.Add(1)
		}
		w.Header().Set("Content-Length", "5")
		io.WriteString(w, "hello")
	})
	h := gen.StartH3(t.Context(), addr, "/small", conns, streams)
	used, n, err := h.Window(t.Context(), 2*time.Second, cost())
	if err != nil || used != time.Second || n < conns*streams {
		t.Errorf("Window = %v, %d, %v", used, n, err)
	}
	if err := h.Stop(); err != nil {
		t.Error(err)
	}
	different := 0
	peers.Range(func(any, any) bool { different++; return true })
	if wrong.Load() > 0 || different != conns || most.Load() > conns*streams {
		t.Errorf("%d wrong, %d connections, %d at a time", wrong.Load(), different, most.Load())
	}
	// What Stop cut off was asked but not counted.
	if d := requests.Load() - h.Done(); d < 0 || d > conns*streams {
		t.Errorf("%d requests, %d counted", requests.Load(), h.Done())
	}
}

func TestH3ReportsWhatIsNoMeasure(t *testing.T) {
	for name, c := range map[string]struct {
		addr netip.AddrPort
		says string
	}{
		"bad status": {quick(t, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "busy", http.StatusServiceUnavailable) }), "status 503"},
		"empty":      {quick(t, func(http.ResponseWriter, *http.Request) {}), "0 bytes"},
		"cut": {quick(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "9")
			panic(http.ErrAbortHandler)
		}), "by HTTP/3"},
		"no QUIC": {nobody(t), "by HTTP/3"},
	} {
		t.Run(name, func(t *testing.T) {
			h := gen.StartH3(t.Context(), c.addr, "/", 2, 2)
			_, _, err := h.Window(t.Context(), time.Minute, cost())
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("Window = %v", err)
			}
			_ = h.Stop() // the other workers may have met the same, or not yet
			if h.Done() != 0 {
				t.Errorf("%d counted", h.Done())
			}
		})
	}
}
