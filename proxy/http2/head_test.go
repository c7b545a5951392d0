package http2_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	xhttp2 "golang.org/x/net/http2"

	"github.com/valor-ivx/weir/proxy/http2"
	"github.com/valor-ivx/weir/proxy/message"
)

// describe answers with what ReadRequest said.
func describe(s *http2.Stream) {
	var req message.Request
	if err := s.ReadRequest(&req); err != nil {
		refuse(s, err)
		return
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s|%s|%s|%s|%s|%s|%s|%d|%d|%v|%s|%s\n", req.Method, req.MethodName, req.Target, req.Path, req.Query, req.Host, req.Proto, req.Framing, req.ContentLength, req.Expect, s.Scheme(), s.Protocol())
	for i := range req.Header.Len() {
		fmt.Fprintf(&b, "%s\n", req.Header.At(i).Line())
	}
	answer(s, 200, b.Bytes())
}

func TestGoodHeads(t *testing.T) {
	cases := []struct {
		name   string
		end    bool
		fields []string
		want   string
	}{
		{"plain", true, get, "GET|GET|/|/||a.example|HTTP/2.0|0|0|false|http|\nhost: a.example\n"},
		{"query", true, at("/a%2fb?x=1?y"), "GET|GET|/a%2fb?x=1?y|/a%2fb|x=1?y|a.example|HTTP/2.0|0|0|false|http|\nhost: a.example\n"},
		{"host alone", true, append(get[:6:6], "host", "B.example:81"), "GET|GET|/|/||B.example:81|HTTP/2.0|0|0|false|http|\nhost: B.example:81\n"},
		{"host and authority", true, with("host", "A.Example"), "GET|GET|/|/||A.Example|HTTP/2.0|0|0|false|http|\nhost: A.Example\n"},
		{"cookies", true, with("cookie", "a=b", "x-y", "z", "cookie", "c=d", "cookie", "e"), "GET|GET|/|/||a.example|HTTP/2.0|0|0|false|http|\nhost: a.example\ncookie: a=b; c=d; e\nx-y: z\n"},
		{"one cookie", true, with("cookie", "a=b; c=d"), "GET|GET|/|/||a.example|HTTP/2.0|0|0|false|http|\nhost: a.example\ncookie: a=b; c=d\n"},
		{"length", false, post("content-length", "12", "expect", "100-continue"), "POST|POST|/|/||a.example|HTTP/2.0|1|12|true|http|\nhost: a.example\ncontent-length: 12\nexpect: 100-continue\n"},
		{"unknown length", false, post(), "POST|POST|/|/||a.example|HTTP/2.0|2|0|false|http|\nhost: a.example\n"},
		{"length of nothing", true, post("content-length", "0"), "POST|POST|/|/||a.example|HTTP/2.0|0|0|false|http|\nhost: a.example\ncontent-length: 0\n"},
		{"te", true, with("te", "trailers"), "GET|GET|/|/||a.example|HTTP/2.0|0|0|false|http|\nhost: a.example\nte: trailers\n"},
		{"empty value", true, with("x-a", ""), "GET|GET|/|/||a.example|HTTP/2.0|0|0|false|http|\nhost: a.example\nx-a: \n"},
		{"obs-text", true, with("x-a", "caf\xc3\xa9\tb"), "GET|GET|/|/||a.example|HTTP/2.0|0|0|false|http|\nhost: a.example\nx-a: caf\xc3\xa9\tb\n"},
		{"asterisk", true, []string{":method", "OPTIONS", ":scheme", "https", ":path", "*", ":authority", "a"}, "OPTIONS|OPTIONS|*|*||a|HTTP/2.0|0|0|false|https|\nhost: a\n"},
		{"connect", true, []string{":method", "CONNECT", ":authority", "a.example:443"}, "CONNECT|CONNECT|a.example:443|||a.example:443|HTTP/2.0|0|0|false||\nhost: a.example:443\n"},
		{"extended connect", false, []string{":method", "CONNECT", ":protocol", "websocket", ":scheme", "https", ":path", "/chat", ":authority", "a"}, "CONNECT|CONNECT|/chat|/chat||a|HTTP/2.0|2|0|false|https|websocket\nhost: a\n"},
		{"other method", true, []string{":method", "PURGE", ":scheme", "https", ":path", "/", ":authority", "a"}, "OTHER|PURGE|/|/||a|HTTP/2.0|0|0|false|https|\nhost: a\n"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := start(t, false, http2.Options{ExtendedConnect: true}, describe)
			r := dial(t, s)
			for id := uint32(1); id < 6; id += 2 { // again, from the dynamic table and in memory used before
				r.headers(id, c.end, c.fields...)
				if got := string(r.response(id).body); got != c.want {
					t.Fatalf("stream %d: got\n%swant\n%s", id, got, c.want)
				}
			}
		})
	}
}

