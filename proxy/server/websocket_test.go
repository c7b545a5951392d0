package server_test

//lint:file-ignore SA1019 x/net's Transport is the only client at hand that says :protocol

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha1"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	xhttp2 "golang.org/x/net/http2"
)

// socketTime bounds a test of sockets: they are seconds of computing, which a busy machine takes a minute for.
const socketTime = 5 * time.Minute

// overHTTP2 carries the opening GET of a WebSocket client as an extended CONNECT (RFC 8441), so that a real client speaks through a stream of HTTP/2.
type overHTTP2 struct {
	http.RoundTripper
	edit func(*http.Request) // of the CONNECT; may be nil
}

type streamBody struct {
	io.ReadCloser
	up *io.PipeWriter
}

func (b streamBody) Write(p []byte) (int, error) { return b.up.Write(p) }

func (b streamBody) Close() error { return errors.Join(b.up.Close(), b.ReadCloser.Close()) }

func (o overHTTP2) RoundTrip(req *http.Request) (*http.Response, error) {
	r, w := io.Pipe()
	connect := req.Clone(req.Context())
	connect.Method, connect.Body = http.MethodConnect, r
	key := req.Header.Get("Sec-WebSocket-Key")
	for _, name := range []string{"Connection", "Upgrade", "Sec-WebSocket-Key"} {
		connect.Header.Del(name)
	}
	connect.Header.Set(":protocol", "websocket")
	if o.edit != nil {
		o.edit(connect)
	}
	resp, err := o.RoundTripper.RoundTrip(connect)
	if err != nil || resp.StatusCode != http.StatusOK {
		_ = w.Close()
		return resp, err
	}
	if resp.Header.Get("Sec-WebSocket-Accept") != "" || resp.Header.Get("Upgrade") != "" {
		return nil, fmt.Errorf("fields of HTTP/1.1's handshake in %v", resp.Header)
	}
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	resp.StatusCode = http.StatusSwitchingProtocols
	resp.Header.Set("Connection", "Upgrade")
	resp.Header.Set("Upgrade", "websocket")
	resp.Header.Set("Sec-WebSocket-Accept", base64.StdEncoding.EncodeToString(sum[:]))
	resp.Body = streamBody{resp.Body, w}
	return resp, nil
}

// socketEdge is an edge before a WebSocket server, and a client of one HTTP/2 connection.
type socketEdge struct {
	*secureEdge
	tr    *xhttp2.Transport
	ended chan error // what the server's side of each socket ended with
}

func newSocketEdge(t *testing.T, serve func(*http.Request, *websocket.Conn) error, extra string) *socketEdge {
	t.Helper()
	dir := tempDir(t)
	ca := newIssuer(t, dir, "ca")
	s := &socketEdge{ended: make(chan error, 10)}
	s.secureEdge = newSecureEdge(t, dir, "", ca.server("a.test")+anyHost+extra, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/plain" {
			_, _ = io.WriteString(w, "no socket here")
			return
		}
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"chat.v2"}, CompressionMode: websocket.CompressionContextTakeover})
		if err != nil {
			s.ended <- err
			return
		}
		c.SetReadLimit(64 << 20)
		s.ended <- serve(r, c)
		_ = c.CloseNow()
	})
	s.tr = &xhttp2.Transport{TLSClientConfig: &tls.Config{ServerName: "a.test", RootCAs: ca.pool()}}
	t.Cleanup(s.tr.CloseIdleConnections)
	return s
}

// end is what the server's side of a socket ended with.
func (s *socketEdge) end(ctx context.Context, t *testing.T) error {
	t.Helper()
	select {
	case err := <-s.ended:
		return err
	case <-ctx.Done():
		t.Fatal("the server's side has not ended")
		return nil
	}
}

func (s *socketEdge) dial(ctx context.Context, path string, edit func(*http.Request)) (*websocket.Conn, *http.Response, error) {
	c, resp, err := websocket.Dial(ctx, "wss://"+s.secure+path, &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: overHTTP2{s.tr, edit}}, Subprotocols: []string{"chat.v1", "chat.v2"}, CompressionMode: websocket.CompressionContextTakeover,
	})
	if c != nil {
		c.SetReadLimit(64 << 20)
	}
	return c, resp, err
}

func echo(r *http.Request, c *websocket.Conn) error {
	for {
		kind, p, err := c.Read(r.Context())
		if err != nil {
			return err
		}
		if err := c.Write(r.Context(), kind, p); err != nil {
			return err
		}
	}
}

