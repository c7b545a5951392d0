package http2_test

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"

	xhttp2 "golang.org/x/net/http2"

	"github.com/valor-ivx/weir/proxy/http2"
	"github.com/valor-ivx/weir/proxy/message"
)

func TestResponses(t *testing.T) {
	length := func(status int, n int64) *message.Response {
		return &message.Response{Status: status, Framing: message.Length, ContentLength: n}
	}
	cases := []struct {
		name   string
		method string
		write  func(s *http2.Stream)
		status string
		body   string
		frames int // DATA frames
		field  string
		code   xhttp2.ErrCode // the reset that ends it, if one does
	}{
		{"length", "GET", func(s *http2.Stream) {
			s.WriteHead(length(200, 5), []byte("Content-Length: 5\r\n"), true)
			s.Write([]byte("hello"))
			s.Finish(nil)
		}, "200", "hello", 1, "5", 0},
		{"unknown length", "GET", func(s *http2.Stream) {
			s.WriteHead(&message.Response{Status: 404, Framing: message.Chunked}, nil, false)
			s.Write([]byte("hel"))
			s.Write([]byte("lo"))
			s.Finish(nil)
		}, "404", "hello", 2, "", 0},
		{"nothing after a flush", "GET", func(s *http2.Stream) {
			s.WriteHead(&message.Response{Status: 200, Framing: message.UntilClose}, nil, false)
			s.Write([]byte("hello"))
			s.Flush()
			s.Finish(nil)
		}, "200", "hello", 2, "", 0},
		{"head", "HEAD", func(s *http2.Stream) {
			s.WriteHead(length(200, 5), []byte("Content-Length: 5\r\n"), false)
			s.Write([]byte("hello"))
			s.Finish(nil)
		}, "200", "", 0, "5", 0},
		{"no content", "GET", func(s *http2.Stream) {
			s.WriteHead(&message.Response{Status: 204, Framing: message.None}, nil, false)
			s.Write([]byte("hello"))
			s.Finish(nil)
		}, "204", "", 0, "", 0},
		{"not modified", "GET", func(s *http2.Stream) {
			s.WriteHead(length(304, 5), []byte("content-length: 5\r\n"), false)
			s.Finish(nil)
		}, "304", "", 0, "5", 0},
		{"empty", "GET", func(s *http2.Stream) { answer(s, 200, nil) }, "200", "", 0, "0", 0},
		{"more than announced", "GET", func(s *http2.Stream) {
			s.WriteHead(length(200, 5), nil, false)
			s.Write([]byte("hello, world"))
			s.Finish(nil)
		}, "200", "hello", 1, "", 0},
		{"other status", "GET", func(s *http2.Stream) { answer(s, 599, nil) }, "599", "", 0, "0", 0},
		{"less than announced", "GET", func(s *http2.Stream) {
			s.WriteHead(length(200, 50), nil, false)
			s.Write([]byte("hello"))
			s.Finish(nil)
		}, "", "", 0, "", xhttp2.ErrCodeInternal},
		{"no answer", "GET", func(*http2.Stream) {}, "", "", 0, "", xhttp2.ErrCodeInternal},
		{"head without end", "GET", func(s *http2.Stream) {
			s.WriteHead(&message.Response{Status: 200, Framing: message.Chunked}, nil, false)
			s.EndExchange()
		}, "", "", 0, "", xhttp2.ErrCodeInternal},
		{"aborted", "GET", func(s *http2.Stream) {
			s.WriteHead(&message.Response{Status: 200, Framing: message.Chunked}, nil, false)
			s.Write([]byte("hello"))
			s.Abort(http2.Cancel)
			s.Finish(nil)
		}, "", "", 0, "", xhttp2.ErrCodeCancel},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := start(t, false, http2.Options{}, c.write)
			r := dial(t, s)
			for id := uint32(1); id < 6; id += 2 {
				r.headers(id, true, append([]string{":method", c.method}, get[2:]...)...)
				if c.code != 0 {
					if code := r.reset(id); code != c.code {
						t.Errorf("reset with %v", code)
					}
					continue
				}
				got := r.response(id)
				if got.status != c.status || string(got.body) != c.body || got.frames != c.frames || got.get("content-length") != c.field {
					t.Errorf("%+v", got)
				}
			}
		})
	}
}

