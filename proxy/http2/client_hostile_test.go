package http2_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	xhttp2 "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/valor-ivx/weir/proxy/http2"
	"github.com/valor-ivx/weir/proxy/message"
)

// rawOrigin is an upstream of raw frames: one connection of ours to it, and what it says by a script.
type rawOrigin struct {
	t    testing.TB
	conn net.Conn
	fr   *xhttp2.Framer
	enc  *hpack.Encoder
	buf  bytes.Buffer
}

// oppose connects a client of ours to script, which runs on a goroutine of its own and may end at any time.
func oppose(t testing.TB, script func(*rawOrigin)) *upstream {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		_ = conn.SetDeadline(time.Now().Add(patience))
		r := &rawOrigin{t: t, conn: conn, fr: xhttp2.NewFramer(conn, conn)}
		r.enc = hpack.NewEncoder(&r.buf)
		r.fr.AllowIllegalWrites = true
		preface := make([]byte, len(http2.Preface))
		if _, err := io.ReadFull(conn, preface); err != nil || string(preface) != http2.Preface {
			t.Errorf("preface %q %v", preface, err)
		}
		script(r)
		_, _ = io.Copy(io.Discard, conn) // until our side has ended
	}()
	u := connect(t, l.Addr().String(), http2.ClientOptions{})
	t.Cleanup(func() {
		_ = u.Close()
		_ = l.Close()
		<-ended
	})
	return u
}

// hello is SETTINGS, and the request's head awaited: its stream is 1.
func (r *rawOrigin) hello(settings ...xhttp2.Setting) {
	_ = r.fr.WriteSettings(settings...)
	r.await(xhttp2.FrameHeaders)
}

// await reads up to a frame of a kind.
func (r *rawOrigin) await(kind xhttp2.FrameType) xhttp2.Frame {
	for {
		f, err := r.fr.ReadFrame()
		if err != nil {
			return nil
		}
		if f.Header().Type == kind {
			return f
		}
	}
}

func (r *rawOrigin) block(fields ...string) []byte {
	r.buf.Reset()
	for i := 0; i < len(fields); i += 2 {
		_ = r.enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	return bytes.Clone(r.buf.Bytes())
}

func (r *rawOrigin) head(stream uint32, end bool, fields ...string) {
	_ = r.fr.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: stream, BlockFragment: r.block(fields...), EndHeaders: true, EndStream: end})
}

