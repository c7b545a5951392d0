package proxy_test

import (
	"crypto/tls"
	"strings"
	"testing"
	"time"

	"github.com/valor-ivx/weir/upstream"
)

// TestSlowConnectTakesNothingFromWriting: a connection that took longer to make than a write may take is written to all the same.
func TestSlowConnectTakesNothingFromWriting(t *testing.T) {
	t.Parallel()
	cert, _ := certificate(t)
	const idle = 1500 * time.Millisecond
	up := newPeer(t, func(c *wire) {
		pass(2 * idle)
		secure := tls.Server(c.Conn, &tls.Config{Certificates: []tls.Certificate{cert}})
		if secure.Handshake() != nil {
			return
		}
		if w := newWire(secure, nil); w.head() != "" {
			w.send(ok)
		}
	})
	o := defaults(up.address)
	o.transport = upstream.Transport{TLS: true, Insecure: true, ServerName: "a"}
	o.idle = idle
	e := newEdge(t, o)
	if h := e.say(get).head(); !strings.HasPrefix(h, "HTTP/1.1 200 ") {
		t.Errorf("head %q", h)
	}
	e.logged(200, "", 1)
}
