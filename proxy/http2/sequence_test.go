package http2_test

import (
	"io"
	"net"
	"testing"

	xhttp2 "golang.org/x/net/http2"
	"pgregory.net/rapid"

	"github.com/valor-ivx/weir/proxy/http2"
)

// FuzzConnection: whatever bytes come, the connection ends when they do, and nothing of it stays (TestMain looks for goroutines).
func FuzzConnection(f *testing.F) {
	f.Add([]byte(http2.Preface), []byte{})
	f.Add([]byte(http2.Preface), []byte{0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 1, 1, 5, 0, 0, 0, 1, 0x82})
	f.Add([]byte(http2.Preface), []byte{0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 4, 8, 0, 0, 0, 0, 1, 0, 0, 0, 0})
	f.Add([]byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), []byte{})
	f.Fuzz(func(t *testing.T, preface, frames []byte) {
		client, server := net.Pipe()
		ended := make(chan error, 1)
		go func() { ended <- http2.Serve(server, &http2.Options{ExtendedConnect: true}, echo) }()
		read := make(chan struct{})
		go func() {
			_, _ = io.Copy(io.Discard, client)
			close(read)
		}()
		_, _ = client.Write(preface)
		_, _ = client.Write(frames)
		_ = client.Close()
		<-ended
		<-read
	})
}

// TestFrameSequences: random sequences of plausible frames, in any order, never break the server, and leave it serving others.
func TestFrameSequences(t *testing.T) {
	s := start(t, false, http2.Options{MaxStreams: 8, ExtendedConnect: true}, echo)
	rapid.Check(t, func(rt *rapid.T) {
		r := dialSilent(t, s)
		defer func() { _ = r.conn.Close() }()
		r.write([]byte(http2.Preface))
		r.check(r.fr.WriteSettings())
		read := make(chan struct{})
		go func() {
			defer close(read)
			_, _ = io.Copy(io.Discard, r.conn)
		}()
		for range rapid.IntRange(1, 60).Draw(rt, "frames") {
			if r.random(rt) != nil {
				break
			}
		}
		_ = r.conn.(*net.TCPConn).CloseWrite()
		<-read
	})
	dial(t, s).alive(1)
	for _, err := range s.wait(len(s.conns) - 1) {
		_ = err // any end is right, but it must have come
	}
}

// random writes one frame; the error is the connection's.
func (r *raw) random(t *rapid.T) error {
	id := 2*rapid.Uint32Range(0, 6).Draw(t, "stream") + 1
	end := rapid.Bool().Draw(t, "end")
	switch rapid.IntRange(0, 10).Draw(t, "kind") {
	case 0, 1, 2:
		fields := rapid.SampledFrom([][]string{get, post(), post("content-length", "5"), at("/x", "priority", "u=1, i"), {"x", "y"}, {":method", "CONNECT", ":protocol", "p", ":scheme", "http", ":path", "/", ":authority", "a"}}).Draw(t, "fields")
		return r.fr.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: id, BlockFragment: r.fields(fields...), EndHeaders: rapid.IntRange(0, 9).Draw(t, "whole") > 0, EndStream: end})
	case 3, 4:
		return r.fr.WriteData(id, end, make([]byte, rapid.SampledFrom([]int{0, 1, 5, 1000, 16384}).Draw(t, "length")))
	case 5:
		return r.fr.WriteRSTStream(id, xhttp2.ErrCodeCancel)
	case 6:
		return r.fr.WriteWindowUpdate(rapid.SampledFrom([]uint32{0, id}).Draw(t, "whose"), rapid.SampledFrom([]uint32{1, 1000, 1 << 20, 1<<31 - 1}).Draw(t, "increment"))
	case 7:
		return r.fr.WriteSettings(xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: rapid.SampledFrom([]uint32{0, 1, 65535, 1<<31 - 1}).Draw(t, "window")})
	case 8:
		return r.fr.WritePriorityUpdate(id, rapid.SampledFrom([]string{"u=0", "i", "u=7, i"}).Draw(t, "priority"))
	case 9:
		return r.fr.WriteContinuation(id, end, r.fields("a", "b"))
	}
	return r.fr.WriteDataPadded(id, end, []byte("abc"), make([]byte, 3))
}
