package proxy_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	xhttp2 "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/valor-ivx/weir/proxy/http2"
	"github.com/valor-ivx/weir/upstream"
)

// sharing are the options of an edge whose upstreams speak h2c.
func sharing(addresses ...string) edgeOptions {
	o := defaults(addresses...)
	o.transport = upstream.Transport{HTTP2: true}
	return o
}

// h2cBackend is net/http speaking h2c, and the number of connections it has taken.
func h2cBackend(t testing.TB, h http.HandlerFunc) (address string, conns *atomic.Int64) {
	t.Helper()
	conns = new(atomic.Int64)
	s := httptest.NewUnstartedServer(h)
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			conns.Add(1)
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String(), conns
}

// framePeer is an upstream of raw frames: serve runs once per connection, whose preface and SETTINGS are done, and n counts them from 1.
func framePeer(t testing.TB, serve func(n int64, w *frameWire)) *peer {
	t.Helper()
	var n atomic.Int64
	return newPeer(t, func(w *wire) {
		if _, err := io.ReadFull(w.r, make([]byte, len(http2.Preface))); err != nil {
			return
		}
		f := &frameWire{Framer: xhttp2.NewFramer(w, w.r), peer: w.peer, conn: w}
		f.AllowIllegalWrites = true
		f.encoder = hpack.NewEncoder(&f.block)
		if f.WriteSettings() == nil {
			serve(n.Add(1), f)
		}
		_, _ = io.Copy(io.Discard, w.r)
	})
}

type frameWire struct {
	*xhttp2.Framer
	peer    *peer
	conn    *wire
	block   bytes.Buffer
	encoder *hpack.Encoder
}

// request reads up to the next request's head.
func (w *frameWire) request() (stream uint32, ok bool) {
	for {
		f, err := w.ReadFrame()
		if err != nil {
			return 0, false
		}
		if h, is := f.(*xhttp2.HeadersFrame); is {
			w.peer.hits.Add(1)
			return h.StreamID, true
		}
	}
}

func (w *frameWire) head(stream uint32, end bool, fields ...string) {
	w.block.Reset()
	for i := 0; i < len(fields); i += 2 {
		_ = w.encoder.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	_ = w.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: stream, BlockFragment: w.block.Bytes(), EndHeaders: true, EndStream: end})
}

