package http3_test

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/valor-ivx/weir/proxy/http3"
	"github.com/valor-ivx/weir/proxy/message"
)

// Frames at their strangest: unknown ones between the others, long varints, single bytes, trailers.
func TestOddButRight(t *testing.T) {
	s := start(t, http3.Options{}, echo)
	p := s.call(t, false)
	grease := frame(0x21, []byte("grease"))
	cases := []struct {
		name string
		b    [][]byte
		body string
		end  string // trailer
	}{
		{"plain", [][]byte{with()}, "", ""},
		{"grease around", [][]byte{grease, with(), grease}, "", ""},
		{"body", [][]byte{post(), data("one"), grease, data(""), data("two"), grease}, "onetwo", ""},
		{"length", [][]byte{post("content-length", "6"), data("one"), data("two")}, "onetwo", ""},
		{"length of nothing", [][]byte{post("content-length", "0")}, "", ""},
		{"trailers", [][]byte{post(), data("x"), headers("x-sum", "1", "host", "evil", "cookie", "evil"), grease}, "x", "x-sum: 1"},
		{"trailers alone", [][]byte{post("content-length", "1"), data("x"), headers("x-sum", "1")}, "x", "x-sum: 1"},
		{"long varints", [][]byte{post(), uvarint(0, 8), uvarint(3, 8), []byte("one"), uvarint(0, 2), uvarint(1, 4), []byte("x")}, "onex", ""},
		{"large", [][]byte{post(), data(strings.Repeat("weir", 100000))}, strings.Repeat("weir", 100000), ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			for _, piece := range []int{1 << 20, 1} {
				all := bytes.Join(c.b, nil)
				if piece == 1 && len(all) > 1000 {
					continue
				}
				q := p.open()
				for len(all) > 0 {
					n := min(piece, len(all))
					p.say(q, all[:n])
					all = all[n:]
				}
				_ = q.Close()
				a := p.answer(q)
				if a.status != http.StatusOK || string(a.body) != c.body || !a.ended || strings.Join(a.trailer, "|") != c.end {
					t.Errorf("%d %d bytes, trailer %q, %v", a.status, len(a.body), a.trailer, a.err)
				}
			}
		})
	}
}

// What breaks a stream's rules resets it, and the connection goes on. Nothing of it reaches a handler.
func TestMalformed(t *testing.T) {
	handled := make(chan string, 100)
	s := start(t, http3.Options{}, func(s *http3.Stream) {
		var req message.Request
		if err := s.ReadRequest(&req); err != nil {
			refuse(s, err)
			return
		}
		handled <- string(req.Target)
		reply(s, http.StatusOK, nil)
	})
	p := s.call(t, false)
	const malformed, incomplete = 0x10e, 0x10d
	cases := []struct {
		name string
		b    []byte
		code uint64
	}{
		{"no method", headers(":scheme", "https", ":path", "/", ":authority", "a"), malformed},
		{"no path", headers(":method", "GET", ":scheme", "https", ":authority", "a"), malformed},
		{"no scheme", headers(":method", "GET", ":path", "/", ":authority", "a"), malformed},
		{"path twice", with(":path", "/"), malformed},
		{"pseudo behind", headers(":method", "GET", "x", "y", ":scheme", "https", ":path", "/", ":authority", "a"), malformed},
		{"status", with(":status", "200"), malformed},
		{"extended connect", headers(":method", "CONNECT", ":protocol", "websocket", ":scheme", "https", ":path", "/", ":authority", "a"), malformed},
		{"upper case", with("X-A", "b"), malformed},
		{"line feed", with("x-a", "b\nc: d"), malformed},
		{"nul", with("x-a", "b\x00c"), malformed},
		{"space at the end", with("x-a", "b "), malformed},
		{"name with a colon", with("x:a", "b"), malformed},
		{"connection", with("connection", "close"), malformed},
		{"transfer encoding", with("transfer-encoding", "chunked"), malformed},
		{"transfer_encoding", with("transfer_encoding", "chunked"), malformed},
		{"upgrade", with("upgrade", "websocket"), malformed},
		{"te", with("te", "gzip"), malformed},
		{"two lengths", with("content-length", "1", "content-length", "1"), malformed},
		{"length with a plus", with("content-length", "+1"), malformed},
		{"nothing", nil, incomplete},
	}
	for _, c := range cases {
		if a := p.answer(p.ask(c.b)); a.code != c.code || a.ended || a.status != 0 {
			t.Errorf("%s: code %#x status %d %v", c.name, a.code, a.status, a.err)
		}
	}
	if n := s.counters.Malformed.Load(); n != uint64(len(cases)-1) {
		t.Errorf("%d counted", n)
	}
	if a := p.answer(p.ask(with())); a.status != http.StatusOK {
		t.Errorf("after them: %+v", a)
	}
	if len(handled) != 1 {
		t.Errorf("handled %d", len(handled))
	}
}

