package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// keptAlive is one client connection that must never be closed under it.
type keptAlive struct {
	conn net.Conn
	r    *bufio.Reader
}

func dialKept(t *testing.T, address string) *keptAlive {
	t.Helper()
	conn, err := net.DialTimeout("tcp", address, 60*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &keptAlive{conn, bufio.NewReader(conn)}
}

// do sends one request and reads its answer whole. An answer that announces the connection's end is an error.
func (k *keptAlive) do(method, path, body string) (*http.Response, string, error) {
	_ = k.conn.SetDeadline(time.Now().Add(60 * time.Second)) // fails only on a closed connection, which the write will find
	length := ""
	if body != "" {
		length = fmt.Sprintf("Content-Length: %d\r\n", len(body))
	}
	if _, err := fmt.Fprintf(k.conn, "%s %s HTTP/1.1\r\nHost: e2e.test\r\n%s\r\n%s", method, path, length, body); err != nil {
		return nil, "", fmt.Errorf("write: %w", err)
	}
	res, err := http.ReadResponse(k.r, &http.Request{Method: method})
	if err != nil {
		return nil, "", fmt.Errorf("read head: %w", err)
	}
	b, err := io.ReadAll(res.Body)
	if err == nil && res.Close {
		err = fmt.Errorf("connection closed after %s", res.Status)
	}
	return res, string(b), err
}

// load is constant traffic over connections that are never given up. Whatever is not a 200 with the right body on the same connection is a failure.
type load struct {
	t        *testing.T
	quit     chan struct{}
	running  sync.WaitGroup
	requests atomic.Int64
	longest  atomic.Int64 // ns

	mu       sync.Mutex // guards failures
	failures []string
}

// newLoad keeps requests of the given methods coming on each of n connections, until stop.
func newLoad(t *testing.T, address string, n int, methods ...string) *load {
	t.Helper()
	l := &load{t: t, quit: make(chan struct{})}
	for i := range n {
		k := dialKept(t, address)
		l.running.Go(func() { l.run(k, i, methods) })
	}
	return l
}

func (l *load) run(k *keptAlive, i int, methods []string) {
	pace := time.NewTicker(4 * time.Millisecond) // steady, and leaves the machine room for what is under test
	defer pace.Stop()
	for n := 0; ; n++ {
		select {
		case <-l.quit:
			return
		case <-pace.C:
		}
		method, body := methods[n%len(methods)], ""
		if method != http.MethodGet {
			body = fmt.Sprintf("connection %d request %d %s", i, n, strings.Repeat("x", 200))
		}
		from := time.Now()
		res, got, err := k.do(method, fmt.Sprintf("/load/%d/%d", i, n), body)
		took := int64(time.Since(from))
		for {
			if longest := l.longest.Load(); took <= longest || l.longest.CompareAndSwap(longest, took) {
				break
			}
		}
		l.requests.Add(1)
		switch {
		case err != nil:
			l.fail("%s %d on connection %d: %v", method, n, i, err)
			return // the connection is gone: there is nothing to go on with
		case res.StatusCode != http.StatusOK || !strings.HasSuffix(got, " "+body):
			l.fail("%s %d on connection %d: %s %.100q", method, n, i, res.Status, got)
		}
	}
}

func (l *load) fail(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failures = append(l.failures, time.Now().Format("15:04:05.000 ")+fmt.Sprintf(format, args...))
}

// after waits until n more requests were answered.
func (l *load) after(n int64) {
	l.t.Helper()
	target := l.requests.Load() + n
	eventually(l.t, 30*time.Second, "load goes on", func() bool { return l.requests.Load() >= target || l.lost() > 0 })
}

func (l *load) lost() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.failures)
}

// stop ends the load and holds it to not one failure.
func (l *load) stop() int64 {
	l.t.Helper()
	close(l.quit)
	l.running.Wait()
	for i, f := range l.failures {
		if i == 10 {
			l.t.Errorf("… and %d more", len(l.failures)-i)
			break
		}
		l.t.Error(f)
	}
	return l.requests.Load()
}