// TestHTTP2Upstream: clients of both versions in front of an HTTP/2 upstream get what they would get from one that speaks theirs, over few connections.
func TestHTTP2Upstream(t *testing.T) {
	addr, conns := h2cBackend(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Seen", fmt.Sprintf("%s %s %s %s %s %s", r.Method, r.URL, r.Proto, r.Host, r.Header.Get("X-Forwarded-For"), r.Header.Get("Cookie")))
		switch r.URL.Path {
		case "/echo":
			w.Header().Set("Trailer", "X-End")
			_, _ = io.Copy(w, r.Body)
			w.Header().Set("X-End", "over")
		case "/early":
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusNotFound)
		case "/none":
			w.WriteHeader(http.StatusNoContent)
		}
	})
	e := newEdge(t, sharing(addr))
	two, twoBase := http2Client(t, e)
	one := &http.Client{Transport: &http.Transport{}, Timeout: patienceOfTests}
	t.Cleanup(one.CloseIdleConnections)
	for base, client := range map[string]*http.Client{twoBase: two, "http://" + e.address: one} {
		var wg sync.WaitGroup
		for _, size := range []int{0, 1, 1000, 64 << 10, 1 << 20, 0, 1, 1000} {
			wg.Go(func() {
				data := bytes.Repeat([]byte("weir"), size/4)
				req, _ := http.NewRequest("POST", base+"/echo?c=d", bytes.NewReader(data))
				req.Host = "api.example"
				req.Header.Set("Cookie", "a=1; b=2")
				req.Header.Set("X-Forwarded-For", "6.6.6.6")
				resp, err := client.Do(req)
				if err != nil {
					t.Errorf("%d: %v", size, err)
					return
				}
				got, err := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				if err != nil || !bytes.Equal(got, data) || resp.Header.Get("X-Seen") != "POST /echo?c=d HTTP/2.0 api.example 127.0.0.1 a=1; b=2" || (resp.Trailer.Get("X-End") != "over") == (base == twoBase || size > 4<<10) { // a length leaves trailers no place in HTTP/1
					t.Errorf("%d: %d bytes, %v, %q, trailer %q", size, len(got), err, resp.Header.Get("X-Seen"), resp.Trailer)
				}
			})
		}
		wg.Wait()
		resp, err := client.Head(base + "/echo")
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Errorf("HEAD: %v %v", resp, err)
		}
	}
	if n := conns.Load(); n != 1 {
		t.Errorf("%d connections for 18 requests", n)
	}
	_, r := say(t, e.address, "GET /none HTTP/1.1\r\nHost: a\r\n\r\nGET /early HTTP/1.1\r\nHost: a\r\n\r\nGET /empty HTTP/1.1\r\nConnection: close\r\nHost: a\r\n\r\n")
	for _, want := range []string{"HTTP/1.1 204 No Content", "HTTP/1.1 103 Early Hints", "HTTP/1.1 404 Not Found", "HTTP/1.1 200 OK"} {
		head := readHead(t, r)
		if !strings.HasPrefix(head, want+"\r\n") {
			t.Errorf("%q, want %s", head, want)
		}
		if bodyless := strings.Contains(want, "404") || strings.Contains(want, "200"); bodyless != strings.Contains(strings.ToLower(head), "\r\ncontent-length: 0\r\n") {
			t.Errorf("length: %q", head)
		}
	}
}

func readHead(t testing.TB, r *bufio.Reader) (head string) {
	t.Helper()
	for !strings.HasSuffix(head, "\r\n\r\n") {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatalf("%q: %v", head, err)
		}
		head += line
	}
	return head
}

// TestBadHTTP2Upstream: what it says wrong is a 502 with its reason; what it has not looked at is said again, whatever the method.
func TestBadHTTP2Upstream(t *testing.T) {
	ok := func(w *frameWire, stream uint32) { w.head(stream, true, ":status", "200", "content-length", "0") }
	for _, c := range []struct {
		name   string
		status int
		reason string
		tries  int // heads that the upstream sees
		serve  func(n int64, w *frameWire)
	}{
		{"no status", http.StatusBadGateway, "http_protocol_error", 1, func(_ int64, w *frameWire) {
			s, _ := w.request()
			w.head(s, true, "server", "x")
		}},
		{"bad compression", http.StatusBadGateway, "http_protocol_error", 1, func(_ int64, w *frameWire) {
			s, _ := w.request()
			_ = w.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: s, BlockFragment: []byte{0xff, 0xff, 0xff, 0xff, 0xff}, EndHeaders: true})
		}},
		{"reset", http.StatusBadGateway, "connection_terminated", 1, func(_ int64, w *frameWire) {
			s, _ := w.request()
			_ = w.WriteRSTStream(s, xhttp2.ErrCodeInternal)
		}},
		{"closed", http.StatusBadGateway, "connection_terminated", 1, func(_ int64, w *frameWire) {
			w.request()
			_ = w.conn.Close()
		}},
		{"refused once on a used connection", http.StatusOK, "", 3, func(_ int64, w *frameWire) {
			s, _ := w.request()
			ok(w, s)
			s, _ = w.request()
			_ = w.WriteRSTStream(s, xhttp2.ErrCodeRefusedStream)
			s, _ = w.request()
			ok(w, s)
		}},
		{"goaway under a request", http.StatusOK, "", 3, func(n int64, w *frameWire) {
			s, _ := w.request()
			if n == 1 {
				ok(w, s)
				s, _ = w.request()
				_ = w.WriteGoAway(s-2, xhttp2.ErrCodeNo, nil)
				return
			}
			ok(w, s)
		}},
		{"goaway between two", http.StatusOK, "", 2, func(n int64, w *frameWire) {
			s, _ := w.request()
			ok(w, s)
			if n == 1 {
				_ = w.WriteGoAway(s, xhttp2.ErrCodeNo, nil)
			}
		}},
		{"not HTTP/2", http.StatusBadGateway, "http_protocol_error", 0, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			var up *peer
			if c.serve == nil {
				up = newPeer(t, func(w *wire) { w.send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n") })
			} else {
				up = framePeer(t, c.serve)
			}
			e := newEdge(t, sharing(up.address))
			requests := 1
			if c.status == http.StatusOK {
				requests = 2 // the first makes the connection
			}
			for i := range requests {
				_, r := say(t, e.address, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
				if head := readHead(t, r); !strings.HasPrefix(head, fmt.Sprintf("HTTP/1.1 %d ", c.status)) {
					t.Errorf("request %d: %q", i, head)
				}
				e.logged(c.status, c.reason, 1)
			}
			if n := up.hits.Load(); int(n) != c.tries {
				t.Errorf("the upstream saw %d heads, want %d", n, c.tries)
			}
		})
	}
}

