package http1_test

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/valor-ivx/weir/proxy/http1"
	"github.com/valor-ivx/weir/proxy/message"
)

// dial wires a client's socket through a ServerConn to a ClientConn and the upstream's socket, everything bounded.
func dial(t *testing.T) (client *net.TCPConn, s *http1.ServerConn, u *http1.ClientConn, up *net.TCPConn) {
	t.Helper()
	near, client := pair(t)
	upNear, up := pair(t)
	for _, c := range []net.Conn{client, up} {
		_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	}
	s = http1.NewServerConn(near, &http1.ServerOptions{Limits: http1.DefaultLimits(), IdleTimeout: 10 * time.Second, HeaderTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second})
	return client, s, http1.NewClientConn(upNear), up
}

// ask says a request and reads the answer's head.
func ask(t *testing.T, client, up net.Conn, s *http1.ServerConn, u *http1.ClientConn, request, answer string) (*message.Request, *message.Response) {
	t.Helper()
	var req message.Request
	var resp message.Response
	if _, err := io.WriteString(client, request); err != nil {
		t.Fatal(err)
	}
	if err := s.Wait(time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := s.ReadRequest(&req); err != nil {
		t.Fatal(err)
	}
	u.Begin()
	u.WriteHead(&req, req.Path, nil)
	u.Finish(nil)
	if _, err := io.WriteString(up, answer); err != nil {
		t.Fatal(err)
	}
	if err := u.ReadResponse(&resp, req.Method, req.Upgrade); err != nil {
		t.Fatal(err)
	}
	return &req, &resp
}

const get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

func TestTunnel(t *testing.T) {
	const upgrade = "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"
	const switched = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"
	client, s, u, up := dial(t)
	_, resp := ask(t, client, up, s, u, upgrade+"early from the client|", switched+"early from the upstream|")
	s.WriteHead(resp, nil, false)
	s.Flush()
	type counts struct{ up, down int64 }
	done := make(chan counts, 1)
	go func() {
		a, b := http1.Tunnel(s, u, nil)
		done <- counts{a, b}
	}()
	say := func(c net.Conn, text string) {
		if _, err := io.WriteString(c, text); err != nil {
			t.Error(err)
		}
	}
	hear := func(c net.Conn, want string) {
		t.Helper()
		p := make([]byte, len(want))
		if _, err := io.ReadFull(c, p); err != nil || string(p) != want {
			t.Errorf("%q, %v, want %q", p, err, want)
		}
	}
	end := func(c net.Conn) {
		t.Helper()
		if n, err := c.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Errorf("%d, %v, want the end", n, err)
		}
	}
	hear(up, "GET / HTTP/1.1\r\nHost: a\r\n\r\nearly from the client|")
	hear(client, "HTTP/1.1 101 Switching Protocols\r\n\r\nearly from the upstream|")
	say(client, "ping")
	hear(up, "ping")
	say(up, "pong")
	hear(client, "pong")
	_ = client.CloseWrite() // one side has said all; the other goes on
	end(up)
	say(up, "still here")
	hear(client, "still here")
	_ = up.CloseWrite()
	end(client)
	if got, want := <-done, (counts{int64(len("early from the client|ping")), int64(len("early from the upstream|pongstill here"))}); got != want {
		t.Errorf("moved %v, want %v", got, want)
	}
}

// TestTunnelBreaks: when one side is reset, the other is told and the tunnel ends.
func TestTunnelBreaks(t *testing.T) {
	client, s, u, up := dial(t)
	ask(t, client, up, s, u, "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n", "HTTP/1.1 101 Switching Protocols\r\n\r\n")
	done := make(chan struct{})
	go func() {
		http1.Tunnel(s, u, nil)
		close(done)
	}()
	_ = up.SetLinger(0)
	_ = up.Close()
	if _, err := io.ReadAll(client); err != nil && !errors.Is(err, net.ErrClosed) && strings.Contains(err.Error(), "timeout") {
		t.Error(err)
	}
	<-done
}