// TestWebSocketOverHTTP2: RFC 8441 from a real client to a real server: a thousand messages each way on several streams of one connection at once, large ones,
// subprotocol and extension agreed on, and a close that both sides see.
func TestWebSocketOverHTTP2(t *testing.T) {
	seen := make(chan http.Header, 10)
	s := newSocketEdge(t, func(r *http.Request, c *websocket.Conn) error {
		seen <- r.Header
		return echo(r, c)
	}, "")
	ctx, cancel := context.WithTimeout(t.Context(), socketTime)
	defer cancel()
	const sockets, messages = 4, 1000
	var all sync.WaitGroup
	for i := range sockets {
		all.Go(func() {
			c, resp, err := s.dial(ctx, "/chat?room=1", nil)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.CloseNow()
			if resp.ProtoMajor != 2 || c.Subprotocol() != "chat.v2" || !strings.Contains(resp.Header.Get("Sec-WebSocket-Extensions"), "permessage-deflate") {
				t.Errorf("%s %q %v", resp.Proto, c.Subprotocol(), resp.Header)
			}
			sent := make(chan error, 1)
			go func() { // without waiting for echoes: both directions are full at once
				for n := range messages {
					if err := c.Write(ctx, websocket.MessageText, fmt.Appendf(nil, "%d-%d", i, n)); err != nil {
						sent <- err
						return
					}
				}
				sent <- nil
			}()
			for n := range messages {
				if _, p, err := c.Read(ctx); err != nil || string(p) != fmt.Sprintf("%d-%d", i, n) {
					t.Errorf("socket %d, message %d: %q %v", i, n, p, err)
					return
				}
			}
			if err := <-sent; err != nil {
				t.Error(err)
			}
			if i == 0 {
				bigMessage(ctx, t, c)
			}
			if err := c.Close(4001, "enough"); err != nil {
				t.Errorf("close: %v", err)
			}
		})
	}
	all.Wait()
	if t.Failed() {
		return
	}
	for range sockets {
		if err := s.end(ctx, t); websocket.CloseStatus(err) != 4001 {
			t.Errorf("the server's side ended with %v", err)
		}
		h := <-seen
		if h.Get("X-Forwarded-Proto") != "https" || len(h.Values("Sec-WebSocket-Key")) != 1 || len(h.Get("X-Request-Id")) != 32 {
			t.Errorf("the upstream was told %v", h)
		}
	}
	s.expectMetrics(`weir_http2_streams_total 4`, `weir_http2_connections_total 1`)
}

// bigMessage sends more than every window and buffer on the way holds, before anything of it is read back.
func bigMessage(ctx context.Context, t *testing.T, c *websocket.Conn) {
	t.Helper()
	big := make([]byte, 8<<20)
	_, _ = rand.Read(big)
	sent := make(chan error, 1)
	go func() { sent <- c.Write(ctx, websocket.MessageBinary, big) }()
	_, p, err := c.Read(ctx)
	if err != nil || !bytes.Equal(p, big) {
		t.Errorf("big message: %d bytes, %v", len(p), err)
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
}

// TestWebSocketOverHTTP2Refused: what is no tunnel is an answer like any other, and nothing is left behind it on the connection.
func TestWebSocketOverHTTP2Refused(t *testing.T) {
	s := newSocketEdge(t, echo, "[limit.one]\nrate = \"1/h\"\nkey = \"route\"\n[[route]]\nname = \"limited\"\npath = \"/limited\"\nservice = \"api\"\nlimits = [\"one\"]\n"+
		"[[route]]\nname = \"only\"\nhost = [\"only.test\"]\nservice = \"api\"\n")
	ctx, cancel := context.WithTimeout(t.Context(), socketTime)
	defer cancel()
	for _, c := range []struct {
		name, path string
		edit       func(*http.Request)
		status     int
	}{
		{"an upstream that answers 200", "/plain", nil, http.StatusBadGateway},
		{"a server that refuses", "/chat", func(r *http.Request) { r.Header.Set("Sec-WebSocket-Version", "7") }, http.StatusBadRequest},
		{"an origin that the server refuses", "/chat", func(r *http.Request) { r.Header.Set("Origin", "https://evil.test") }, http.StatusForbidden},
		{"the first of a limit", "/limited", nil, http.StatusSwitchingProtocols},
		{"the second of a limit", "/limited", nil, http.StatusTooManyRequests},
		{"another protocol", "/chat", func(r *http.Request) { r.Header.Set(":protocol", "connect-udp") }, http.StatusNotImplemented},
		{"a plain CONNECT", "/chat", func(r *http.Request) { r.Header.Del(":protocol"); r.Host = "a.test:443" }, http.StatusMethodNotAllowed},
		{"a body's length", "/chat", func(r *http.Request) { r.ContentLength = 5 }, http.StatusBadRequest},
		{"a path that leaves the root", "/a/../../b", nil, http.StatusBadRequest},
	} {
		conn, resp, err := s.dial(ctx, c.path, c.edit)
		if conn != nil {
			_ = conn.CloseNow()
		}
		if resp == nil || resp.StatusCode != c.status {
			t.Errorf("%s: %v %v, want %d", c.name, resp, err, c.status)
		}
	}
	conn, _, err := s.dial(ctx, "/chat", func(r *http.Request) { r.Header.Set("Sec-WebSocket-Key", "the client's") })
	if err != nil {
		t.Fatalf("after all of them: %v", err)
	}
	_ = conn.CloseNow()
	s.expectMetrics(`weir_http2_connections_total 1`)
}

// TestWebSocketOverHTTP2Breaks: each side's end, clean or not, is the other's at once.
func TestWebSocketOverHTTP2Breaks(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), socketTime)
	defer cancel()
	die := make(chan struct{})
	s := newSocketEdge(t, func(r *http.Request, c *websocket.Conn) error {
		if r.URL.Path == "/dies" {
			<-die
			return c.CloseNow()
		}
		return echo(r, c)
	}, "")
	round := func(c *websocket.Conn) {
		t.Helper()
		if err := c.Write(ctx, websocket.MessageText, []byte("x")); err != nil {
			t.Fatal(err)
		}
		if _, _, err := c.Read(ctx); err != nil {
			t.Fatal(err)
		}
	}
	other, _, err := s.dial(ctx, "/other", nil)
	if err != nil {
		t.Fatal(err)
	}
	round(other)

	// The client ends its stream without a close frame: the upstream's connection goes, the other stream does not.
	c, _, err := s.dial(ctx, "/chat", nil)
	if err != nil {
		t.Fatal(err)
	}
	round(c)
	_ = c.CloseNow()
	if err := s.end(ctx, t); err == nil {
		t.Error("the upstream did not notice that the client had ended its stream")
	}
	round(other)

	// The upstream's connection ends without a close frame.
	c, _, err = s.dial(ctx, "/dies", nil)
	if err != nil {
		t.Fatal(err)
	}
	close(die)
	if _, _, err := c.Read(ctx); err == nil {
		t.Error("the client read on from an upstream that had gone")
	}
	_ = c.CloseNow()
	s.end(ctx, t)
	round(other)

	// The whole HTTP/2 connection goes.
	conn := dialTLS(t, s.secure, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}, ServerName: "a.test"})
	tr := &xhttp2.Transport{DialTLSContext: func(context.Context, string, string, *tls.Config) (net.Conn, error) { return conn, nil }}
	c, _, err = websocket.Dial(ctx, "wss://"+s.secure+"/chat", &websocket.DialOptions{HTTPClient: &http.Client{Transport: overHTTP2{tr, nil}}})
	if err != nil {
		t.Fatal(err)
	}
	round(c)
	_ = conn.NetConn().(*net.TCPConn).SetLinger(0)
	_ = conn.NetConn().Close()
	if err := s.end(ctx, t); err == nil {
		t.Error("the upstream did not notice that the client had gone")
	}
	_ = c.CloseNow()
	round(other)
	if err := other.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Error(err)
	}
	if err := s.end(ctx, t); websocket.CloseStatus(err) != websocket.StatusNormalClosure {
		t.Errorf("ended with %v", err)
	}
	s.expectMetrics(`weir_http_requests_in_flight 0`)
}

