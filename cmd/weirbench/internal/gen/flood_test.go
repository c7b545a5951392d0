package gen_test

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/valor-ivx/weir/cmd/weirbench/internal/gen"
)

// A flood is answered and never completes a handshake, so no request comes of it; established clients beside it are served, each on its one connection.
func TestFloodBesideSteadyClients(t *testing.T) {
	connections := make(map[string]bool)
	asked := make(chan string, 10000)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.RemoteAddr
		_, _ = io.WriteString(w, "ok")
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // it tells of every handshake that ends early
	s.StartTLS()
	defer s.Close()
	addr := netip.MustParseAddrPort(strings.TrimPrefix(s.URL, "https://"))
	steady := gen.Steady{Addr: addr, Path: "/", Conns: 3, Every: 10 * time.Millisecond}
	clients, err := steady.Dial(t.Context())
	defer steady.Close(clients)
	if err != nil {
		t.Fatal(err)
	}
	f, err := gen.StartFlood(t.Context(), addr, 4)
	if err != nil {
		t.Fatal(err)
	}
	latencies, err := steady.Run(clients, 300*time.Millisecond)
	for end := time.Now().Add(time.Minute); f.Done() == 0 && time.Now().Before(end); {
		runtime.Gosched()
	}
	f.Stop()
	if err != nil || len(latencies) != 90 {
		t.Errorf("%d requests, %v", len(latencies), err)
	}
	if f.Done() == 0 {
		t.Error("no hello was answered")
	}
	close(asked)
	for from := range asked {
		connections[from] = true
	}
	if len(connections) != 3 {
		t.Errorf("requests on %d connections", len(connections))
	}
}