// What keeps to the protocol and not to a limit or to HTTP is answered.
func TestRefusedHeads(t *testing.T) {
	s := start(t, http3.Options{Limits: http3.Limits{Head: 2000, Fields: 10, Target: 100}}, echo)
	p := s.call(t, false)
	many := make([]string, 0, 40)
	for i := range 20 {
		many = append(many, fmt.Sprintf("x-%d", i), "")
	}
	for _, c := range []struct {
		name   string
		b      []byte
		status int
	}{
		{"too large encoded", with("x-a", strings.Repeat("!", 3000)), 431},
		{"too large decoded", with("x-a", strings.Repeat("0", 1900)), 431},
		{"too many", with(many...), 431},
		{"path too long", headers(":method", "GET", ":scheme", "https", ":path", "/"+strings.Repeat("a", 200), ":authority", "a"), 414},
		{"no host", headers(":method", "GET", ":scheme", "https", ":path", "/"), 400},
		{"two hosts", with("host", "a.example", "host", "a.example"), 400},
		{"another host", with("host", "b.example"), 400},
		{"user", headers(":method", "GET", ":scheme", "https", ":path", "/", ":authority", "me@a.example"), 400},
		{"path without slash", headers(":method", "GET", ":scheme", "https", ":path", "a", ":authority", "a"), 400},
		{"absolute path", headers(":method", "GET", ":scheme", "https", ":path", "http://b/", ":authority", "a"), 400},
		{"expectation", post("expect", "more"), 417},
	} {
		if a := p.answer(p.ask(c.b)); a.status != c.status || !a.ended {
			t.Errorf("%s: %d %v, want %d", c.name, a.status, a.err, c.status)
		}
	}
	if n := s.counters.HeadsRefused.Load(); n != 11 {
		t.Errorf("%d counted", n)
	}
}

// Bodies that are not what their head says are an error for whoever reads them; so is a reset.
func TestBrokenBodies(t *testing.T) {
	s := start(t, http3.Options{}, echo)
	p := s.call(t, false)
	for _, c := range []struct {
		name   string
		b      []byte
		status int
		text   string
	}{
		{"nothing", with("content-length", "3"), 400, "body differs from content-length"},
		{"too short", append(post("content-length", "9"), data("short")...), 400, "body differs from content-length"},
		{"too long", append(post("content-length", "2"), data("long")...), 400, "body differs from content-length"},
		{"too long in two", bytes.Join([][]byte{post("content-length", "2"), data("ab"), data("c")}, nil), 400, "body differs from content-length"},
		{"pseudo trailer", bytes.Join([][]byte{post(), data("ab"), headers(":path", "/")}, nil), 400, "invalid trailers"},
		{"bad trailer", bytes.Join([][]byte{post(), data("ab"), headers("x", "a\nb")}, nil), 400, "invalid trailers"},
	} {
		if a := p.answer(p.ask(c.b)); a.status != c.status || string(a.body) != c.text {
			t.Errorf("%s: %d %q %v", c.name, a.status, a.body, a.err)
		}
	}
	q := p.open(post(), data("half"))
	q.CancelWrite(0x10c)
	if a := p.answer(q); a.ended || a.status != 0 {
		t.Errorf("reset: %+v", a)
	}
}