// TestErrorReachesSender: a client that is refused while it sends a mebibyte without reading hears the answer; closing on unread data would have destroyed it.
func TestErrorReachesSender(t *testing.T) {
	for _, head := range []string{
		"POST / HTTP/1.1\r\nHost : a\r\nContent-Length: 1000000\r\n\r\n",                    // refused head
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n",                     // refused body
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",            // broken body
		"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" + strings.Repeat(get, 100), // requests behind the last one
	} {
		client, s, _, _ := dial(t)
		sent := make(chan error, 1)
		go func() {
			_, err := io.WriteString(client, head+strings.Repeat("x", http1.LingerBytes-100<<10))
			_ = client.CloseWrite()
			sent <- err
		}()
		if err := s.Wait(time.Now()); err != nil {
			t.Fatal(err)
		}
		var req message.Request
		if err := s.ReadRequest(&req); err == nil && req.Framing == message.Chunked {
			if _, err := s.Body().Next(); err == nil {
				t.Fatal("the body was not refused")
			}
		}
		s.WriteHead(&message.Response{Status: 400}, []byte("Content-Length: 0\r\n"), true)
		s.Finish(nil)
		if s.EndExchange() {
			t.Error("another request may follow")
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := <-sent; err != nil {
			t.Errorf("%.60q: the client could not send: %v", head, err)
		}
		got, err := io.ReadAll(client)
		if err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 400 ") {
			t.Errorf("%.60q: %q, %v", head, got, err)
		}
		if s.HoldsBuffers() {
			t.Error("a closed connection holds a buffer")
		}
	}
}