func TestRefusedHeads(t *testing.T) {
	cases := []struct {
		name   string
		fields []string
		status string
	}{
		{"absolute path", at("http://a.example/"), "400"},
		{"relative path", at("a"), "400"},
		{"asterisk", at("*"), "400"},
		{"space in path", at("/a b"), "400"},
		{"fragment", at("/a#b"), "400"},
		{"raw utf-8 in path", at("/\xc3\xa9"), "400"},
		{"long path", at("/" + strings.Repeat("a", 8<<10)), "414"},
		{"scheme", []string{":method", "GET", ":scheme", "ftp", ":path", "/", ":authority", "a"}, "400"},
		{"no authority", get[:6], "400"},
		{"two hosts", with("host", "a.example", "host", "a.example"), "400"},
		{"other host", with("host", "b.example"), "400"},
		{"userinfo", []string{":method", "GET", ":scheme", "http", ":path", "/", ":authority", "u@a"}, "400"},
		{"bad port", []string{":method", "GET", ":scheme", "http", ":path", "/", ":authority", "a:b"}, "400"},
		{"empty host", with("host", ""), "400"},
		{"expectation", with("expect", "200-ok"), "417"},
		{"many fields", with(strings.Split(strings.Repeat("a b ", 100)+"a b", " ")...), "431"},
		{"large field", with("a", strings.Repeat("b", 33<<10)), "431"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := start(t, false, http2.Options{}, describe)
			r := dial(t, s)
			for id := uint32(1); id < 4; id += 2 {
				r.long(id, c.fields...)
				if got := r.response(id).status; got != c.status {
					t.Fatalf("status %s", got)
				}
			}
			if s.counters.HeadsRefused.Load() != 2 {
				t.Error("not counted")
			}
			r.alive(5)
		})
	}
}

// long is headers for a block that may need CONTINUATION frames.
func (r *raw) long(id uint32, fields ...string) {
	r.t.Helper()
	block := r.fields(fields...)
	n := min(len(block), 16384)
	r.check(r.fr.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: id, BlockFragment: block[:n], EndHeaders: n == len(block), EndStream: true}))
	for block = block[n:]; len(block) > 0; block = block[n:] {
		n = min(len(block), 16384)
		r.check(r.fr.WriteContinuation(id, n == len(block), block[:n]))
	}
}

// TestMalformedHeads: nothing that HTTP/1 could read differently reaches a handler (RFC 9113 §8.2, §8.3, §10.3).
func TestMalformedHeads(t *testing.T) {
	reached := make(chan struct{}, 100)
	cases := map[string][]string{
		"upper case":             with("X-A", "b"),
		"space in name":          with("x a", "b"),
		"colon in name":          with("x:a", "b"),
		"newline in name":        with("x\r\na", "b"),
		"empty name":             with("", "b"),
		"newline in value":       with("x", "a\r\nevil: 1"),
		"bare return":            with("x", "a\rb"),
		"bare feed":              with("x", "a\nb"),
		"nul":                    with("x", "a\x00b"),
		"delete":                 with("x", "a\x7fb"),
		"leading space":          with("x", " a"),
		"trailing tab":           with("x", "a\t"),
		"connection":             with("connection", "close"),
		"keep-alive":             with("keep-alive", "5"),
		"proxy-connection":       with("proxy-connection", "close"),
		"transfer-encoding":      with("transfer-encoding", "chunked"),
		"transfer_encoding":      with("transfer_encoding", "chunked"),
		"upgrade":                with("upgrade", "websocket"),
		"te":                     with("te", "gzip"),
		"te list":                with("te", "trailers, gzip"),
		"length of a":            with("content-length", "a"),
		"length +1":              with("content-length", "+1"),
		"length list":            with("content-length", "1, 1"),
		"two lengths":            with("content-length", "0", "content-length", "0"),
		"content_length":         with("content_length", "5"),
		"length without body":    with("content-length", "5"),
		"unknown pseudo":         append([]string{":status", "200"}, get...),
		"pseudo behind":          []string{":method", "GET", ":scheme", "http", "x", "y", ":path", "/", ":authority", "a"},
		"pseudo twice":           append([]string{":path", "/b"}, get...),
		"newline in path":        at("/ HTTP/1.1\r\nhost: b\r\n\r\n"),
		"newline in method":      append([]string{":method", "GET / HTTP/1.1\r\nx:"}, get[2:]...),
		"space in method":        append([]string{":method", "GET /"}, get[2:]...),
		"newline in authority":   []string{":method", "GET", ":scheme", "http", ":path", "/", ":authority", "a\r\nx: y"},
		"empty method":           append([]string{":method", ""}, get[2:]...),
		"empty path":             at(""),
		"no path":                []string{":method", "GET", ":scheme", "http", ":authority", "a"},
		"no scheme":              []string{":method", "GET", ":path", "/", ":authority", "a"},
		"no method":              get[2:],
		"connect with path":      append([]string{":method", "CONNECT"}, get[2:]...),
		"connect to nobody":      {":method", "CONNECT"},
		"protocol, not offered":  {":method", "CONNECT", ":protocol", "websocket", ":scheme", "https", ":path", "/", ":authority", "a"},
		"pseudo of another case": append([]string{":Method", "GET"}, get...),
	}
	for name, fields := range cases {
		t.Run(name, func(t *testing.T) {
			s := start(t, false, http2.Options{}, func(s *http2.Stream) {
				var req message.Request
				if s.ReadRequest(&req) == nil && req.Header.Len() != 1 {
					reached <- struct{}{}
				}
				small(s)
			})
			r := dial(t, s)
			r.headers(1, true, fields...)
			if code := r.reset(1); code != xhttp2.ErrCodeProtocol {
				t.Errorf("reset with %v", code)
			}
			if s.counters.Malformed.Load() != 1 || s.counters.Streams.Load() != 0 {
				t.Error("not counted, or served")
			}
			r.alive(3)
		})
	}
	if len(reached) > 0 {
		t.Error("a handler saw one")
	}
}
