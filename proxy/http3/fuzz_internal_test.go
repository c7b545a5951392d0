package http3

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"slices"
	"testing"
	"testing/iotest"

	"github.com/quic-go/qpack"
	"github.com/quic-go/quic-go/quicvarint"

	"github.com/valor-ivx/weir/proxy/message"
)

// dribble gives step bytes at a time, with a deadline before each piece and the end together with the last, as streams of quic-go may.
type dribble struct {
	b      []byte
	step   int
	waited bool
}

func (d *dribble) Read(p []byte) (int, error) {
	if d.waited = !d.waited; d.waited {
		return 0, os.ErrDeadlineExceeded
	}
	n := copy(p[:min(len(p), d.step)], d.b)
	if d.b = d.b[n:]; len(d.b) == 0 {
		return n, io.EOF
	}
	return n, nil
}

func unknownly(b []byte) []byte { return append(uframe(0x21, "grease"), b...) }

func uframe(kind uint64, payload string) []byte {
	return append(quicvarint.Append(quicvarint.Append(nil, kind), uint64(len(payload))), payload...)
}

func section(pairs ...string) string {
	var b bytes.Buffer
	e := qpack.NewEncoder(&b)
	for i := 0; i < len(pairs); i += 2 {
		_ = e.WriteField(qpack.HeaderField{Name: pairs[i], Value: pairs[i+1]})
	}
	return b.String()
}

// FuzzVarint: integers are what quic-go takes them for, from a slice and from a stream, and go back in the shortest form.
func FuzzVarint(f *testing.F) {
	for _, v := range []uint64{0, 63, 64, 1<<14 - 1, 1 << 14, 1<<30 - 1, 1 << 30, 1<<62 - 1} {
		f.Add(quicvarint.Append(nil, v))
	}
	f.Add([]byte{0xc0, 0, 0, 0, 0, 0, 0})
	f.Add([]byte{0x40, 0x1, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		want, n, wrong := quicvarint.Parse(b)
		got, rest, ok := takeVarint(b)
		streamed, err := readVarint(bufio.NewReader(bytes.NewReader(b)))
		if ok != (wrong == nil) || ok != (err == nil) {
			t.Fatalf("%x: %v, %v; want %v", b, ok, err, wrong)
		}
		if ok && (got != want || streamed != want || len(rest) != len(b)-n || !bytes.Equal(appendVarint(nil, want), quicvarint.Append(nil, want))) {
			t.Fatalf("%x: %d and %d, %d bytes left; want %d", b, got, streamed, len(rest), want)
		}
	})
}

// FuzzFrames: wherever a stream pauses, its frames are the same, and they are those that quic-go's integers cut it into.
func FuzzFrames(f *testing.F) {
	f.Add(unknownly(uframe(frameData, "body")), byte(1))
	f.Add(append(uframe(frameHeaders, section(":method", "GET")), uframe(frameData, "")...), byte(3))
	f.Add([]byte{0x40, 0x00, 0x80, 0, 0, 2, 'a', 'b'}, byte(2))
	f.Add([]byte{0xc0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 'x'}, byte(5))
	f.Add([]byte{0x01}, byte(1))
	f.Fuzz(func(t *testing.T, b []byte, step byte) {
		in := frames{from: &dribble{b: b, step: int(step) + 1}}
		for rest := b; ; {
			err := again(in.next)
			kind, n, bad := quicvarint.Parse(rest)
			length, m, worse := quicvarint.Parse(rest[n:])
			if len(rest) == 0 || bad != nil || worse != nil {
				if want := map[bool]error{true: io.EOF, false: failTruncated}[len(rest) == 0]; err != want {
					t.Fatalf("behind %x: %v, want %v", b[:len(b)-len(rest)], err, want)
				}
				return
			}
			if err != nil || in.kind != kind || in.left != length {
				t.Fatalf("%x: type %#x, %d bytes, %v; want %#x, %d", rest, in.kind, in.left, err, kind, length)
			}
			var payload []byte
			err = again(func() (err error) { payload, err = in.whole(payload); return err })
			rest = rest[n+m:]
			have := min(length, uint64(len(rest)))
			if !bytes.Equal(payload, rest[:have]) || (err == nil) != (have == length) || err != nil && err != failTruncated {
				t.Fatalf("payload %x, %v; want %x of %d bytes", payload, err, rest[:have], length)
			}
			if rest = rest[have:]; err != nil {
				return
			}
		}
	})
}

