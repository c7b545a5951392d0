package proxy_test

import (
	"bufio"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// patienceOfTests bounds every wait of a test: long enough for a crowded machine, and never part of a result.
const patienceOfTests = 2 * time.Minute

// peer is an upstream whose every byte the test decides.
type peer struct {
	address string
	conns   atomic.Int64 // accepted
	hits    atomic.Int64 // request heads read
	heads   chan string  // the first of them
}

// wire is one connection of a peer, or a raw client's.
type wire struct {
	net.Conn
	r    *bufio.Reader
	peer *peer
}

func newWire(c net.Conn, p *peer) *wire {
	_ = c.SetDeadline(time.Now().Add(patienceOfTests))
	return &wire{Conn: c, r: bufio.NewReaderSize(c, 64<<10), peer: p}
}

// newPeer runs serve on every connection and closes the connection when it returns.
func newPeer(t testing.TB, serve func(*wire)) *peer {
	t.Helper()
	l, err := listenTCP()
	if err != nil {
		t.Fatal(err)
	}
	p := &peer{address: l.Addr().String(), heads: make(chan string, 1024)}
	var running sync.WaitGroup
	var mu sync.Mutex
	open := map[net.Conn]bool{}
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			p.conns.Add(1)
			mu.Lock()
			open[c] = true
			mu.Unlock()
			running.Go(func() {
				serve(newWire(c, p))
				_ = c.Close()
				mu.Lock()
				delete(open, c)
				mu.Unlock()
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		mu.Lock()
		for c := range open {
			_ = c.Close()
		}
		mu.Unlock()
		running.Wait()
	})
	return p
}

// answering is a peer that keeps connections and says the same to every request without a body.
func answering(t testing.TB, response string) *peer {
	return newPeer(t, func(c *wire) {
		for c.head() != "" {
			c.send(response)
		}
	})
}

// deadAddress is one where nobody listens.
func deadAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// head reads a head, "" at the connection's end.
func (w *wire) head() string {
	var b strings.Builder
	for {
		line, err := w.r.ReadString('\n')
		if err != nil {
			return ""
		}
		b.WriteString(line)
		if line == "\r\n" {
			break
		}
	}
	if w.peer != nil {
		w.peer.hits.Add(1)
		select {
		case w.peer.heads <- b.String():
		default:
		}
	}
	return b.String()
}

// take reads n bytes, fewer at the connection's end.
func (w *wire) take(n int) string {
	b := make([]byte, n)
	got, _ := io.ReadFull(w.r, b)
	return string(b[:got])
}

// rest reads to the end and says how it ended: nil for a FIN.
func (w *wire) rest() (string, error) {
	b, err := io.ReadAll(w.r)
	return string(b), err
}

func (w *wire) send(s string) { _, _ = io.WriteString(w.Conn, s) }

func (w *wire) half() { _ = w.Conn.(*net.TCPConn).CloseWrite() }

// reset closes with RST.
func (w *wire) reset() {
	_ = w.Conn.(*net.TCPConn).SetLinger(0)
	_ = w.Close()
}

// dial opens a raw client connection to the edge.
func (e *edge) dial() *wire {
	e.t.Helper()
	c, err := dialTCP(e.address)
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() { _ = c.Close() })
	return newWire(c, nil)
}

// say opens a connection and sends raw bytes.
func (e *edge) say(raw string) *wire {
	e.t.Helper()
	c := e.dial()
	c.send(raw)
	return c
}

func expect[T any](t testing.TB, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patienceOfTests):
		t.Fatalf("%s: nothing came", what)
		panic("unreachable")
	}
}

const get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
