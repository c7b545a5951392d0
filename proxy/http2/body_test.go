package http2_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"testing"
	"time"

	xhttp2 "golang.org/x/net/http2"

	"github.com/valor-ivx/weir/proxy/http2"
	"github.com/valor-ivx/weir/proxy/message"
)

// digest answers with the request body's length and sum.
func digest(s *http2.Stream) {
	var req message.Request
	if err := s.ReadRequest(&req); err != nil {
		refuse(s, err)
		return
	}
	sum, buf, b := sha256.New(), make([]byte, 5000), s.Body()
	for !b.Complete() {
		n, err := b.Read(buf)
		sum.Write(buf[:n])
		if err != nil && err != io.EOF {
			return
		}
	}
	answer(s, 200, fmt.Appendf(nil, "%d %x", b.Received(), sum.Sum(nil)))
}

// TestUploads: bodies of both framings arrive whole, and the window grows while they do.
func TestUploads(t *testing.T) {
	for _, secure := range []bool{false, true} {
		s := start(t, secure, http2.Options{}, digest)
		client, url := s.client(secure)
		for _, n := range []int{1, 4096, 4097, 65535, 200_000, 8 << 20} {
			for _, known := range []bool{true, false} {
				body := bytes.Repeat([]byte("0123456789abcdef!"), n/17+1)[:n]
				var reader io.Reader = bytes.NewReader(body)
				if !known {
					reader = io.MultiReader(reader)
				}
				resp, err := client.Post(url, "text/plain", reader)
				if err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				if want := fmt.Sprintf("%d %x", n, sha256.Sum256(body)); err != nil || string(got) != want {
					t.Fatalf("%d %v: got %s, want %s, %v", n, known, got, want, err)
				}
			}
		}
	}
}

// TestUnreadBodyIsBounded: a handler that reads nothing holds one window's worth, and the connection the same for all its streams; a client that
// sends more has broken the protocol.
func TestUnreadBodyIsBounded(t *testing.T) {
	release := make(chan struct{})
	s := start(t, false, http2.Options{}, func(s *http2.Stream) { <-release })
	defer close(release)
	r := dial(t, s)
	r.headers(1, false, post()...)
	r.headers(3, false, post()...)
	for sent := 0; sent < 64<<10; sent += 1 << 12 {
		r.check(r.fr.WriteData(1, false, make([]byte, 1<<12)))
	}
	r.check(r.fr.WriteData(3, false, make([]byte, 1)))
	if code := r.end(); code != xhttp2.ErrCodeFlowControl {
		t.Error(code)
	}
}

// TestReadingOpensWindows: a quarter of the window that was read is given back.
func TestReadingOpensWindows(t *testing.T) {
	s := start(t, false, http2.Options{}, func(s *http2.Stream) {
		var req message.Request
		_ = s.ReadRequest(&req)
		if req.Method == message.GET {
			small(s)
			return
		}
		for _, err := s.Body().Next(); err == nil; _, err = s.Body().Next() {
		}
	})
	r := dial(t, s)
	r.headers(1, false, post()...)
	r.check(r.fr.WriteData(1, false, make([]byte, 16384)))
	r.next(func(f xhttp2.Frame) bool {
		w, ok := f.(*xhttp2.WindowUpdateFrame)
		return ok && w.StreamID == 0 && w.Increment >= 16384
	})
	r.barrier()
	r.alive(3)
}

// TestWindowGrows: when a round trip brings a whole window, the next one is larger, up to the limit.
func TestWindowGrows(t *testing.T) {
	const most = 256 << 10
	s := start(t, false, http2.Options{MaxWindow: most}, digest)
	r := dial(t, s)
	r.headers(1, false, post()...)
	conn, stream, largest := 64<<10, 64<<10, 0
	var ping *[8]byte
	since := 0 // bytes since the PING: its answer lets a whole window pass, as a long way would, however fast the two sides run here
	for total := 0; total < 16<<20; {
		for conn > 0 && stream > 0 { // all that the windows let through in one round trip
			n := min(conn, stream, 16384)
			r.check(r.fr.WriteData(1, false, make([]byte, n)))
			conn, stream, total, since = conn-n, stream-n, total+n, since+n
		}
		if ping != nil && since >= most {
			r.check(r.fr.WritePing(true, *ping))
			ping = nil
		}
		for conn == 0 || stream == 0 {
			switch f := r.next(func(xhttp2.Frame) bool { return true }).(type) {
			case *xhttp2.WindowUpdateFrame:
				if f.StreamID == 0 {
					conn += int(f.Increment)
				} else {
					stream += int(f.Increment)
				}
			case *xhttp2.PingFrame:
				ping, since = &f.Data, 0
			}
		}
		largest = max(largest, conn)
	}
	if largest <= 64<<10 || largest > most {
		t.Errorf("largest window %d", largest)
	}
}