// again does what a deadline stopped until it is done.
func again(do func() error) error {
	for {
		if err := do(); err != os.ErrDeadlineExceeded {
			return err
		}
	}
}

// FuzzBody: a body is the same wherever it pauses, never longer than was announced, and what ends well is DATA frames in order with at most one trailer section behind them.
func FuzzBody(f *testing.F) {
	f.Add(slices.Concat(uframe(frameData, "one"), unknownly(uframe(frameData, "two")), uframe(frameHeaders, section("x-sum", "1"))), int16(6), byte(1))
	f.Add(slices.Concat(uframe(frameData, ""), uframe(frameData, "x")), int16(-1), byte(2))
	f.Add(uframe(frameData, "five!"), int16(4), byte(7))
	f.Add(slices.Concat(uframe(frameHeaders, section("x-sum", "1")), uframe(frameHeaders, section("x-sum", "2"))), int16(-1), byte(3))
	f.Add(slices.Concat(uframe(frameHeaders, section("x-sum", "1")), uframe(frameData, "late")), int16(-1), byte(1))
	f.Add(uframe(frameHeaders, section("host", "evil", "content-length", "9", "te", "gzip")), int16(0), byte(0))
	f.Add(bytes.Repeat(uframe(0x40, ""), maxIdleFrames+1), int16(-1), byte(9))
	f.Add(uframe(frameSettings, ""), int16(-1), byte(0))
	f.Fuzz(func(t *testing.T, b []byte, declared int16, step byte) {
		got, trailers, end := readBody(t, bytes.NewReader(b), int64(declared), 512)
		again, same, too := readBody(t, &dribble{b: b, step: int(step) + 1}, int64(declared), int(step)+1)
		if !bytes.Equal(got, again) || trailers != same || end != too {
			t.Fatalf("at once %q, %q, %v\nin pieces %q, %q, %v", got, trailers, end, again, same, too)
		}
		if declared >= 0 && len(got) > int(declared) {
			t.Fatalf("%d bytes of %d", len(got), declared)
		}
		if end == io.EOF {
			if want, sections := dataOf(t, b); !bytes.Equal(got, want) || sections > 1 {
				t.Fatalf("%q and %d trailer sections, want %q", got, sections, want)
			}
		}
	})
}

func readBody(t *testing.T, from io.Reader, declared int64, room int) (got []byte, trailers string, end error) {
	t.Helper()
	b := &Body{s: &Stream{conn: &Conn{o: (&Options{Limits: Limits{Head: 200, Fields: 4}}).withDefaults()}}, frames: frames{from: from}, declared: max(declared, -1)}
	p := make([]byte, room)
	for {
		n, err := b.content(p)
		got, b.arrived = append(got, p[:n]...), b.arrived+int64(n)
		if err == os.ErrDeadlineExceeded {
			continue
		}
		if err == nil {
			continue
		}
		for i := range b.trailers.Len() {
			line := b.trailers.At(i).Line()
			if bytes.ContainsAny(line, "\r\n\x00") {
				t.Fatalf("trailer line %q", line)
			}
			trailers += string(line) + "\n"
		}
		var refused *Error
		if err != io.EOF && asConnError(err) == nil && !errors.As(err, &refused) {
			t.Fatalf("ends with %v", err)
		}
		return got, trailers, err
	}
}

// dataOf cuts a body that ended well another way.
func dataOf(t *testing.T, b []byte) (data []byte, sections int) {
	t.Helper()
	for len(b) > 0 {
		kind, n, err := quicvarint.Parse(b)
		if err != nil {
			t.Fatal(err)
		}
		length, m, err := quicvarint.Parse(b[n:])
		if err != nil || uint64(len(b)-n-m) < length {
			t.Fatalf("%x ended well", b)
		}
		payload := b[n+m : n+m+int(length)]
		b = b[n+m+int(length):]
		switch {
		case kind == frameData && sections == 0:
			data = append(data, payload...)
		case kind == frameHeaders:
			sections++
		case known(kind):
			t.Fatalf("a frame of type %#x passed", kind)
		}
	}
	return data, sections
}

