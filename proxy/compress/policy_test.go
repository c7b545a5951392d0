package compress_test

import (
	"strings"
	"testing"

	"github.com/valor-ivx/weir/proxy/compress"
	"github.com/valor-ivx/weir/proxy/message"
)

func policy() *compress.Policy {
	return compress.New([]message.Coding{message.Brotli, message.Gzip}, 1000, []string{"text/*", "application/json", "application/*+json"})
}

// request and response have fields of lines "Name: value".
func request(method message.Method, proto message.Proto, lines ...string) *message.Request {
	r := &message.Request{Method: method, Proto: proto}
	add(&r.Header, lines)
	return r
}

func response(status int, framing message.Framing, length int64, lines ...string) *message.Response {
	r := &message.Response{Status: status, Framing: framing, ContentLength: length}
	add(&r.Header, lines)
	return r
}

func add(h *message.Header, lines []string) {
	for _, l := range lines {
		name, value, _ := strings.Cut(l, ": ")
		h.Add(name, value)
	}
}

func TestFits(t *testing.T) {
	get := request(message.GET, message.HTTP11)
	typed := func(lines ...string) *message.Response {
		return response(200, message.Length, 5000, append([]string{"Content-Type: application/json"}, lines...)...)
	}
	kind := func(k string) *message.Response { return response(200, message.Length, 5000, "Content-Type: "+k) }
	plain := func(status int, f message.Framing, n int64) *message.Response {
		return response(status, f, n, "Content-Type: text/html")
	}
	for _, c := range []struct {
		name string
		req  *message.Request
		resp *message.Response
		want bool
	}{
		{"JSON", get, typed(), true}, {"by HTTP/2", request(message.GET, message.HTTP2), typed(), true}, {"POST", request(message.POST, message.HTTP11), typed(), true},
		{"HEAD", request(message.HEAD, message.HTTP11), response(200, message.None, 5000, "Content-Type: text/html"), true},
		{"HEAD of unknown length", request(message.HEAD, message.HTTP11), response(200, message.None, -1, "Content-Type: text/html"), true},
		{"HEAD of something short", request(message.HEAD, message.HTTP11), response(200, message.None, 999, "Content-Type: text/html"), false},
		{"HTTP/1.0", request(message.GET, message.HTTP10), typed(), false},
		{"a part is asked for", request(message.GET, message.HTTP11, "Range: bytes=0-1"), typed(), false},
		{"the client wants no changes", request(message.GET, message.HTTP11, "Cache-Control: max-age=0, no-transform"), typed(), false},
		{"the client's cache", request(message.GET, message.HTTP11, "Cache-Control: no-cache"), typed(), true},
		{"long enough", get, plain(200, message.Length, 1000), true}, {"too short", get, plain(200, message.Length, 999), false}, {"empty", get, plain(200, message.Length, 0), false},
		{"chunks", get, plain(200, message.Chunked, -1), true}, {"until the end", get, plain(200, message.UntilClose, -1), true}, {"no body", get, plain(200, message.None, -1), false},
		{"an error", get, plain(500, message.Length, 5000), true}, {"not found", get, plain(404, message.Length, 5000), true},
		{"103", get, plain(103, message.Chunked, -1), false}, {"101", get, plain(101, message.Chunked, -1), false}, {"204", get, plain(204, message.Length, 5000), false}, {"205", get, plain(205, message.Length, 5000), false},
		{"206", get, plain(206, message.Length, 5000), false}, {"304", get, plain(304, message.Length, 5000), false},
		{"no type", get, response(200, message.Length, 5000), false}, {"parameters", get, kind("text/html; charset=utf-8"), true}, {"letter case", get, kind("Text/HTML ;charset=utf-8"), true},
		{"packed", get, kind("image/png"), false}, {"a suffix", get, kind("application/problem+json"), true}, {"only a suffix", get, kind("application/+json"), false}, {"another suffix", get, kind("application/a+xml"), false},
		{"no subtype", get, kind("text/"), false}, {"longer", get, kind("application/json5"), false}, {"a stream of events", get, kind("text/event-stream"), false},
		{"a stream of events, in words", get, kind("Text/Event-Stream; charset=utf-8"), false},
		{"coded", get, typed("Content-Encoding: gzip"), false}, {"coded as it is", get, typed("content-encoding: identity"), false}, {"no-transform", get, typed("Cache-Control: public, No-Transform"), false},
		{"no-transform in a second line", get, typed("Cache-Control: public", "cache-control: no-transform"), false}, {"may be kept", get, typed("Cache-Control: public"), true},
		{"a part", get, typed("Content-Range: bytes 0-1/2"), false}, {"Repr-Digest", get, typed("Repr-Digest: sha-256=:x:"), false}, {"Content-Digest", get, typed("content-digest: sha-256=:x:"), false},
		{"Digest", get, typed("Digest: sha-256=x"), false}, {"Content-MD5", get, typed("Content-MD5: x"), false}, {"a digest at the end", get, typed("Trailer: X-Time, Repr-Digest"), false}, {"a trailer", get, typed("Trailer: X-Time"), true},
	} {
		if got := policy().Fits(c.req, c.resp); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

func TestChoose(t *testing.T) {
	for _, c := range []struct{ accept, want string }{{"zstd, br, gzip", "br"}, {"gzip, zstd", "gzip"}, {"zstd", ""}, {"br;q=0.5, gzip", "gzip"}, {"", ""}, {"*", "br"}} {
		coding, ok := policy().Choose(&request(message.GET, message.HTTP11, "Accept-Encoding: "+c.accept).Header)
		if ok != (c.want != "") || ok && coding.String() != c.want {
			t.Errorf("%q: %v %v, want %q", c.accept, coding, ok, c.want)
		}
	}
}

func TestAnnounce(t *testing.T) {
	for _, c := range []struct{ tag, want string }{{`ETag: "a"`, `W/"a"`}, {`etag: W/"a"`, `W/"a"`}, {"ETag: unquoted", "unquoted"}, {"X: y", ""}} {
		resp := response(200, message.Length, 5000, "Content-Length: 5000", c.tag, "Accept-Ranges: bytes", "content-length: 5000")
		compress.Announce(resp, message.Brotli, nil)
		h := &resp.Header
		tag, _ := h.Get("ETag")
		coding, _ := h.Get("Content-Encoding")
		_, length := h.Get("Content-Length")
		_, ranges := h.Get("Accept-Ranges")
		if string(tag) != c.want || string(coding) != "br" || length || ranges || resp.ContentLength != -1 || resp.Framing != message.Chunked {
			t.Errorf("%s: tag %s, coding %s, length %v, ranges %v, %+v", c.tag, tag, coding, length, ranges, resp)
		}
	}
	head := response(200, message.None, 5000)
	if compress.Announce(head, message.Gzip, nil); head.Framing != message.None {
		t.Error("the answer to HEAD has a body")
	}
}

func TestConfirm(t *testing.T) {
	for _, c := range []struct{ asked, tag, want string }{
		{`W/"a"`, `"a"`, `W/"a"`}, {`"a"`, `"a"`, `"a"`}, {`"b", W/"a"`, `"a"`, `W/"a"`}, {`W/"ab"`, `"a"`, `"a"`}, {`W/"a"`, `W/"a"`, `W/"a"`}, {`W/"xa"`, `"a"`, `"a"`}, {"*", `"a"`, `"a"`}, {`W/"a"`, "", ""}, {`W/"`, `"`, `"`},
	} {
		resp := response(304, message.None, -1)
		if c.tag != "" {
			resp.Header.Add("ETag", c.tag)
		}
		compress.Confirm(request(message.GET, message.HTTP11, "If-None-Match: "+c.asked), resp, nil)
		if tag, _ := resp.Header.Get("ETag"); string(tag) != c.want {
			t.Errorf("%s asked, %s answered: %s, want %s", c.asked, c.tag, tag, c.want)
		}
	}
}

func TestVary(t *testing.T) {
	for _, c := range []struct {
		have []string
		want string
	}{
		{nil, "Accept-Encoding"}, {[]string{"Vary: Origin"}, "Origin, Accept-Encoding"}, {[]string{"vary: Origin, Cookie"}, "Origin, Cookie, Accept-Encoding"}, {[]string{"Vary: accept-encoding"}, "accept-encoding"},
		{[]string{"Vary: Origin,ACCEPT-ENCODING"}, "Origin,ACCEPT-ENCODING"}, {[]string{"Vary: *"}, "*"}, {[]string{"Vary: Origin", "Vary: Cookie"}, "Origin|Cookie, Accept-Encoding"},
		{[]string{"Vary: Origin", "Vary: Accept-Encoding"}, "Origin|Accept-Encoding"}, {[]string{"Vary: X-Accept-Encoding"}, "X-Accept-Encoding, Accept-Encoding"}, {[]string{"Vary: "}, "Accept-Encoding"},
	} {
		h := &response(200, message.Length, 1, c.have...).Header
		compress.Vary(h, nil)
		var got []string
		for i := range h.Len() {
			got = append(got, string(h.At(i).Value()))
		}
		if strings.Join(got, "|") != c.want {
			t.Errorf("%q: %q, want %q", c.have, got, c.want)
		}
	}
}
