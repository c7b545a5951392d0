package proxy_test

import (
	"net"
	"testing"

	edgetls "github.com/valor-ivx/weir/tls"
)

// Whether a request belongs on its connection is looked up once per connection and host: what follows allocates nothing.
func TestDirectedAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	o := defaults(silentPeer(t).address)
	o.quiet, o.certificates = true, edgetls.NewManager().Store
	e := newEdge(t, o)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		conn, err := l.Accept()
		if err == nil {
			e.proxy.Serve(conn, e.listener, &edgetls.Session{Version: 0x0304, ServerName: "other.test"}) // TLS itself is not what is measured
		}
	}()
	e.address = l.Addr().String()
	x := newExchanger(t, e, browserGet)
	for range 100 {
		x.do()
	}
	if n := testing.AllocsPerRun(1000, x.do); n > 0 {
		t.Errorf("%v allocations per exchange", n)
	}
}