// TestHostileUpstream: whatever an upstream says, its request ends with an error of the right kind, and one that breaks only its own stream does not cost the connection.
func TestHostileUpstream(t *testing.T) {
	const (
		invalid = "invalid" // *Error: not to be forwarded
		gone    = "gone"    // reset or broken off
		refused = "refused" // gone, and nobody has looked at the request
	)
	ok := []string{":status", "200"}
	unread := map[string]bool{"interim without end": true, "more than the window": true} // who reads makes room
	for _, c := range []struct {
		name   string
		want   string
		over   bool // the connection is lost too
		script func(*rawOrigin)
	}{
		{"no status", invalid, false, func(r *rawOrigin) { r.head(1, true, "server", "x") }},
		{"status of two digits", invalid, false, func(r *rawOrigin) { r.head(1, true, ":status", "20") }},
		{"status 600", invalid, false, func(r *rawOrigin) { r.head(1, true, ":status", "600") }},
		{"status of letters", invalid, false, func(r *rawOrigin) { r.head(1, true, ":status", "2xx") }},
		{"status twice", invalid, false, func(r *rawOrigin) { r.head(1, true, ":status", "200", ":status", "200") }},
		{"a request's pseudo-header field", invalid, false, func(r *rawOrigin) { r.head(1, true, ":status", "200", ":path", "/") }},
		{"status behind a field", invalid, false, func(r *rawOrigin) { r.head(1, true, "server", "x", ":status", "200") }},
		{"switching protocols", invalid, false, func(r *rawOrigin) { r.head(1, false, ":status", "101") }},
		{"interim that ends", invalid, false, func(r *rawOrigin) { r.head(1, true, ":status", "103") }},
		{"interim without end", invalid, false, func(r *rawOrigin) {
			for range 17 {
				r.head(1, false, ":status", "103")
			}
		}},
		{"upper case", invalid, false, func(r *rawOrigin) { r.head(1, true, ":status", "200", "Server", "x") }},
		{"line feed in a value", invalid, false, func(r *rawOrigin) { r.head(1, true, ":status", "200", "x", "a\nb: c") }},
		{"connection-specific field", invalid, false, func(r *rawOrigin) { r.head(1, true, ":status", "200", "connection", "close") }},
		{"transfer-encoding", invalid, false, func(r *rawOrigin) { r.head(1, true, ":status", "200", "transfer-encoding", "chunked") }},
		{"two lengths", invalid, false, func(r *rawOrigin) { r.head(1, false, ":status", "200", "content-length", "1", "content-length", "1") }},
		{"length and no body", invalid, false, func(r *rawOrigin) { r.head(1, true, ":status", "200", "content-length", "5") }},
		{"204 with a length", invalid, false, func(r *rawOrigin) { r.head(1, true, ":status", "204", "content-length", "5") }},
		{"204 with a body", invalid, false, func(r *rawOrigin) {
			r.head(1, false, ":status", "204")
			_ = r.fr.WriteData(1, true, []byte("x"))
		}},
		{"body longer than said", invalid, false, func(r *rawOrigin) {
			r.head(1, false, ":status", "200", "content-length", "2")
			_ = r.fr.WriteData(1, true, []byte("abc"))
		}},
		{"body shorter than said", invalid, false, func(r *rawOrigin) {
			r.head(1, false, ":status", "200", "content-length", "5")
			_ = r.fr.WriteData(1, true, []byte("abc"))
		}},
		{"body before the head", invalid, false, func(r *rawOrigin) { _ = r.fr.WriteData(1, true, []byte("x")) }},
		{"body behind an interim head", invalid, false, func(r *rawOrigin) {
			r.head(1, false, ":status", "103")
			_ = r.fr.WriteData(1, true, []byte("x"))
		}},
		{"trailers without end", invalid, false, func(r *rawOrigin) {
			r.head(1, false, ok...)
			r.head(1, false, "grpc-status", "0")
		}},
		{"status in trailers", invalid, false, func(r *rawOrigin) {
			r.head(1, false, ok...)
			r.head(1, true, ":status", "200")
		}},
		{"head larger than we take", invalid, false, func(r *rawOrigin) {
			fields := ok
			for i := range 9 {
				fields = append(fields, fmt.Sprint("x-", i), strings.Repeat("a", 8<<10))
			}
			b := r.block(fields...)
			_ = r.fr.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: 1, BlockFragment: b[:16<<10], EndStream: true})
			for b = b[16<<10:]; len(b) > 16<<10; b = b[16<<10:] {
				_ = r.fr.WriteContinuation(1, false, b[:16<<10])
			}
			_ = r.fr.WriteContinuation(1, true, b)
		}},
		{"more fields than we take", invalid, false, func(r *rawOrigin) {
			fields := ok
			for i := range 300 {
				fields = append(fields, fmt.Sprint("x-", i), "a")
			}
			r.head(1, true, fields...)
		}},

		{"reset", gone, false, func(r *rawOrigin) { _ = r.fr.WriteRSTStream(1, xhttp2.ErrCodeInternal) }},
		{"reset in the body", gone, false, func(r *rawOrigin) {
			r.head(1, false, ok...)
			_ = r.fr.WriteRSTStream(1, xhttp2.ErrCodeInternal)
		}},
		{"reset without error before the end", gone, false, func(r *rawOrigin) {
			r.head(1, false, ok...)
			_ = r.fr.WriteRSTStream(1, xhttp2.ErrCodeNo)
		}},
		{"refused", refused, false, func(r *rawOrigin) { _ = r.fr.WriteRSTStream(1, xhttp2.ErrCodeRefusedStream) }},
		{"goaway", refused, true, func(r *rawOrigin) { _ = r.fr.WriteGoAway(0, xhttp2.ErrCodeNo, nil) }},
		{"goaway for a fault", refused, true, func(r *rawOrigin) { _ = r.fr.WriteGoAway(0, xhttp2.ErrCodeEnhanceYourCalm, []byte("too_many_pings")) }},
		{"closed", gone, true, func(r *rawOrigin) { _ = r.conn.Close() }},
		{"goaway, then closed", gone, true, func(r *rawOrigin) {
			_ = r.fr.WriteGoAway(1, xhttp2.ErrCodeNo, nil)
			_ = r.conn.Close()
		}},
		{"closed in a frame", gone, true, func(r *rawOrigin) {
			_, _ = r.conn.Write([]byte{0, 0, 100, 1, 4, 0, 0, 0, 1, 0x88})
			_ = r.conn.Close()
		}},

		{"compression broken", invalid, true, func(r *rawOrigin) {
			_ = r.fr.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0xff, 0xff, 0xff, 0xff, 0xff}, EndHeaders: true, EndStream: true})
		}},
		{"push", invalid, true, func(r *rawOrigin) {
			_ = r.fr.WritePushPromise(xhttp2.PushPromiseParam{StreamID: 1, PromiseID: 2, BlockFragment: r.block(ok...), EndHeaders: true})
		}},
		{"head on a stream nobody opened", invalid, true, func(r *rawOrigin) { r.head(3, true, ok...) }},
		{"head on a stream of its own", invalid, true, func(r *rawOrigin) { r.head(2, true, ok...) }},
		{"data on a stream nobody opened", invalid, true, func(r *rawOrigin) { _ = r.fr.WriteData(7, false, []byte("x")) }},
		{"frame too large", invalid, true, func(r *rawOrigin) { _ = r.fr.WriteRawFrame(xhttp2.FrameData, 0, 1, make([]byte, 16<<10+1)) }},
		{"continuation alone", invalid, true, func(r *rawOrigin) { _ = r.fr.WriteContinuation(1, true, nil) }},
		{"a block that does not end", invalid, true, func(r *rawOrigin) {
			_ = r.fr.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: 1, BlockFragment: r.block(ok...)})
			for range 100 {
				_ = r.fr.WriteContinuation(1, false, []byte{})
			}
		}},
		{"window of 0", invalid, true, func(r *rawOrigin) { _ = r.fr.WriteRawFrame(xhttp2.FrameWindowUpdate, 0, 0, make([]byte, 4)) }},
		{"window beyond the largest", invalid, true, func(r *rawOrigin) { _ = r.fr.WriteWindowUpdate(0, 1<<31-1) }},
		{"settings that are none", invalid, true, func(r *rawOrigin) { _ = r.fr.WriteSettings(xhttp2.Setting{ID: xhttp2.SettingMaxFrameSize, Val: 1}) }},
		{"push switched on", invalid, true, func(r *rawOrigin) { _ = r.fr.WriteSettings(xhttp2.Setting{ID: xhttp2.SettingEnablePush, Val: 1}) }},
		{"settings flood", invalid, true, func(r *rawOrigin) {
			for range 100 {
				_ = r.fr.WriteSettings()
			}
		}},
		{"ping flood", invalid, true, func(r *rawOrigin) {
			for range 2000 {
				_ = r.fr.WritePing(false, [8]byte{})
			}
		}},
		{"goaway storm", invalid, true, func(r *rawOrigin) {
			for range 500 {
				_ = r.fr.WriteGoAway(1, xhttp2.ErrCodeNo, nil)
			}
		}},
		{"empty frames", invalid, true, func(r *rawOrigin) {
			r.head(1, false, ok...)
			for range 500 {
				_ = r.fr.WriteData(1, false, nil)
			}
		}},
		{"more than the window", invalid, false, func(r *rawOrigin) {
			r.head(1, false, ok...)
			for range 5 {
				_ = r.fr.WriteData(1, false, make([]byte, 16<<10))
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			u := oppose(t, func(r *rawOrigin) {
				r.hello()
				c.script(r)
			})
			s := u.open()
			r := request("POST", "/", message.None, 0)
			say(s, r, nil)
			var err error
			if unread[c.name] {
				tick := time.NewTicker(time.Millisecond)
				defer tick.Stop()
				for deadline := time.Now().Add(patience); s.Err() == nil && time.Now().Before(deadline); <-tick.C {
				}
				err = s.Err()
			} else {
				_, err = hear(s, message.POST)
			}
			var bad *http2.Error
			got := gone
			switch {
			case err == nil:
				got = "nothing"
			case errors.As(err, &bad):
				got = invalid
			case s.Sent() == 0:
				got = refused
			}
			if got != c.want {
				t.Errorf("%s: %v, want %s", got, err, c.want)
			}
			s.Release(false)
			if u.Over() != c.over {
				t.Errorf("connection over: %t", u.Over())
			}
		})
	}
}