// TestLengthAgainstData is RFC 9113 §8.1.1, and that padding counts in windows but not in lengths.
func TestLengthAgainstData(t *testing.T) {
	s := start(t, false, http2.Options{}, digest)
	r := dial(t, s)
	malformed := func(id uint32, say func()) {
		t.Helper()
		r.headers(id, false, post("content-length", "3")...)
		say()
		if code := r.reset(id); code != xhttp2.ErrCodeProtocol {
			t.Error(code)
		}
	}
	malformed(1, func() { r.check(r.fr.WriteData(1, false, []byte("abcd"))) })
	malformed(3, func() { r.check(r.fr.WriteData(3, true, []byte("ab"))) })
	malformed(5, func() { r.headers(5, true, "x-t", "y") })
	r.headers(7, false, post("content-length", "0")...)
	r.check(r.fr.WriteData(7, true, []byte("a")))
	if code := r.reset(7); code != xhttp2.ErrCodeProtocol {
		t.Error(code)
	}
	r.headers(9, false, post("content-length", "3")...)
	r.check(r.fr.WriteDataPadded(9, true, []byte("abc"), make([]byte, 200)))
	if got := r.response(9); string(got.body) != fmt.Sprintf("3 %x", sha256.Sum256([]byte("abc"))) {
		t.Errorf("%s", got.body)
	}
}

// TestTrailers both ways; what routes or frames is dropped from them, malformed ones reset the stream.
func TestTrailers(t *testing.T) {
	s := start(t, false, http2.Options{}, echo)
	r := dial(t, s)
	r.headers(1, false, post()...)
	r.check(r.fr.WriteData(1, false, []byte("ab")))
	r.headers(1, true, "grpc-status", "0", "host", "b", "content-length", "9", "x-sum", "1")
	got := r.response(1)
	if string(got.body) != "ab" || len(got.trailers) != 2 || got.trailers[0].Name != "grpc-status" || got.trailers[1].Value != "1" {
		t.Fatalf("%+v", got)
	}
	for i, bad := range [][]string{{":path", "/"}, {"X", "y"}, {"connection", "close"}} {
		id := uint32(3 + 2*i)
		r.headers(id, false, post()...)
		r.headers(id, true, bad...)
		if code := r.reset(id); code != xhttp2.ErrCodeProtocol {
			t.Errorf("%v: %v", bad, code)
		}
	}
	r.headers(9, false, post()...)
	r.headers(9, false, "x", "y") // not the end
	if code := r.reset(9); code != xhttp2.ErrCodeProtocol {
		t.Error(code)
	}
}

