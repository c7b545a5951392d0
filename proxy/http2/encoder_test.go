package http2

import (
	"bytes"
	"fmt"
	"testing"

	"golang.org/x/net/http2/hpack"
	"pgregory.net/rapid"

	"github.com/valor-ivx/weir/proxy/message"
)

// TestEncoderIsUnderstood: whatever is encoded, x/net's decoder reads back, across blocks and table sizes. Names and values come from few, so that the table is used, evicted
// and wrapped.
func TestEncoderIsUnderstood(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var e encoder
		e.init()
		var got []hpack.HeaderField
		d := hpack.NewDecoder(4096, func(f hpack.HeaderField) { got = append(got, f) })
		for range rapid.IntRange(1, 40).Draw(t, "blocks") {
			if rapid.IntRange(0, 9).Draw(t, "resize") == 0 {
				n := rapid.SampledFrom([]uint32{0, 33, 100, 1000, 4096, 1 << 20}).Draw(t, "size")
				e.resize(n)
				d.SetAllowedMaxDynamicTableSize(n)
			}
			var want []hpack.HeaderField
			status := rapid.SampledFrom([]int{100, 200, 204, 206, 302, 304, 400, 404, 500, 503}).Draw(t, "status")
			b := e.status(e.begin(nil), status)
			want = append(want, hpack.HeaderField{Name: ":status", Value: fmt.Sprint(status)})
			for range rapid.IntRange(0, 30).Draw(t, "fields") {
				name := rapid.SampledFrom([]string{"Date", "content-type", "X-A", "x-b", "set-cookie", "Strict-Transport-Security", "via", "age"}).Draw(t, "name")
				value := rapid.SampledFrom([]string{"", "a", "bb", string(bytes.Repeat([]byte("c"), 200)), string(bytes.Repeat([]byte("d"), 1500))}).Draw(t, "value")
				if rapid.Bool().Draw(t, "vary") {
					value += fmt.Sprint(rapid.IntRange(0, 40).Draw(t, "n"))
				}
				b = e.field(b, []byte(name), []byte(value))
				want = append(want, hpack.HeaderField{Name: string(bytes.ToLower([]byte(name))), Value: value})
			}
			got = got[:0]
			if _, err := d.Write(b); err != nil {
				t.Fatal(err)
			}
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Fatalf("got %v\nwant %v", got, want)
			}
			if e.size > e.max || e.count > tableSlots {
				t.Fatalf("table of %d bytes, %d entries", e.size, e.count)
			}
		}
	})
}

// TestEncoderRepeats: the third block of the same fields is one byte per field; cookies never enter the table.
func TestEncoderRepeats(t *testing.T) {
	var e encoder
	e.init()
	block := func() []byte {
		b := e.status(e.begin(nil), 200)
		b = e.field(b, []byte("Server"), []byte("weir"))
		return e.field(b, []byte("x-custom"), []byte("value"))
	}
	block()
	block()
	if b := block(); len(b) != 3 {
		t.Errorf("% x", b)
	}
	for range 3 {
		if b := e.field(nil, []byte("set-cookie"), []byte("secret")); !bytes.Contains(b, []byte("secret")) {
			t.Error("a cookie came from the table")
		}
	}
	if n := testing.AllocsPerRun(100, func() { e.field(make([]byte, 0, 64)[:0], []byte("x-custom"), []byte("value")) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestStaticNames holds the table against x/net's.
func TestStaticNames(t *testing.T) {
	for i := 15; i <= 61; i++ {
		var name string
		d := hpack.NewDecoder(0, func(f hpack.HeaderField) { name = f.Name })
		if _, err := d.Write([]byte{0x80 | byte(i)}); err != nil {
			t.Fatal(err)
		}
		if at := staticName([]byte(name)); at != 0 && at != uint64(i) {
			t.Errorf("%s is %d, not %d", name, i, at)
		}
	}
	for status := 100; status < 600; status++ {
		if i := staticStatus(status); i > 0 {
			d := hpack.NewDecoder(0, func(f hpack.HeaderField) {
				if f.Value != fmt.Sprint(status) {
					t.Errorf("%d is %s", status, f.Value)
				}
			})
			if _, err := d.Write([]byte{0x80 | i}); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func FuzzPriority(f *testing.F) {
	for _, s := range []string{"", "u=0", "u=7, i", "i=?0,u=3", "u=9", "u=1;x=y, i;a", "u = 1", ",,,"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if p := message.ParsePriority(b); p.Urgency > 7 {
			t.Errorf("%d", p.Urgency)
		}
	})
}

// FuzzHead: whatever a block holds, a request that comes out of it can be written as HTTP/1.1 without changing its meaning.
func FuzzHead(f *testing.F) {
	seed := func(pairs ...string) {
		var b bytes.Buffer
		e := hpack.NewEncoder(&b)
		for i := 0; i < len(pairs); i += 2 {
			_ = e.WriteField(hpack.HeaderField{Name: pairs[i], Value: pairs[i+1]})
		}
		f.Add(b.Bytes(), true)
		f.Add(b.Bytes(), false)
	}
	seed(":method", "GET", ":scheme", "https", ":path", "/", ":authority", "a", "cookie", "a", "cookie", "b", "content-length", "0")
	seed(":method", "CONNECT", ":authority", "a:1")
	seed(":method", "CONNECT", ":protocol", "websocket", ":scheme", "https", ":path", "/", ":authority", "a")
	seed(":method", "OPTIONS", ":scheme", "http", ":path", "*", "host", "[::1]:80", "te", "trailers")
	f.Fuzz(func(t *testing.T, block []byte, ended bool) {
		h := &message.Collector{Limits: Limits{Head: 4096, Fields: 20, Target: 200}, Extended: true}
		h.Begin(nil, false)
		d := hpack.NewDecoder(4096, func(f hpack.HeaderField) { h.Field(f.Name, f.Value) })
		if _, err := d.Write(block); err != nil || d.Close() != nil {
			return
		}
		var req message.Request
		refused, malformed := h.Request(&req, ended)
		if refused != nil || malformed != nil {
			return
		}
		wire := append(append([]byte(nil), req.MethodName...), req.Target...)
		if bytes.ContainsAny(wire, " \r\n\x00\t") || len(req.MethodName) == 0 || len(req.Target) == 0 {
			t.Fatalf("request line %q %q", req.MethodName, req.Target)
		}
		hosts := 0
		for i := range req.Header.Len() {
			fld := req.Header.At(i)
			if bytes.ContainsAny(fld.Line(), "\r\n\x00") || bytes.ContainsAny(fld.Name(), " :\tABCXYZ") || len(fld.Name()) == 0 {
				t.Fatalf("line %q", fld.Line())
			}
			switch fld.ID() {
			case message.Host:
				hosts++
			case message.Connection, message.TransferEncoding, message.Upgrade, message.KeepAlive, message.ProxyConnection:
				t.Fatalf("line %q", fld.Line())
			}
		}
		if hosts != 1 || len(req.Host) == 0 {
			t.Fatalf("%d hosts", hosts)
		}
	})
}