// What breaks the connection's rules ends it, with RFC 9114's code.
func TestFaults(t *testing.T) {
	const (
		unexpected, frameError, excessive, id, settings, missing = 0x105, 0x106, 0x107, 0x108, 0x109, 0x10a
		creation, critical, compression, encoder, decoder        = 0x103, 0x104, 0x200, 0x201, 0x202
	)
	setting := func(pairs ...uint64) (b []byte) {
		for _, v := range pairs {
			b = append(b, uvarint(v, 4)...)
		}
		return frame(0x4, b)
	}
	request := func(b ...[]byte) func(*peer) { return func(p *peer) { p.ask(b...) } }
	control := func(b ...[]byte) func(*peer) { return func(p *peer) { p.say(p.control, bytes.Join(b, nil)) } }
	first := func(b []byte) func(*peer) { return func(p *peer) { p.say(p.oneWay(0x0), b) } }
	cases := []struct {
		name  string
		quiet bool
		do    func(*peer)
		code  uint64
	}{
		{"data first", false, request(data("x")), unexpected},
		{"settings on a request", false, request(with(), frame(0x4, nil)), unexpected},
		{"push promise", false, request(post(), frame(0x5, []byte{0})), unexpected},
		{"http/2's ping", false, request(frame(0x6, nil)), unexpected},
		{"priority update on a request", false, request(post(), frame(0xf0700, []byte{0})), unexpected},
		{"data behind trailers", false, request(post(), data("x"), headers("a", "b"), data("y")), unexpected},
		{"trailers twice", false, request(post(), data("x"), headers("a", "b"), headers("a", "b")), unexpected},
		{"cut in a frame", false, request(post(), []byte{0x0, 0x5, 'a'}), frameError},
		{"cut in a length", false, request(post(), []byte{0x0, 0x80}), frameError},
		{"cut in a head", false, request(with()[:9]), frameError},
		{"dynamic table", false, request(frame(0x1, []byte{0x02, 0x00, 0x80})), compression},
		{"empty section", false, request(frame(0x1, nil)), compression},
		{"static index", false, request(frame(0x1, []byte{0, 0, 0xff, 0xff, 0x01})), compression},
		{"empty data", false, request(post(), bytes.Repeat(data(""), 200)), excessive},
		{"unknown frames", false, request(bytes.Repeat(frame(0x21, nil), 200)), excessive},
		{"large unknown frame", false, request(post(), frame(0x21, make([]byte, 20000))), excessive},
		{"no settings", true, first(frame(0x7, []byte{0})), missing},
		{"setting twice", true, first(setting(6, 1, 6, 1)), settings},
		{"http/2's setting", true, first(setting(3, 1)), settings},
		{"setting cut", true, first(frame(0x4, []byte{6})), settings},
		{"datagram 2", true, first(setting(0x33, 2)), settings},
		{"large settings", true, first(frame(0x4, make([]byte, 2000))), excessive},
		{"settings again", false, control(frame(0x4, nil)), unexpected},
		{"data on control", false, control(data("x")), unexpected},
		{"goaway grows", false, control(frame(0x7, []byte{4}), frame(0x7, []byte{8})), id},
		{"push id falls", false, control(frame(0xd, []byte{4}), frame(0xd, []byte{3})), id},
		{"cancel push", false, control(frame(0x3, []byte{0})), id},
		{"priority of no request", false, control(frame(0xf0700, []byte{1, 'u', '=', '1'})), id},
		{"priority of a push", false, control(frame(0xf0701, []byte{0})), id},
		{"goaway with more", false, control(frame(0x7, []byte{0, 0})), frameError},
		{"control flood", false, control(bytes.Repeat(frame(0xf0700, []byte{0}), 2000)), excessive},
		{"control closed", false, func(p *peer) { _ = p.control.Close() }, critical},
		{"control reset", false, func(p *peer) { p.answer(p.ask(with())); p.control.CancelWrite(0x100) }, critical},
		{"second control", false, func(p *peer) { p.oneWay(0x0) }, creation},
		{"second encoder", false, func(p *peer) { p.oneWay(0x2); p.oneWay(0x2) }, creation},
		{"push stream", false, func(p *peer) { p.oneWay(0x1) }, creation},
		{"insert", false, func(p *peer) { p.say(p.oneWay(0x2), []byte{0x40, 'a', 1, 'b'}) }, encoder},
		{"encoder closed", false, func(p *peer) { _ = p.oneWay(0x2).Close() }, critical},
		{"acknowledgement", false, func(p *peer) { p.say(p.oneWay(0x3), []byte{0x80}) }, decoder},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := start(t, http3.Options{}, echo)
			p := s.call(t, c.quiet)
			c.do(p)
			if got := p.ended(); got != c.code {
				t.Errorf("code %#x, want %#x", got, c.code)
			}
			if s.counters.Faults.Load()+s.counters.Floods.Load() == 0 {
				t.Error("not counted")
			}
		})
	}
}

// What a client may say on its one-way streams does no harm.
func TestControlStreams(t *testing.T) {
	s := start(t, http3.Options{}, echo)
	p := s.call(t, false)
	p.say(p.oneWay(0x2), []byte{0x20})
	p.say(p.oneWay(0x3), []byte{0x44, 0x7f, 0x80, 0x01})
	p.oneWay(0x21)
	p.say(p.control, bytes.Join([][]byte{frame(0x21, []byte("grease")), frame(0xd, []byte{1}), frame(0xf0700, []byte{0, 'u', '=', '1'}), frame(0x7, []byte{0})}, nil))
	for range 20 { // more one-way streams than may be open at once: those that are not read are given back
		_ = p.oneWay(0x21).Close()
		if a := p.answer(p.ask(with("priority", "u=0, i"))); a.status != http.StatusOK {
			t.Fatalf("%+v", a)
		}
	}
}

// A head that does not come, and one that comes byte by byte, cost their stream.
func TestSlowHead(t *testing.T) {
	s := start(t, http3.Options{HeaderTimeout: 2 * time.Second}, echo)
	p := s.call(t, false)
	q := p.open(with()[:5])
	if a := p.answer(q); a.code != 0x107 || a.ended {
		t.Errorf("%+v", a)
	}
	if s.counters.SlowHeads.Load() != 1 {
		t.Error("not counted")
	}
	if a := p.answer(p.ask(with())); a.status != http.StatusOK {
		t.Errorf("after it: %+v", a)
	}
}