// FuzzSettings: what is valid are pairs, none twice, none of HTTP/2's.
func FuzzSettings(f *testing.F) {
	f.Add([]byte{settingMaxFieldSection, 0x40, 0x64, 0x1, 0x0, 0x7, 0x10, settingExtendedConnect, 1, settingDatagram, 0})
	f.Add([]byte{0x2, 0x0})
	f.Add([]byte{0x6, 0x1, 0x40, 0x6, 0x1})
	f.Add([]byte{settingDatagram, 2})
	f.Add([]byte{0x6})
	f.Fuzz(func(t *testing.T, b []byte) {
		want := true
		seen := map[uint64]bool{}
		for r := bytes.NewReader(b); want && r.Len() > 0; {
			id, err := quicvarint.Read(r)
			value, missing := quicvarint.Read(r)
			flag := id == 0x8 || id == 0x33 // RFC 9220 §3, RFC 9297 §2.1.1: 0 or 1
			want = err == nil && missing == nil && !seen[id] && !(id > 1 && id < 6) && !(flag && value > 1)
			seen[id] = true
		}
		if got := validSettings(b); got != want {
			t.Fatalf("%x: %v", b, got)
		}
	})
}

// FuzzControl: a control stream ends with its client's end of it or with an error that closes the connection, wherever it pauses, and no frame on it passes before SETTINGS.
func FuzzControl(f *testing.F) {
	f.Add(slices.Concat(uframe(frameSettings, ""), unknownly(uframe(frameGoAway, "\x04")), uframe(frameGoAway, "\x00"), uframe(frameMaxPushID, "\x08")))
	f.Add(slices.Concat(uframe(frameSettings, "\x06\x10"), uframe(framePriority, "\x00u=0, i"), uframe(framePriority, "\x01u=0")))
	f.Add(slices.Concat(uframe(frameSettings, ""), uframe(frameSettings, "")))
	f.Add(slices.Concat(uframe(frameSettings, ""), uframe(frameCancelPush, "\x00")))
	f.Add(slices.Concat(uframe(frameSettings, ""), bytes.Repeat(uframe(0x21, ""), maxControlIdle+1)))
	f.Add(unknownly(uframe(frameSettings, "")))
	f.Add(uframe(0x21, ""))
	f.Add([]byte{frameSettings, 0x44, 0x01, 0x06})
	f.Fuzz(func(t *testing.T, b []byte) {
		err := (&Conn{}).readControl(bytes.NewReader(b))
		if err != io.EOF && asConnError(err) == nil {
			t.Fatalf("ends with %v", err)
		}
		if slow := (&Conn{}).readControl(iotest.OneByteReader(bytes.NewReader(b))); slow != err {
			t.Fatalf("at once %v, in pieces %v", err, slow)
		}
		if kind, _, bad := quicvarint.Parse(b); err == io.EOF && len(b) > 0 && (bad != nil || kind != frameSettings) {
			t.Fatalf("%x was taken for a control stream", b)
		}
	})
}

// FuzzTableStreams: the streams of a table that there is not say nothing that would need one.
func FuzzTableStreams(f *testing.F) {
	for _, b := range [][]byte{nil, {0x20, 0x20}, {0x21}, {0x3f, 0xe1, 0x1f}, {0x40}, {0x7f, 0x80, 0x01}, {0x80}, {0x01}, {0xc0, 0x01, 'x'}} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		err := readEncoder(bufio.NewReader(bytes.NewReader(b)))
		if quiet := len(bytes.Trim(b, "\x20")) == 0; quiet != (err == io.EOF) || !quiet && err != failEncoderStream {
			t.Fatalf("encoder stream %x: %v", b, err)
		}
		want := error(io.EOF)
		for i := 0; i < len(b); i++ {
			if b[i]>>6 != 1 { // RFC 9204 §4.4.2 alone
				want = failDecoderStream
				break
			}
			if b[i]&0x3f == 0x3f {
				for i++; i < len(b) && b[i] >= 0x80; i++ {
				}
			}
		}
		if err := readDecoder(bufio.NewReader(bytes.NewReader(b))); err != want {
			t.Fatalf("decoder stream %x: %v, want %v", b, err, want)
		}
	})
}

