package http2_test

import (
	"bytes"
	"net"
	"testing"

	"github.com/valor-ivx/weir/proxy/http2"
)

// roomy is an end of a pipe that takes what it is told without waiting for its reader, as a socket does.
type roomy struct {
	net.Conn
	words  chan []byte
	closed chan struct{}
}

func newRoomy(conn net.Conn) *roomy {
	c := &roomy{conn, make(chan []byte, 1000), make(chan struct{})}
	go func() {
		for {
			select {
			case b := <-c.words:
				_, _ = conn.Write(b) // a reader that has gone hears no more, as behind a socket
			case <-c.closed:
				return
			}
		}
	}()
	return c
}

func (c *roomy) Write(b []byte) (int, error) {
	select {
	case c.words <- bytes.Clone(b):
		return len(b), nil
	case <-c.closed:
		return 0, net.ErrClosed
	}
}

func (c *roomy) Close() error {
	close(c.closed)
	return c.Conn.Close()
}

// bubbled serves one connection in a bubble of synctest, whose time passes by itself while everybody waits: bounds on time are tried exactly, and by no machine's pace. ended tells of its end.
func bubbled(t *testing.T, o *http2.Options, h http2.Handler) (r *raw, ended chan error) {
	t.Helper()
	client, server := net.Pipe()
	ended = make(chan error, 1)
	go func() { ended <- http2.Serve(server, o, h) }()
	return rawOn(t, newRoomy(client)), ended
}
