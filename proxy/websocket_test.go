package proxy_test

import (
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	xhttp2 "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/valor-ivx/weir/proxy"
	"github.com/valor-ivx/weir/proxy/http2"
)

// socketStream is a WebSocket on the first stream of an HTTP/2 connection, as its client sees it.
type socketStream struct {
	*xhttp2.Framer
	t     *testing.T
	heard []byte
}

// openStream asks for a WebSocket on a new connection, on which the server may send window bytes.
func openStream(t *testing.T, e *edge, window uint32) *socketStream {
	t.Helper()
	e.listener.HTTP2 = true
	e.listener.Bind(&proxy.Bounds{HTTP1: defaults().http1, HTTP2: http2.Options{ExtendedConnect: true}})
	c := e.say(http2.Preface)
	s := &socketStream{xhttp2.NewFramer(c, c.r), t, nil}
	s.must(s.WriteSettings(xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: window}))
	s.must(s.WriteSettingsAck())
	var head bytes.Buffer
	enc := hpack.NewEncoder(&head)
	for _, f := range [][2]string{{":method", "CONNECT"}, {":protocol", "websocket"}, {":scheme", "http"}, {":path", "/"}, {":authority", "a"}} {
		s.must(enc.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]}))
	}
	s.must(s.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: 1, BlockFragment: head.Bytes(), EndHeaders: true}))
	return s
}

func (s *socketStream) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// until reads frames up to one, and keeps what they say.
func (s *socketStream) until(is func(xhttp2.Frame) bool) {
	s.t.Helper()
	for {
		f, err := s.ReadFrame()
		s.must(err)
		switch f := f.(type) {
		case *xhttp2.DataFrame:
			s.heard = append(s.heard, f.Data()...)
		case *xhttp2.RSTStreamFrame:
			s.t.Fatalf("reset (%v) after %d bytes", f.ErrCode, len(s.heard))
		}
		if is(f) {
			return
		}
	}
}

func ends(f xhttp2.Frame) bool { d, ok := f.(*xhttp2.DataFrame); return ok && d.StreamEnded() }

// accepting is the head of an upstream's answer to the request for a WebSocket that it hears.
func accepting(c *wire) string {
	_, key, _ := strings.Cut(c.head(), "Sec-WebSocket-Key: ")
	key, _, _ = strings.Cut(key, "\r\n")
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: " + base64.StdEncoding.EncodeToString(sum[:]) + "\r\n\r\n"
}

// TestWebSocketStreamParts: a WebSocket over HTTP/2 outlives the GOAWAY of its connection, and ends as one over HTTP/1 does: by a close frame between two messages, whose answer the upstream gets, and the end of the
// stream both ways.
func TestWebSocketStreamParts(t *testing.T) {
	const answer = "\x88\x82\x00\x00\x00\x00\x03\xe9"
	rest, answered := make(chan string), make(chan string, 1)
	up := newPeer(t, func(c *wire) {
		c.send(accepting(c) + "\x81\x05he")
		c.send(<-rest)
		answered <- c.take(len(answer))
		c.send("\x88\x02\x03\xe9")
		_, _ = c.rest()
	})
	e := newEdge(t, defaults(up.address))
	s := openStream(t, e, 1<<16)
	s.until(func(xhttp2.Frame) bool { return len(s.heard) == 4 })
	e.proxy.Announce()
	s.until(func(f xhttp2.Frame) bool { _, ok := f.(*xhttp2.GoAwayFrame); return ok })
	ctx, cancel := context.WithCancel(t.Context())
	asked := make(chan int)
	go func() { asked <- e.proxy.CloseWebSockets(ctx, 1001, time.Now(), time.Now()) }()
	rest <- "llo"
	s.until(func(xhttp2.Frame) bool { return len(s.heard) >= 11 })
	s.must(s.WriteData(1, false, []byte(answer)))
	if got := expect(t, "answer", answered); got != answer {
		t.Errorf("the upstream got %q", got)
	}
	s.until(ends)
	if want := "\x81\x05hello\x88\x02\x03\xe9"; string(s.heard) != want {
		t.Errorf("the client heard %q, want %q", s.heard, want)
	}
	s.must(s.WriteData(1, true, nil))
	if l := e.line(); l.Reason != "" {
		t.Errorf("logged %+v", l)
	}
	cancel()
	if n := expect(t, "CloseWebSockets", asked); n != 1 {
		t.Errorf("%d were asked", n)
	}
}

// TestWebSocketDeliversLastWords: an upstream that says its last on a WebSocket and closes, while its client goes on talking over HTTP/2, is heard to its end by a client that had no room for it
// until then.
func TestWebSocketDeliversLastWords(t *testing.T) {
	const words = 20_000
	closed := make(chan struct{})
	up := newPeer(t, func(c *wire) {
		c.send(accepting(c) + strings.Repeat("w", words))
		_ = c.Close()
		close(closed)
	})
	e := newEdge(t, defaults(up.address))
	s := openStream(t, e, 10)
	s.until(func(xhttp2.Frame) bool { return len(s.heard) == 10 })
	<-closed
	for i := range byte(20) { // the first is answered by a reset, one of the others does not get through
		s.must(s.WriteData(1, false, []byte("x")))
		s.must(s.WritePing(false, [8]byte{i}))
		s.until(func(f xhttp2.Frame) bool { p, ok := f.(*xhttp2.PingFrame); return ok && p.IsAck() })
	}
	s.must(s.WriteWindowUpdate(1, words))
	s.until(ends)
	if len(s.heard) != words {
		t.Errorf("%d bytes", len(s.heard))
	}
	s.must(s.WriteData(1, true, nil))
	if l := e.line(); l.Reason != "" {
		t.Errorf("logged %+v", l)
	}
}