// TestSenderIsHeardOut: while the body of a refused request may still come, the connection takes it for a moment, so that no reset overtakes the answer.
func TestSenderIsHeardOut(t *testing.T) {
	client, s, _, _ := dial(t)
	if _, err := io.WriteString(client, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if err := s.Wait(time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := s.ReadRequest(new(message.Request)); err != nil {
		t.Fatal(err)
	}
	s.WriteHead(&message.Response{Status: 413}, []byte("Content-Length: 0\r\n"), true)
	s.Finish(nil)
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	if got, err := io.ReadAll(client); err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 413 ") {
		t.Errorf("%q, %v", got, err)
	}
	for range 100 { // the first one to a closed socket would draw the reset, a later one feel it
		if _, err := client.Write(make([]byte, 1000)); err != nil {
			t.Fatalf("the client could not go on: %v", err)
		}
	}
	_ = client.CloseWrite()
	if err := <-closed; err != nil {
		t.Error(err)
	}
}

// TestIdleHoldsNothing looks at a connection that waits, before its first request and behind one, and at an upstream's at rest.
func TestIdleHoldsNothing(t *testing.T) {
	client, s, u, up := dial(t)
	if s.HoldsBuffers() || u.HoldsBuffers() {
		t.Error("a fresh connection holds a buffer")
	}
	for range 2 {
		_, resp := ask(t, client, up, s, u, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx")
		if _, err := byNext(s.Body()); err != nil {
			t.Fatal(err)
		}
		s.WriteHead(resp, nil, false)
		p, err := u.Body().Next()
		if err != nil {
			t.Fatal(err)
		}
		s.Write(p)
		s.Finish(nil)
		if !s.EndExchange() || !u.Reusable() {
			t.Fatal("a connection ended")
		}
		u.Idle()
		if s.HoldsBuffers() || u.HoldsBuffers() {
			t.Error("an idle connection holds a buffer")
		}
	}
	// While it waits it holds nothing either: a read that finds nothing gives its block back.
	near, _ := pair(t)
	s = http1.NewServerConn(near, &http1.ServerOptions{IdleTimeout: 20 * time.Millisecond})
	if err := s.Wait(time.Now()); err != http1.ErrIdle {
		t.Errorf("%v", err)
	}
	if s.HoldsBuffers() {
		t.Error("a connection that waited in vain holds a buffer")
	}
}

// TestHeadTimeout: a head that does not end is 408, however slowly it comes; a connection on which nothing comes is idle.
func TestHeadTimeout(t *testing.T) {
	near, client := pair(t)
	s := http1.NewServerConn(near, &http1.ServerOptions{Limits: http1.DefaultLimits(), IdleTimeout: 20 * time.Millisecond, HeaderTimeout: 50 * time.Millisecond})
	if err := s.Wait(time.Now()); err != http1.ErrIdle {
		t.Errorf("silent: %v", err)
	}
	s = http1.NewServerConn(near, &http1.ServerOptions{Limits: http1.DefaultLimits(), IdleTimeout: 10 * time.Second, HeaderTimeout: 50 * time.Millisecond})
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		_, _ = io.WriteString(client, "GET / HTTP/1.1\r\nX: ")
		for tick := time.NewTicker(10 * time.Millisecond); ; {
			select {
			case <-tick.C:
				_, _ = io.WriteString(client, "x") // each byte alone is in time
			case <-stop:
				tick.Stop()
				return
			}
		}
	}()
	if err := s.Wait(time.Now()); err != nil {
		t.Fatal(err)
	}
	var refused *http1.Error
	if err := s.ReadRequest(new(message.Request)); !errors.As(err, &refused) || refused.Status != 408 {
		t.Errorf("slow: %v, want 408", err)
	}
}

// TestReadResponseResumes: a deadline inside a head is not its end.
func TestReadResponseResumes(t *testing.T) {
	_, _, u, up := dial(t)
	u.Begin()
	u.Finish(nil)
	var resp message.Response
	const raw = "HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 0\r\n\r\n"
	for i, part := range []string{raw[:5], raw[5:17], raw[17:]} {
		if _, err := io.WriteString(up, part); err != nil {
			t.Fatal(err)
		}
		last, patience := i == 2, 500*time.Millisecond // in which the part has to be read
		if last {
			patience = time.Minute
		}
		_ = u.Await(time.Now(), patience)
		err := u.ReadResponse(&resp, message.GET, false)
		if last && err != nil || !last && err != os.ErrDeadlineExceeded {
			t.Fatalf("part %d: %v", i, err)
		}
		if !u.Answered() {
			t.Errorf("part %d: not answered", i)
		}
	}
	if resp.Status != 200 || !u.Reusable() {
		t.Errorf("%d, reusable %t", resp.Status, u.Reusable())
	}
}

// TestFramingOut holds the framing of an answer for every client and every body, in bytes.
func TestFramingOut(t *testing.T) {
	for _, c := range []struct {
		name, request, answer, want string
		last                        bool
	}{
		{"length", get, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", false},
		{"chunks", get, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX: y\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX: y\r\n\r\n", false},
		{"chunks for HTTP/1.0", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX: y\r\n\r\n", "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhi", false},
		{"length for HTTP/1.0 that stays", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nhi", false},
		{"last", get, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi", true},
		{"HEAD", "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", false},
		{"304", get, "HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n", "HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n", false},
		{"204 loses its length", get, "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 204 No Content\r\n\r\n", false},
		{"fields of the connection", get, "HTTP/1.1 200 OK\r\nKeep-Alive: x\r\nProxy_Connection: x\r\nUpgrade: h2c\r\nTE: x\r\nX-Request-ID: forged\r\nX-A: b\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 200 OK\r\nX-A: b\r\nContent-Length: 0\r\n\r\n", false},
	} {
		client, s, u, up := dial(t)
		_, resp := ask(t, client, up, s, u, c.request, c.answer)
		s.WriteHead(resp, nil, c.last)
		body := u.Body()
		for !body.Complete() {
			p, err := body.Next()
			if err != nil && err != io.EOF {
				t.Fatal(c.name, err)
			}
			s.Write(p)
		}
		s.Finish(body.Trailers())
		_ = s.Conn().Close()
		if got, err := io.ReadAll(client); err != nil || string(got) != c.want {
			t.Errorf("%s:\n got  %q, %v\n want %q", c.name, got, err, c.want)
		}
	}
}

// TestInterim: an interim answer goes out at once, without a length, and never to HTTP/1.0.
func TestInterim(t *testing.T) {
	for _, c := range []struct{ request, want string }{
		{get, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"},
		{"GET / HTTP/1.0\r\n\r\n", ""},
	} {
		client, s, u, up := dial(t)
		_, resp := ask(t, client, up, s, u, c.request, "HTTP/1.1 103 Early Hints\r\nContent-Length: 0\r\nLink: </a>\r\n\r\n")
		s.WriteInterim(resp)
		_ = s.Conn().Close()
		if got, err := io.ReadAll(client); err != nil || string(got) != c.want {
			t.Errorf("%q, %v, want %q", got, err, c.want)
		}
	}
}