// TestCancelIsPassedOn: an HTTP/2 client that leaves is heard of at the upstream at once, also while nothing moves in either direction.
func TestCancelIsPassedOn(t *testing.T) {
	for _, answered := range []bool{false, true} {
		arrived, cancelled := make(chan struct{}, 1), make(chan struct{}, 1)
		addr, _ := h2cBackend(t, func(w http.ResponseWriter, r *http.Request) {
			if answered {
				_ = http.NewResponseController(w).Flush()
			}
			arrived <- struct{}{}
			<-r.Context().Done()
			cancelled <- struct{}{}
		})
		o := sharing(addr)
		o.response, o.idle = time.Hour, time.Hour
		e := newEdge(t, o)
		client, base := http2Client(t, e)
		ctx, cancel := context.WithCancel(t.Context())
		req, _ := http.NewRequestWithContext(ctx, "GET", base, nil)
		failed := make(chan error, 1)
		go func() {
			resp, err := client.Do(req)
			if err == nil {
				_, err = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
			}
			failed <- err
		}()
		expect(t, "request", arrived)
		cancel()
		if err := expect(t, "client", failed); err == nil {
			t.Error("a client that left was answered")
		}
		expect(t, "cancellation at the upstream", cancelled)
		if l := e.line(); l.Reason != "client_gone" || e.failures() != 0 {
			t.Errorf("answered %t: reason %q, %d failures of the peer", answered, l.Reason, e.failures())
		}
	}
}

// TestShutdownBreaksStreams: at the deadline every running stream of a connection is broken, whatever its upstream speaks.
func TestShutdownBreaksStreams(t *testing.T) {
	for _, shared := range []bool{true, false} {
		arrived := make(chan struct{}, 8)
		hang := func(w http.ResponseWriter, r *http.Request) {
			_ = http.NewResponseController(w).Flush()
			arrived <- struct{}{}
			<-r.Context().Done()
		}
		o := defaults(backend(t, hang))
		if shared {
			addr, _ := h2cBackend(t, hang)
			o = sharing(addr)
		}
		o.response, o.idle = time.Hour, time.Hour
		e := newEdge(t, o)
		client, base := http2Client(t, e)
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				if resp, err := client.Get(base); err == nil {
					_, _ = io.Copy(io.Discard, resp.Body)
					_ = resp.Body.Close()
				}
			})
		}
		for range 4 {
			expect(t, "request", arrived)
		}
		if expect(t, "Shutdown", e.shutdown(50*time.Millisecond)) {
			t.Error("Shutdown says that nothing was cut off")
		}
		all.Wait()
	}
}