// stream is something long-lived that must not end: an event stream or a WebSocket.
type stream struct {
	t    *testing.T
	conn net.Conn
	r    *bufio.Reader
	seen atomic.Int64
	bad  atomic.Pointer[string]
	done chan struct{}
}

// eventStream reads events and holds them to be without a gap.
func eventStream(t *testing.T, address string) *stream {
	t.Helper()
	s := dialStream(t, address, "GET /sse HTTP/1.1\r\nHost: e2e.test\r\n\r\n")
	res := s.response(http.StatusOK)
	lines := bufio.NewScanner(res.Body)
	go s.loop(func(n int64) error {
		for lines.Scan() {
			if line := lines.Text(); line == fmt.Sprintf("data: %d", n) {
				return nil
			} else if line != "" {
				return fmt.Errorf("event %q where %d was due", line, n)
			}
		}
		return fmt.Errorf("ended: %v", lines.Err())
	})
	return s
}

// webSocket sends a frame and waits for its echo, over and over.
func webSocket(t *testing.T, address string) *stream {
	t.Helper()
	const key = "dGhlIHNhbXBsZSBub25jZQ=="
	s := dialStream(t, address, "GET /ws HTTP/1.1\r\nHost: e2e.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "+key+"\r\n\r\n")
	if res := s.response(101); res.Header.Get("Sec-WebSocket-Accept") != acceptKey(key) {
		t.Fatalf("accept key %q", res.Header.Get("Sec-WebSocket-Accept"))
	}
	pace := time.NewTicker(10 * time.Millisecond)
	t.Cleanup(pace.Stop)
	go s.loop(func(n int64) error {
		payload := fmt.Appendf(nil, "frame %d", n)
		mask := [4]byte{1, 2, 3, byte(n)}
		frame := append([]byte{0x81, 0x80 | byte(len(payload))}, mask[:]...)
		for i, b := range payload {
			frame = append(frame, b^mask[i%4])
		}
		if _, err := s.conn.Write(frame); err != nil {
			return err
		}
		got, err := readFrame(s.r)
		if err == nil && !bytes.Equal(got, payload) {
			err = fmt.Errorf("echo %q of %q", got, payload)
		}
		<-pace.C
		return err
	})
	return s
}

func dialStream(t *testing.T, address, head string) *stream {
	t.Helper()
	k := dialKept(t, address)
	s := &stream{t: t, conn: k.conn, r: k.r, done: make(chan struct{})}
	if _, err := io.WriteString(s.conn, head); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *stream) response(want int) *http.Response {
	s.t.Helper()
	_ = s.conn.SetReadDeadline(time.Now().Add(60 * time.Second))
	res, err := http.ReadResponse(s.r, nil)
	if err != nil || res.StatusCode != want {
		s.t.Fatalf("stream: %v %v, want %d", res, err, want)
	}
	return res
}

func (s *stream) loop(next func(n int64) error) {
	defer close(s.done)
	for n := int64(0); ; n++ {
		_ = s.conn.SetDeadline(time.Now().Add(60 * time.Second))
		if err := next(n); err != nil {
			why := fmt.Sprintf("after %d: %v", n, err)
			s.bad.Store(&why)
			return
		}
		s.seen.Store(n + 1)
	}
}

// finish holds the stream to be alive, ends it and returns how much went through it.
func (s *stream) finish(what string) int64 {
	s.t.Helper()
	before := s.seen.Load()
	eventually(s.t, 10*time.Second, what+" still moves", func() bool { return s.seen.Load() > before || s.bad.Load() != nil })
	if why := s.bad.Load(); why != nil {
		s.t.Errorf("%s broke %s", what, *why)
	}
	_ = s.conn.Close()
	<-s.done
	return s.seen.Load()
}