// FuzzHead: whatever a field section holds, a request that comes out of it can be written as HTTP/1.1 without changing its meaning.
func FuzzHead(f *testing.F) {
	seed := func(pairs ...string) {
		f.Add([]byte(section(pairs...)), true)
		f.Add([]byte(section(pairs...)), false)
	}
	seed(":method", "GET", ":scheme", "https", ":path", "/", ":authority", "a", "cookie", "a", "cookie", "b", "content-length", "0")
	seed(":method", "CONNECT", ":authority", "a:1")
	seed(":method", "POST", ":scheme", "https", ":path", "/?q", ":authority", "a", "content-length", "5", "expect", "100-continue", "priority", "u=1, i")
	seed(":method", "OPTIONS", ":scheme", "http", ":path", "*", "host", "[::1]:80", "te", "trailers")
	f.Add([]byte{0x01, 0x00, 0x80}, true)                   // a table that there is not
	f.Add([]byte{0x00, 0x00, 0xff, 0xff, 0xff, 0xff}, true) // an entry far beyond the static table
	f.Add([]byte{0x00, 0x00, 0xd1, 0xd7, 0xc1, 0x50, 0x81, 0x1f}, true)
	f.Fuzz(func(t *testing.T, block []byte, ended bool) {
		h := &message.Collector{Limits: Limits{Head: 4096, Fields: 20, Target: 200}, Proto: message.HTTP3}
		h.Begin(nil, false)
		if fault := decode(block, h); fault != nil {
			if fault != failCompression {
				t.Fatal(fault)
			}
			return
		}
		var req message.Request
		if refused, malformed := h.Request(&req, ended); refused == nil && malformed == nil {
			checkRequest(t, &req, ended)
		}
	})
}

func checkRequest(t *testing.T, req *message.Request, ended bool) {
	t.Helper()
	if bytes.ContainsAny(slices.Concat(req.MethodName, req.Target), " \r\n\x00\t") || len(req.MethodName) == 0 || len(req.Target) == 0 {
		t.Fatalf("request line %q %q", req.MethodName, req.Target)
	}
	hosts, lengths := 0, 0
	for i := range req.Header.Len() {
		fld := req.Header.At(i)
		if bytes.ContainsAny(fld.Line(), "\r\n\x00") || len(fld.Name()) == 0 || !message.All(fld.Name(), message.LowerTokenByte) {
			t.Fatalf("line %q", fld.Line())
		}
		switch fld.ID() {
		case message.Host:
			hosts++
		case message.ContentLength:
			lengths++
		case message.Connection, message.TransferEncoding, message.Upgrade, message.KeepAlive, message.ProxyConnection:
			t.Fatalf("line %q", fld.Line())
		}
	}
	if hosts != 1 || len(req.Host) == 0 || lengths > 1 {
		t.Fatalf("%d hosts, %d lengths", hosts, lengths)
	}
	if ended && req.Framing != message.None || req.Framing == message.Length && req.ContentLength <= 0 {
		t.Fatalf("framing %v, length %d, ended %v", req.Framing, req.ContentLength, ended)
	}
}

// FuzzField: a decoder finds in a HEADERS frame what the encoder was given, its name in lower case.
func FuzzField(f *testing.F) {
	f.Add(200, "Content-Type", "text/html")
	f.Add(418, "content_length", "9")
	f.Add(999, "X-Long-Name-Of-More-Than-Thirty-Bytes", string(bytes.Repeat([]byte("v"), 300)))
	f.Add(103, "a", "")
	f.Fuzz(func(t *testing.T, status int, name, value string) {
		if status < 100 || status > 999 || !message.All(name, message.TokenByte) || name == "" {
			return // answers have none such
		}
		b := appendField(appendStatus(beginHeaders(nil), status), []byte(name), []byte(value), message.IDOf(name))
		endHeaders(b, 0)
		in := frames{from: bytes.NewReader(b)}
		if err := in.next(); err != nil || in.kind != frameHeaders || int(in.left) != len(b)-headersHead {
			t.Fatalf("frame of %d bytes: %v", in.left, err)
		}
		next := qpack.NewDecoder().Decode(b[headersHead:])
		first, err := next()
		if err != nil || first.Name != ":status" || first.Value != string([]byte{byte('0' + status/100), byte('0' + status/10%10), byte('0' + status%10)}) {
			t.Fatalf("%v %v", first, err)
		}
		second, err := next()
		if err != nil || second.Name != string(bytes.ToLower([]byte(name))) || second.Value != value {
			t.Fatalf("%q %q, %v", second.Name, second.Value, err)
		}
		if _, err := next(); err != io.EOF {
			t.Fatal(err)
		}
	})
}
