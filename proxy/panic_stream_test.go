package proxy_test

import (
	"bytes"
	"crypto/tls"
	"io"
	"net/http"
	"testing"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/valor-ivx/weir/proxy"
	"github.com/valor-ivx/weir/proxy/limit"
	edgetls "github.com/valor-ivx/weir/tls"
	"github.com/valor-ivx/weir/upstream"
)

// http3Client serves the edge by HTTP/3 on a port of its own and returns a client that speaks nothing else.
func http3Client(t testing.TB, e *edge) (*http.Client, string) {
	t.Helper()
	cert, pool := certificate(t)
	listener := &proxy.Listener{Name: "https", Scheme: "https", Port: "443", Metrics: e.metrics.Listener("http")}
	l, err := quic.ListenAddrEarly("127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h3"}, MinVersion: tls.VersionTLS13}, e.proxy.QUIC(listener, false))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept(t.Context())
			if err != nil {
				return
			}
			go e.proxy.ServeHTTP3(conn, listener, &edgetls.Session{Version: tls.VersionTLS13})
		}
	}()
	transport := &http3.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	t.Cleanup(func() { _ = transport.Close() })
	return &http.Client{Transport: transport, Timeout: patienceOfTests}, "https://" + l.Addr().String()
}

// TestPanicInAStreamKeepsTheBooks: as TestPanicKeepsTheBooks, for requests that share a connection: a bug in one costs that stream, and the next is served.
func TestPanicInAStreamKeepsTheBooks(t *testing.T) {
	for name, clientOf := range map[string]func(testing.TB, *edge) (*http.Client, string){
		"HTTP/2": func(t testing.TB, e *edge) (*http.Client, string) { return http2Client(t, e) },
		"HTTP/3": http3Client,
	} {
		for body, size := range map[string]int{"GET": 0, "PUT": 100 << 10} {
			t.Run(name+" "+body, func(t *testing.T) {
				clock := &brokenClock{}
				o := defaults(backend(t, func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
				o.breaker = &upstream.BreakerOptions{MaxRequests: 1, MaxQueue: 1, QueueTimeout: patienceOfTests}
				o.clock = clock.read
				e := newEdge(t, o)
				gates := limit.NewRegistry(1000)
				e.gating(gates, 1, false)
				client, base := clientOf(t, e)
				ask := func() error {
					req, _ := http.NewRequest(body, base+"/", bytes.NewReader(make([]byte, size)))
					resp, err := client.Do(req)
					if err == nil {
						_, err = io.Copy(io.Discard, resp.Body)
						_ = resp.Body.Close()
					}
					return err
				}
				for struck := true; struck; {
					clock.n++
					clock.readings.Store(0)
					clock.armed.Store(true)
					_ = ask()
					e.eventually("the exchange's end", func() bool { return e.counter("weir_http_requests_in_flight") == 0 })
					clock.armed.Store(false)
					e.inFlight(0)
					e.eventually("an empty gate", func() bool { return gates.Stats()[0].Running == 0 })
					struck = clock.readings.Load() >= clock.n
					if err := ask(); err != nil {
						t.Errorf("after a panic at reading %d: %v", clock.n, err)
					}
				}
				if clock.n < 6 {
					t.Errorf("the clock is read %d times only", clock.n-1)
				}
				if n := e.counter("weir_connections_accepted_total"); n != 1 && name == "HTTP/2" { // quic-go's client opens another one after an error
					t.Errorf("%v connections", n)
				}
			})
		}
	}
}