// TestFirstWords: an upstream that does not speak HTTP/2 is found out before a request is risked on it.
func TestFirstWords(t *testing.T) {
	for _, c := range []struct{ words, want string }{
		{"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", "HTTP/1"},
		{"\x00\x00\x08\x06\x00\x00\x00\x00\x00weir-ok?", "not SETTINGS"},
		{"\x00\x00\x00\x04\x01\x00\x00\x00\x00", "not SETTINGS"},
		{"", "closed"},
	} {
		u := oppose(t, func(r *rawOrigin) {
			_, _ = io.WriteString(r.conn, c.words)
			_ = r.conn.(*net.TCPConn).CloseWrite()
		})
		select {
		case <-u.Ready():
		case <-time.After(patience):
			t.Fatal("neither ready nor over")
		}
		if err := u.ClientConn.Err(); err == nil || !strings.Contains(err.Error(), c.want) || u.Open() != nil {
			t.Errorf("%q: %v", c.words, err)
		}
	}
}

// TestGoAwaySpares: streams up to the last one named are answered; those behind it were not looked at; there are no new ones.
func TestGoAwaySpares(t *testing.T) {
	second := make(chan struct{})
	u := oppose(t, func(r *rawOrigin) {
		r.hello()
		r.await(xhttp2.FrameHeaders)
		_ = r.fr.WriteGoAway(1, xhttp2.ErrCodeNo, nil)
		<-second
		r.head(1, true, ":status", "204")
	})
	a, b := u.open(), u.open()
	say(a, request("POST", "/a", message.None, 0), nil)
	say(b, request("POST", "/b", message.None, 0), nil)
	var away *http2.GoneError
	if _, err := hear(b, message.POST); !errors.As(err, &away) || b.Sent() != 0 || b.Answered() {
		t.Errorf("behind the last: %v, %d bytes sent", err, b.Sent())
	}
	b.Release(false)
	if u.Open() != nil || !u.Over() {
		t.Error("a stream was opened on a connection that goes away")
	}
	close(second)
	if r, err := hear(a, message.POST); err != nil || r.status != 204 {
		t.Errorf("the last: %v", err)
	}
	a.Release(false)
	select {
	case err := <-u.ended:
		if err != nil {
			t.Errorf("end: %v", err)
		}
		u.ended <- nil
	case <-time.After(patience):
		t.Error("the connection outlives its streams")
	}
}