// TestBodyMethods: what the forwarding code relies on beside Next and Read.
func TestBodyMethods(t *testing.T) {
	result, arrived := make(chan string, 1), make(chan struct{})
	say := func(ok bool, what string) {
		if !ok {
			result <- what
		}
	}
	s := start(t, false, http2.Options{BodyTimeout: 2 * time.Second}, func(s *http2.Stream) {
		var req message.Request
		_ = s.ReadRequest(&req)
		b := s.Body()
		switch string(req.Path) {
		case "/whole":
			<-arrived
			p, ok := b.AtHand()
			say(ok && string(p) == "abcdef" && b.Complete() && b.Left() == 0 && b.Received() == 6, "at hand")
		case "/now":
			buf := make([]byte, 4)
			say(b.ReadNow(buf) == 0 && !b.Buffered(), "nothing is there")
			arrived <- struct{}{}
			<-arrived
			say(b.Buffered(), "buffered")
			_, ok := b.AtHand()
			say(!ok, "not all is at hand")
			say(b.ReadNow(buf) == 3 && string(buf[:3]) == "abc" && b.Left() == 3, "read now")
			say(s.StopReading() == nil, "stop")
			_, err := b.Next()
			say(err == os.ErrDeadlineExceeded, "stopped")
			say(s.ResumeReading() == nil && s.AwaitBody(time.Now()) == nil, "resume")
			_, err = b.Next()
			say(err == os.ErrDeadlineExceeded, "late")
			say(s.AwaitBody(time.Now()) == nil, "renew")
			arrived <- struct{}{}
			p, err := b.Next()
			say(err == nil && string(p) == "def", "rest")
			p, err = b.Next()
			say(len(p) == 0 && err == io.EOF && b.Complete(), "end")
		case "/drop":
			<-arrived
			say(s.DiscardBody() && b.Complete(), "discard")
		}
		answer(s, 200, nil)
		result <- ""
	})
	r := dial(t, s)
	open := func(id uint32, path string) {
		r.headers(id, false, ":method", "POST", ":scheme", "http", ":path", path, ":authority", "a", "content-length", "6")
	}
	open(1, "/whole")
	r.check(r.fr.WriteData(1, false, []byte("abc")))
	r.check(r.fr.WriteData(1, true, []byte("def")))
	r.barrier()
	arrived <- struct{}{}
	check := func(what string) {
		t.Helper()
		if what != "" {
			t.Fatal(what)
		}
	}
	check(<-result)
	open(3, "/now")
	<-arrived
	r.check(r.fr.WriteData(3, false, []byte("abc")))
	r.barrier()
	arrived <- struct{}{}
	<-arrived
	r.check(r.fr.WriteData(3, true, []byte("def")))
	check(<-result)
	open(5, "/drop")
	r.check(r.fr.WriteData(5, true, []byte("abcdef")))
	r.barrier()
	arrived <- struct{}{}
	check(<-result)
}

// TestAnswerBeforeBody: an answer that does not wait for the request ends the stream with NO_ERROR (RFC 9113 §8.1), and its late frames harm nobody.
func TestAnswerBeforeBody(t *testing.T) {
	s := start(t, false, http2.Options{}, small)
	r := dial(t, s)
	r.headers(1, false, post()...)
	if got := r.response(1); got.status != "200" {
		t.Fatal(got.status)
	}
	if code := r.reset(1); code != xhttp2.ErrCodeNo {
		t.Error(code)
	}
	for range 10 { // more than a window, which must come back
		r.check(r.fr.WriteData(1, false, make([]byte, 16384)))
		r.next(func(f xhttp2.Frame) bool { w, ok := f.(*xhttp2.WindowUpdateFrame); return ok && w.StreamID == 0 })
	}
	r.headers(1, true, "late", "trailer")
	r.alive(3)
}

// TestIgnoredBodyGivesWindowBack: what a handler leaves unread of a complete body is given back to the connection.
func TestIgnoredBodyGivesWindowBack(t *testing.T) {
	s := start(t, false, http2.Options{}, func(s *http2.Stream) {
		for !s.Body().Buffered() {
			runtime.Gosched()
		}
		small(s)
	})
	r := dial(t, s)
	for id := uint32(1); id < 20; id += 2 {
		r.headers(id, false, post()...)
		r.check(r.fr.WriteData(id, true, make([]byte, 16384)))
		r.next(func(f xhttp2.Frame) bool { w, ok := f.(*xhttp2.WindowUpdateFrame); return ok && w.StreamID == 0 })
	}
}

// TestBothWaysAtOnce: a stream that answers while it is asked, as gRPC does.
func TestBothWaysAtOnce(t *testing.T) {
	s := start(t, true, http2.Options{}, func(s *http2.Stream) {
		s.WriteHead(&message.Response{Status: 200, Framing: message.Chunked}, nil, false)
		s.Flush()
		b := s.Body()
		for !b.Complete() {
			p, err := b.Next()
			if err != nil && err != io.EOF {
				return
			}
			s.Write(p)
			s.Flush()
		}
		s.Finish(nil)
	})
	client, url := s.client(true)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	from, to := io.Pipe()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, from)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		want := fmt.Appendf(nil, "message %02d", i)
		got := make([]byte, len(want))
		if _, err := to.Write(want); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(resp.Body, got); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%s %v", got, err)
		}
	}
	_ = to.Close()
	if rest, err := io.ReadAll(resp.Body); err != nil || len(rest) > 0 {
		t.Errorf("%q %v", rest, err)
	}
	_ = resp.Body.Close()
}
