package proxy_test

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"strings"
	"testing"

	xhttp2 "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/valor-ivx/weir/proxy"
	"github.com/valor-ivx/weir/proxy/http2"
)

// TestWebSocketDeliversLastWords: an upstream that says its last on a WebSocket and closes, while its client goes on talking over HTTP/2, is heard to its end by a client that had no room for it
// until then.
func TestWebSocketDeliversLastWords(t *testing.T) {
	const words = 20_000
	closed := make(chan struct{})
	up := newPeer(t, func(c *wire) {
		_, key, _ := strings.Cut(c.head(), "Sec-WebSocket-Key: ")
		key, _, _ = strings.Cut(key, "\r\n")
		sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
		c.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: " + base64.StdEncoding.EncodeToString(sum[:]) + "\r\n\r\n" + strings.Repeat("w", words))
		_ = c.Close()
		close(closed)
	})
	e := newEdge(t, defaults(up.address))
	e.listener.HTTP2 = true
	e.listener.Bind(&proxy.Bounds{HTTP1: defaults().http1, HTTP2: http2.Options{ExtendedConnect: true}})
	c := e.say(http2.Preface)
	fr := xhttp2.NewFramer(c, c.r)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	heard := 0
	until := func(is func(xhttp2.Frame) bool) {
		t.Helper()
		for {
			f, err := fr.ReadFrame()
			must(err)
			switch f := f.(type) {
			case *xhttp2.DataFrame:
				heard += len(f.Data())
			case *xhttp2.RSTStreamFrame:
				t.Fatalf("reset (%v) after %d bytes", f.ErrCode, heard)
			}
			if is(f) {
				return
			}
		}
	}
	must(fr.WriteSettings(xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: 10}))
	must(fr.WriteSettingsAck())
	var head bytes.Buffer
	enc := hpack.NewEncoder(&head)
	for _, f := range [][2]string{{":method", "CONNECT"}, {":protocol", "websocket"}, {":scheme", "http"}, {":path", "/"}, {":authority", "a"}} {
		must(enc.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]}))
	}
	must(fr.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: 1, BlockFragment: head.Bytes(), EndHeaders: true}))
	until(func(xhttp2.Frame) bool { return heard == 10 })
	<-closed
	for i := range byte(20) { // the first is answered by a reset, one of the others does not get through
		must(fr.WriteData(1, false, []byte("x")))
		must(fr.WritePing(false, [8]byte{i}))
		until(func(f xhttp2.Frame) bool { p, ok := f.(*xhttp2.PingFrame); return ok && p.IsAck() })
	}
	must(fr.WriteWindowUpdate(1, words))
	until(func(f xhttp2.Frame) bool { d, ok := f.(*xhttp2.DataFrame); return ok && d.StreamEnded() })
	if heard != words {
		t.Errorf("%d bytes", heard)
	}
	must(fr.WriteData(1, true, nil))
	if l := e.line(); l.Reason != "" {
		t.Errorf("logged %+v", l)
	}
}
