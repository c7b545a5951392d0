package http2_test

import (
	"bytes"
	"net"
	"testing"
	"time"

	xhttp2 "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/valor-ivx/weir/proxy/http2"
)

// raw is a client that says frames as it is told, sane or not.
type raw struct {
	t     *testing.T
	conn  net.Conn
	fr    *xhttp2.Framer
	block bytes.Buffer
	enc   *hpack.Encoder
	dec   *hpack.Decoder
}

// patience bounds every wait of a raw client; nothing waits for it to pass.
const patience = 60 * time.Second

// dial connects to s and exchanges settings; the server's are read and acknowledged.
func dial(t *testing.T, s *server, settings ...xhttp2.Setting) *raw {
	t.Helper()
	r := dialSilent(t, s)
	r.greet(settings...)
	return r
}

// greet exchanges settings.
func (r *raw) greet(settings ...xhttp2.Setting) {
	r.t.Helper()
	r.write([]byte(http2.Preface))
	r.check(r.fr.WriteSettings(settings...))
	r.next(func(f xhttp2.Frame) bool {
		sf, ok := f.(*xhttp2.SettingsFrame)
		return ok && !sf.IsAck()
	})
	r.check(r.fr.WriteSettingsAck())
	r.next(func(f xhttp2.Frame) bool {
		sf, ok := f.(*xhttp2.SettingsFrame)
		return ok && sf.IsAck()
	})
}

// dialSilent connects and says nothing.
func dialSilent(t *testing.T, s *server) *raw {
	t.Helper()
	conn, err := net.Dial("tcp", s.address())
	if err != nil {
		t.Fatal(err)
	}
	return rawOn(t, conn)
}

func rawOn(t *testing.T, conn net.Conn) *raw {
	t.Helper()
	t.Cleanup(func() { _ = conn.Close() })
	r := &raw{t: t, conn: conn, fr: xhttp2.NewFramer(conn, conn)}
	r.fr.AllowIllegalWrites = true
	r.enc = hpack.NewEncoder(&r.block)
	r.dec = hpack.NewDecoder(4096, nil)
	r.check(conn.SetDeadline(time.Now().Add(patience)))
	return r
}

func (r *raw) check(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *raw) write(b []byte) {
	r.t.Helper()
	_, err := r.conn.Write(b)
	r.check(err)
}

// fields encodes pairs of name and value.
func (r *raw) fields(pairs ...string) []byte {
	r.block.Reset()
	for i := 0; i < len(pairs); i += 2 {
		r.check(r.enc.WriteField(hpack.HeaderField{Name: pairs[i], Value: pairs[i+1]}))
	}
	return bytes.Clone(r.block.Bytes())
}

var get = []string{":method", "GET", ":scheme", "http", ":path", "/", ":authority", "a.example"}

// with is a plain GET (or what base names) and more fields.
func with(more ...string) []string { return append(append([]string(nil), get...), more...) }

func post(more ...string) []string {
	return append(append([]string{":method", "POST"}, get[2:]...), more...)
}

func (r *raw) headers(id uint32, end bool, pairs ...string) {
	r.t.Helper()
	r.check(r.fr.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: id, BlockFragment: r.fields(pairs...), EndHeaders: true, EndStream: end}))
}

// next reads frames until one is wanted.
func (r *raw) next(want func(xhttp2.Frame) bool) xhttp2.Frame {
	r.t.Helper()
	for {
		f, err := r.fr.ReadFrame()
		if err != nil {
			r.t.Fatalf("read frame: %v", err)
		}
		if want(f) {
			return f
		}
	}
}

// reset waits for RST_STREAM on id.
func (r *raw) reset(id uint32) xhttp2.ErrCode {
	r.t.Helper()
	return r.next(func(f xhttp2.Frame) bool { _, ok := f.(*xhttp2.RSTStreamFrame); return ok && f.Header().StreamID == id }).(*xhttp2.RSTStreamFrame).ErrCode
}

