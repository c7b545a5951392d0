package http1_test

import (
	"crypto/tls"
	"net"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/valor-ivx/weir/proxy/http1"
	"github.com/valor-ivx/weir/proxy/message"
)

// overTLS joins a client and a ServerConn that has read one request.
func overTLS(t *testing.T, maxVersion uint16) (*tls.Conn, *net.TCPConn, *http1.ServerConn) {
	t.Helper()
	source := httptest.NewUnstartedServer(nil) // for its certificate
	source.StartTLS()
	t.Cleanup(source.Close)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	socket, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = socket.Close() })
	accepted, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	client := tls.Client(socket, &tls.Config{InsecureSkipVerify: true, MaxVersion: maxVersion})
	go func() { _, _ = client.Write([]byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n")) }()
	options := &http1.ServerOptions{Limits: http1.DefaultLimits(), HeaderTimeout: 5 * time.Second, IdleTimeout: 5 * time.Second}
	c := http1.NewServerConn(tls.Server(accepted, &tls.Config{Certificates: source.TLS.Certificates}), options)
	t.Cleanup(func() { _ = c.Close() })
	var req message.Request
	if err := c.Wait(time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := c.ReadRequest(&req); err != nil {
		t.Fatal(err)
	}
	return client, socket.(*net.TCPConn), c
}

// A client behind TLS that leaves is noticed while its answer is made, one that says more is not taken for gone, and what it said is read afterwards.
func TestClientGoneBehindTLS(t *testing.T) {
	const next = "GET /next HTTP/1.1\r\nHost: a\r\n\r\n"
	for name, c := range map[string]struct {
		do   func(*tls.Conn, *net.TCPConn) error
		gone bool
	}{
		"silent":             {func(*tls.Conn, *net.TCPConn) error { return nil }, false},
		"close_notify":       {func(c *tls.Conn, _ *net.TCPConn) error { return c.Close() }, true},
		"half-close":         {func(c *tls.Conn, _ *net.TCPConn) error { return c.CloseWrite() }, true},
		"end without notify": {func(_ *tls.Conn, s *net.TCPConn) error { return s.Close() }, true},
		"reset": {func(_ *tls.Conn, s *net.TCPConn) error {
			_ = s.SetLinger(0)
			return s.Close()
		}, true},
		"pipelined": {func(c *tls.Conn, _ *net.TCPConn) error {
			_, err := c.Write([]byte(next))
			return err
		}, false},
		"half a record": {func(_ *tls.Conn, s *net.TCPConn) error {
			_, err := s.Write([]byte{23, 3, 3, 0, 40, 1, 2, 3})
			return err
		}, false},
	} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			t.Run(name+", "+tls.VersionName(version), func(t *testing.T) {
				client, socket, server := overTLS(t, version)
				if err := c.do(client, socket); err != nil {
					t.Fatal(err)
				}
				// What was sent on loopback is at the other socket when the call returns, an end may take its packet's time.
				for deadline := time.Now().Add(60 * time.Second); server.ClientGone() != c.gone; {
					if !c.gone || time.Now().After(deadline) {
						t.Fatalf("gone: %t", !c.gone)
					}
				}
				if name != "pipelined" {
					return
				}
				for !server.Readable() { // until a look has taken the request in
					if server.ClientGone() {
						t.Fatal("gone: true")
					}
				}
				server.WriteHead(&message.Response{Status: 204}, nil, false)
				server.Finish(nil)
				if !server.EndExchange() {
					t.Fatal("the connection does not go on")
				}
				var req message.Request
				if err := server.Wait(time.Now()); err != nil {
					t.Fatal(err)
				}
				if err := server.ReadRequest(&req); err != nil || string(req.Path) != "/next" {
					t.Fatalf("read %q, %v", req.Path, err)
				}
			})
		}
	}
}