// TestWebSocketOverHTTP2HalfClose: an end of one direction is an end of that direction alone, both ways round; what an upstream does not prove opens nothing.
func TestWebSocketOverHTTP2HalfClose(t *testing.T) {
	dir := tempDir(t)
	ca := newIssuer(t, dir, "ca")
	ended := make(chan struct{})
	s := newSecureEdge(t, dir, "", ca.server("a.test")+anyHost, func(w http.ResponseWriter, r *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		key := r.Header.Get("Sec-WebSocket-Key")
		if r.URL.Path == "/liar" {
			key = "another"
		}
		sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
		_, _ = fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: %s\r\n\r\nearly,", base64.StdEncoding.EncodeToString(sum[:]))
		if r.URL.Path == "/upstream-first" {
			_, _ = io.WriteString(conn, "end")
			_ = conn.(*net.TCPConn).CloseWrite()
		}
		b, err := io.ReadAll(rw)
		_, _ = fmt.Fprintf(conn, "%d bytes, %v", len(b), err)
		if r.URL.Path == "/reset" {
			ended <- struct{}{}
		}
	})
	tr := &xhttp2.Transport{TLSClientConfig: &tls.Config{ServerName: "a.test", RootCAs: ca.pool()}}
	defer tr.CloseIdleConnections()
	open := func(path string) (*http.Response, *io.PipeWriter) {
		t.Helper()
		r, w := io.Pipe()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodConnect, "https://"+s.secure+path, r)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set(":protocol", "websocket")
		resp, err := tr.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		return resp, w
	}
	resp, w := open("/client-first")
	const size = 300_000
	if _, err := w.Write(make([]byte, size)); err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	if b, err := io.ReadAll(resp.Body); string(b) != fmt.Sprintf("early,%d bytes, <nil>", size) || err != nil {
		t.Errorf("client first: %q %v", b, err)
	}

	resp, w = open("/upstream-first")
	if b, err := io.ReadAll(resp.Body); string(b) != "early,end" || err != nil {
		t.Errorf("upstream first: %q %v", b, err)
	}
	if _, err := w.Write([]byte("still open")); err != nil {
		t.Errorf("the client's direction ended with the upstream's: %v", err)
	}
	_ = w.Close()

	resp, w = open("/reset")
	_ = resp.Body.Close() // by RST_STREAM: the client's direction has not ended
	<-ended
	_ = w.Close()

	resp, w = open("/liar")
	if resp.StatusCode != http.StatusBadGateway {
		t.Errorf("an upstream that has not understood: %s", resp.Status)
	}
	_ = w.Close()
	_ = resp.Body.Close()
	s.expectMetrics(`weir_http_requests_in_flight 0`)
}