// TestUpstreamLimitsStreams: the upstream's word is kept to, in both directions.
func TestUpstreamLimitsStreams(t *testing.T) {
	raised := make(chan struct{})
	u := oppose(t, func(r *rawOrigin) {
		_ = r.fr.WriteSettings(xhttp2.Setting{ID: xhttp2.SettingMaxConcurrentStreams, Val: 2})
		<-raised
		_ = r.fr.WriteSettings(xhttp2.Setting{ID: xhttp2.SettingMaxConcurrentStreams, Val: 3})
		r.await(xhttp2.FrameHeaders)
		r.head(1, true, ":status", "204")
	})
	<-u.Ready()
	a, b := u.open(), u.open()
	if u.Open() != nil {
		t.Error("a third stream of two")
	}
	b.Release(false)
	b = u.open()
	close(raised)
	say(a, request("GET", "/", message.None, 0), nil)
	if _, err := hear(a, message.GET); err != nil { // behind the new setting
		t.Error(err)
	}
	c := u.open()
	for _, s := range []*http2.ClientStream{a, b, c} {
		s.Release(false)
	}
}

// TestBreakIsHeard: an attempt that is given up is CANCEL on the wire, whether its owner waits for the answer or another goroutine breaks it, and the waiting ends at once.
func TestBreakIsHeard(t *testing.T) {
	code := make(chan xhttp2.ErrCode, 2)
	u := oppose(t, func(r *rawOrigin) {
		r.hello()
		for range 2 {
			if f, ok := r.await(xhttp2.FrameRSTStream).(*xhttp2.RSTStreamFrame); ok {
				code <- f.ErrCode
			}
		}
	})
	s := u.open()
	say(s, request("GET", "/", message.None, 0), nil)
	failed := make(chan error, 1)
	go func() {
		_, err := hear(s, message.GET)
		failed <- err
	}()
	s.Cancel()()
	if err := <-failed; err == nil {
		t.Error("an answer to what was broken")
	}
	if c := <-code; c != xhttp2.ErrCodeCancel {
		t.Errorf("broken: %v", c)
	}
	s.Release(false)
	s = u.open()
	say(s, request("GET", "/", message.None, 0), nil)
	s.Release(false)
	if c := <-code; c != xhttp2.ErrCodeCancel {
		t.Errorf("released without an answer: %v", c)
	}
}