// end waits for GOAWAY and then for the connection's end, and returns the last GOAWAY's code. It writes nothing, so that it works on a connection that the server reads no more.
func (r *raw) end() xhttp2.ErrCode {
	r.t.Helper()
	code, seen := xhttp2.ErrCode(0), false
	for {
		f, err := r.fr.ReadFrame()
		if err != nil {
			if !seen {
				r.t.Fatalf("connection ended without GOAWAY: %v", err)
			}
			if ne, ok := err.(net.Error); ok && ne.Timeout() {
				r.t.Fatal("GOAWAY, but the connection stays")
			}
			return code
		}
		if g, ok := f.(*xhttp2.GoAwayFrame); ok {
			code, seen = g.ErrCode, true
		}
	}
}

// goaway waits for GOAWAY.
func (r *raw) goaway() *xhttp2.GoAwayFrame {
	r.t.Helper()
	return r.next(func(f xhttp2.Frame) bool { _, ok := f.(*xhttp2.GoAwayFrame); return ok }).(*xhttp2.GoAwayFrame)
}

// farewell takes part in a drain until the last GOAWAY is there.
func (r *raw) farewell() {
	r.t.Helper()
	r.goaway()
	ping := *r.next(func(f xhttp2.Frame) bool { _, ok := f.(*xhttp2.PingFrame); return ok }).(*xhttp2.PingFrame)
	r.check(r.fr.WritePing(true, ping.Data))
	r.goaway()
}

// answer is a whole response.
type reply struct {
	status   string
	fields   []hpack.HeaderField
	trailers []hpack.HeaderField
	body     []byte
	frames   int // DATA frames
	interim  []string
}

// response reads the response on id; frames of other streams are dropped, but their header blocks decoded.
func (r *raw) response(id uint32) *reply {
	r.t.Helper()
	got := new(reply)
	for {
		f, err := r.fr.ReadFrame()
		if err != nil {
			r.t.Fatalf("read response: %v", err)
		}
		switch f := f.(type) {
		case *xhttp2.HeadersFrame:
			block := bytes.Clone(f.HeaderBlockFragment())
			ended, stream := f.StreamEnded(), f.StreamID
			for whole := f.HeadersEnded(); !whole; {
				cf := r.next(func(xhttp2.Frame) bool { return true }).(*xhttp2.ContinuationFrame)
				block, whole = append(block, cf.HeaderBlockFragment()...), cf.HeadersEnded()
			}
			fields, err := r.dec.DecodeFull(block)
			r.check(err)
			if stream == id && got.head(fields, ended) {
				return got
			}
		case *xhttp2.DataFrame:
			if f.StreamID != id {
				continue
			}
			got.frames++
			got.body = append(got.body, f.Data()...)
			if f.StreamEnded() {
				return got
			}
		case *xhttp2.RSTStreamFrame:
			if f.StreamID == id {
				r.t.Fatalf("stream %d reset: %v", id, f.ErrCode)
			}
		case *xhttp2.GoAwayFrame:
			if f.ErrCode != 0 {
				r.t.Fatalf("goaway: %v %s", f.ErrCode, f.DebugData())
			}
		}
	}
}

func (p *reply) head(fields []hpack.HeaderField, ended bool) bool {
	if p.status != "" {
		p.trailers = fields
		return ended
	}
	status := fields[0].Value
	if status[0] == '1' {
		p.interim = append(p.interim, status)
		return false
	}
	p.status, p.fields = status, fields[1:]
	return ended
}

func (p *reply) get(name string) string {
	for _, f := range p.fields {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}

// alive proves that the connection still serves.
func (r *raw) alive(id uint32) {
	r.t.Helper()
	r.headers(id, true, get...)
	if got := r.response(id); got.status != "200" {
		r.t.Fatalf("status %s on an innocent stream", got.status)
	}
}