// TestResponseFields: names in lower case, order kept, hop-by-hop fields and the upstream's request id left out, however large the head.
func TestResponseFields(t *testing.T) {
	long := strings.Repeat("v", 40_000)
	s := start(t, false, http2.Options{}, func(s *http2.Stream) {
		resp := message.Response{Status: 200, Framing: message.Length}
		for _, f := range [][2]string{{"Server", "x"}, {"Connection", "close"}, {"Transfer-Encoding", "chunked"}, {"X-Request-ID", "theirs"}, {"Set-Cookie", "a=b"}, {"set-cookie", "c=d"}, {"X-Long", long}} {
			resp.Header.Add(f[0], f[1])
		}
		interim := message.Response{Status: 103}
		interim.Header.Add("Link", "</a>; rel=preload")
		s.WriteInterim(&interim)
		s.WriteInterim(&message.Response{Status: 101})
		s.WriteInterim(&message.Response{Status: 100})
		s.WriteHead(&resp, []byte("X-Request-ID: ours\r\nConnection: close\r\nX-Empty:\r\n"), false)
		s.Finish(nil)
	})
	r := dial(t, s)
	for id := uint32(1); id < 8; id += 2 {
		r.headers(id, true, get...)
		got := r.response(id)
		var names []string
		for _, f := range got.fields {
			names = append(names, f.Name+"="+f.Value[:min(len(f.Value), 6)])
		}
		if all := strings.Join(names, " "); all != "server=x set-cookie=a=b set-cookie=c=d x-long=vvvvvv x-request-id=ours x-empty=" {
			t.Fatal(all)
		}
		if got.get("x-long") != long || strings.Join(got.interim, " ") != "103 100" {
			t.Fatalf("%v %d", got.interim, len(got.get("x-long")))
		}
	}
}

// TestTableSize: the encoder follows a table that the client shrinks, grows and shuts.
func TestTableSize(t *testing.T) {
	s := start(t, false, http2.Options{}, hello)
	r := dial(t, s)
	id := uint32(1)
	for _, size := range []uint32{4096, 4096, 0, 4096, 100, 1 << 20, 64} {
		r.check(r.fr.WriteSettings(xhttp2.Setting{ID: xhttp2.SettingHeaderTableSize, Val: size}))
		r.barrier()
		r.dec.SetAllowedMaxDynamicTableSize(size)
		for range 5 {
			r.headers(id, true, get...)
			if got := r.response(id); got.status != "200" || got.get("content-type") != "application/json" || got.get("cache-control") != "no-store" {
				t.Fatalf("%d: %+v", size, got)
			}
			id += 2
		}
	}
}

// TestExtendedConnect is RFC 8441: a stream as a two-way pipe.
func TestExtendedConnect(t *testing.T) {
	s := start(t, false, http2.Options{ExtendedConnect: true}, func(s *http2.Stream) {
		var req message.Request
		if s.ReadRequest(&req) != nil || string(s.Protocol()) != "websocket" {
			return
		}
		s.WriteHead(&message.Response{Status: 200, Framing: message.None}, nil, false)
		s.Flush()
		for p, err := s.Body().Next(); err == nil; p, err = s.Body().Next() {
			s.Write(bytes.ToUpper(p))
			s.Flush()
		}
		s.Finish(nil)
	})
	r := dialSilent(t, s)
	r.write([]byte(http2.Preface))
	r.check(r.fr.WriteSettings())
	offered := r.next(func(f xhttp2.Frame) bool { _, ok := f.(*xhttp2.SettingsFrame); return ok }).(*xhttp2.SettingsFrame)
	if v, ok := offered.Value(xhttp2.SettingEnableConnectProtocol); !ok || v != 1 {
		t.Error("not offered")
	}
	r.headers(1, false, ":method", "CONNECT", ":protocol", "websocket", ":scheme", "http", ":path", "/", ":authority", "a")
	for range 3 {
		r.check(r.fr.WriteData(1, false, []byte("ping")))
		d := r.next(func(f xhttp2.Frame) bool { _, ok := f.(*xhttp2.DataFrame); return ok }).(*xhttp2.DataFrame)
		if string(d.Data()) != "PING" || d.StreamEnded() {
			t.Fatalf("%q", d.Data())
		}
	}
	r.check(r.fr.WriteData(1, true, nil))
	if n := r.remainder(1); n != 0 {
		t.Errorf("%d bytes more", n)
	}
}

// TestConcurrencyLimit: one stream too many is refused and can be said again; the limit counts streams, not handlers.
func TestConcurrencyLimit(t *testing.T) {
	release := make(chan struct{})
	s := start(t, false, http2.Options{MaxStreams: 2}, func(s *http2.Stream) {
		<-release
		small(s)
	})
	r := dial(t, s)
	r.headers(1, true, get...)
	r.headers(3, true, get...)
	r.headers(5, true, get...)
	if code := r.reset(5); code != xhttp2.ErrCodeRefusedStream {
		t.Error(code)
	}
	close(release)
	r.response(1)
	r.alive(7)
}

// TestCurl: a client of another family, over TLS and without.
func TestCurl(t *testing.T) {
	curl, err := exec.LookPath("curl")
	if err != nil {
		if os.Getenv("WEIR_TEST_ALL") == "1" {
			t.Fatal(err)
		}
		t.Skip("skipped: needs curl (make deps)")
	}
	for _, secure := range []bool{true, false} {
		s := start(t, secure, http2.Options{}, echo)
		flag, url := "--http2", "https://"
		if !secure {
			flag, url = "--http2-prior-knowledge", "http://"
		}
		cmd := exec.Command(curl, "-sk", flag, "--max-time", "10", "--data-binary", "@-", "-w", " %{http_version} %{response_code}", url+s.address()+"/")
		body := strings.Repeat("0123456789", 100_000)
		cmd.Stdin = strings.NewReader(body)
		out, err := cmd.Output()
		if err != nil || string(out) != body+" 2 200" {
			t.Errorf("%v: %d bytes", err, len(out))
		}
	}
}