// FuzzUpstream: no bytes of an upstream make the client panic, hang or hand out a response that is none.
func FuzzUpstream(f *testing.F) {
	seed := func(script func(*xhttp2.Framer, func(...string) []byte)) {
		var out, block bytes.Buffer
		enc := hpack.NewEncoder(&block)
		script(xhttp2.NewFramer(&out, nil), func(fields ...string) []byte {
			block.Reset()
			for i := 0; i < len(fields); i += 2 {
				_ = enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
			}
			return block.Bytes()
		})
		f.Add(out.Bytes())
	}
	seed(func(fr *xhttp2.Framer, b func(...string) []byte) {
		_ = fr.WriteSettings(xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: 10}, xhttp2.Setting{ID: xhttp2.SettingHeaderTableSize, Val: 0})
		_ = fr.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: 1, BlockFragment: b(":status", "103", "link", "<a>"), EndHeaders: true})
		_ = fr.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: 1, BlockFragment: b(":status", "200", "content-length", "3"), EndHeaders: true})
		_ = fr.WriteDataPadded(1, false, []byte("abc"), []byte{0, 0})
		_ = fr.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: 1, BlockFragment: b("grpc-status", "0"), EndHeaders: true, EndStream: true})
		_ = fr.WriteGoAway(1, xhttp2.ErrCodeNo, nil)
	})
	seed(func(fr *xhttp2.Framer, b func(...string) []byte) {
		_ = fr.WriteSettings()
		_ = fr.WriteSettingsAck()
		_ = fr.WritePing(false, [8]byte{1})
		_ = fr.WriteWindowUpdate(0, 100)
		_ = fr.WriteWindowUpdate(1, 100)
		_ = fr.WriteRSTStream(1, xhttp2.ErrCodeRefusedStream)
		_ = fr.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: 1, BlockFragment: b(":status", "200"), EndHeaders: true, EndStream: true})
	})
	f.Fuzz(func(t *testing.T, words []byte) {
		conn := &tape{Reader: bytes.NewReader(words)}
		c := http2.NewClientConn(conn, http2.ClientOptions{Scheme: "http", Authority: "a"})
		s := c.Open()
		say(s, request("POST", "/", message.Length, 3), []byte("abc"))
		_ = c.Serve()
		r, err := hear(s, message.POST)
		if err == nil && (r.status < 200 || r.status > 599) {
			t.Errorf("status %d", r.status)
		}
		s.Release(false)
		if c.Streams() != 0 {
			t.Error("a stream stays")
		}
	})
}

// tape is a connection whose other side says what is on it and then leaves; what it is told it forgets.
type tape struct {
	io.Reader
	net.Conn
}

func (c *tape) Read(p []byte) (int, error)       { return c.Reader.Read(p) }
func (c *tape) Write(p []byte) (int, error)      { return len(p), nil }
func (c *tape) Close() error                     { return nil }
func (c *tape) SetDeadline(time.Time) error      { return nil }
func (c *tape) SetReadDeadline(time.Time) error  { return nil }
func (c *tape) SetWriteDeadline(time.Time) error { return nil }
