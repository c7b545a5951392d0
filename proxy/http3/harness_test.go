package http3_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/qpack"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/quicvarint"

	"github.com/valor-ivx/weir/proxy/http3"
	"github.com/valor-ivx/weir/proxy/leaktest"
	"github.com/valor-ivx/weir/proxy/message"
	"github.com/valor-ivx/weir/tls/certtest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

const patience = 60 * time.Second

// server serves one handler by HTTP/3 on a port of its own.
type server struct {
	address  string
	roots    *x509.CertPool
	counters *http3.Counters
	conns    chan *http3.Conn // those accepted
}

func certificate(t testing.TB) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	c := certtest.New(t, certtest.For("127.0.0.1"), nil)
	return c.TLS(), c.Pool()
}

func start(t testing.TB, o http3.Options, handler http3.Handler) *server {
	t.Helper()
	cert, roots := certificate(t)
	s := &server{roots: roots, counters: new(http3.Counters), conns: make(chan *http3.Conn, 16)}
	o.Counters = s.counters
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	s.address = socket.LocalAddr().String()
	transport := &quic.Transport{Conn: socket}
	l, err := transport.ListenEarly(&tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{http3.Protocol}, MinVersion: tls.VersionTLS13}, o.QUIC(false))
	if err != nil {
		t.Fatal(err)
	}
	var served sync.WaitGroup
	accepting := make(chan struct{})
	go func() {
		defer close(accepting)
		for {
			conn, err := l.Accept(context.Background())
			if err != nil {
				return
			}
			c := http3.New(conn, &o, handler)
			s.conns <- c
			served.Go(func() { _ = c.Serve() })
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-accepting
		for len(s.conns) > 0 {
			(<-s.conns).Close()
		}
		served.Wait()
		_ = transport.Close()
		_ = socket.Close()
	})
	return s
}

// peer is a client that says whatever it is told.
type peer struct {
	t       testing.TB
	conn    *quic.Conn
	control *quic.SendStream
}

// call connects; quiet clients open no control stream.
func (s *server) call(t testing.TB, quiet bool) *peer {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := quic.DialAddr(ctx, s.address, &tls.Config{RootCAs: s.roots, NextProtos: []string{http3.Protocol}}, &quic.Config{HandshakeIdleTimeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.CloseWithError(0x100, "") })
	p := &peer{t: t, conn: conn}
	if !quiet {
		p.control = p.oneWay(0x0)
		p.say(p.control, frame(0x4, nil))
	}
	return p
}

func (p *peer) say(w io.Writer, b []byte) {
	p.t.Helper()
	_, err := w.Write(b)
	var reset *quic.StreamError
	var away *quic.ApplicationError
	if err != nil && !errors.As(err, &reset) && !errors.As(err, &away) { // the server may have had enough of it after the first half
		p.t.Fatal(err)
	}
}

// oneWay opens a one-way stream of a kind.
func (p *peer) oneWay(kind uint64) *quic.SendStream {
	p.t.Helper()
	q, err := p.conn.OpenUniStream()
	if err != nil {
		p.t.Fatal(err)
	}
	p.say(q, quicvarint.Append(nil, kind))
	return q
}

// open says b on a new request stream.
func (p *peer) open(b ...[]byte) *quic.Stream {
	p.t.Helper()
	q, err := p.conn.OpenStream()
	if err != nil {
		p.t.Fatal(err)
	}
	p.say(q, bytes.Join(b, nil))
	return q
}

// ask is open with an end.
func (p *peer) ask(b ...[]byte) *quic.Stream {
	p.t.Helper()
	q := p.open(b...)
	_ = q.Close()
	return q
}

// answer is what came on a stream.
type answer struct {
	status  int
	interim []int
	fields  []string // of the final head, "name: value"
	body    []byte
	trailer []string
	ended   bool   // with an end, not a reset
	code    uint64 // of a reset
	err     error
}

func (p *peer) answer(q *quic.Stream) (a answer) {
	p.t.Helper()
	_ = q.SetReadDeadline(time.Now().Add(patience))
	b, err := io.ReadAll(q)
	a.ended, a.err = err == nil, err
	var reset *quic.StreamError
	if errors.As(err, &reset) {
		a.code = uint64(reset.ErrorCode)
	}
	for len(b) > 0 {
		kind, n, err := quicvarint.Parse(b)
		if err != nil {
			p.t.Fatalf("frame type: %v", err)
		}
		length, m, err := quicvarint.Parse(b[n:])
		if err != nil || uint64(len(b)-n-m) < length {
			if a.ended {
				p.t.Fatalf("frame of %d bytes is cut", length)
			}
			return a
		}
		payload := b[n+m : n+m+int(length)]
		b = b[n+m+int(length):]
		switch {
		case kind == 0x0:
			a.body = append(a.body, payload...)
		case kind == 0x1:
			a.section(p.t, payload)
		default:
			p.t.Fatalf("frame type %#x", kind)
		}
	}
	return a
}

func (a *answer) section(t testing.TB, b []byte) {
	t.Helper()
	next := qpack.NewDecoder().Decode(b)
	var list []string
	status := 0
	for {
		f, err := next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("field section: %v", err)
		}
		if f.Name == ":status" {
			status, _ = strconv.Atoi(f.Value)
			continue
		}
		list = append(list, f.Name+": "+f.Value)
	}
	switch {
	case status >= 200:
		a.status, a.fields = status, list
	case status > 0:
		a.interim = append(a.interim, status)
	default:
		a.trailer = list
	}
}

// ended waits for the end of the connection and gives its code.
func (p *peer) ended() uint64 {
	p.t.Helper()
	select {
	case <-p.conn.Context().Done():
	case <-time.After(patience):
		p.t.Fatal("the connection goes on")
	}
	var app *quic.ApplicationError
	if !errors.As(context.Cause(p.conn.Context()), &app) || !app.Remote {
		p.t.Fatalf("ended with %v", context.Cause(p.conn.Context()))
	}
	return uint64(app.ErrorCode)
}

// frame is one frame.
func frame(kind uint64, payload []byte) []byte {
	return append(quicvarint.Append(quicvarint.Append(nil, kind), uint64(len(payload))), payload...)
}

// headers is a HEADERS frame of name and value pairs.
func headers(pairs ...string) []byte {
	var b bytes.Buffer
	e := qpack.NewEncoder(&b)
	for i := 0; i < len(pairs); i += 2 {
		_ = e.WriteField(qpack.HeaderField{Name: pairs[i], Value: pairs[i+1]})
	}
	return frame(0x1, b.Bytes())
}

func data(s string) []byte { return frame(0x0, []byte(s)) }

var get = []string{":method", "GET", ":scheme", "https", ":path", "/", ":authority", "a.example"}

func with(more ...string) []byte { return headers(append(get[:len(get):len(get)], more...)...) }

func post(more ...string) []byte {
	return headers(append([]string{":method", "POST", ":scheme", "https", ":path", "/", ":authority", "a.example"}, more...)...)
}

// reply answers with a body of known length.
func reply(s *http3.Stream, status int, body []byte) {
	var resp message.Response
	resp.Status, resp.Framing, resp.ContentLength = status, message.Length, int64(len(body))
	s.WriteHead(&resp, nil, false)
	s.Write(body)
	s.Finish(nil)
}

// refuse answers what ReadRequest or a body's read refused.
func refuse(s *http3.Stream, err error) {
	var bad *http3.Error
	if errors.As(err, &bad) {
		reply(s, bad.Status, []byte(bad.Text))
		return
	}
	s.Abort(http3.InternalError)
}

// echo answers with the body it reads, piece by piece, and the trailers that came.
func echo(s *http3.Stream) {
	var req message.Request
	if err := s.ReadRequest(&req); err != nil {
		refuse(s, err)
		return
	}
	var got []byte
	buf := make([]byte, 1000)
	for b := s.Body(); req.Framing != message.None && !b.Complete(); {
		_ = s.AwaitBody(time.Now())
		n, err := b.Read(buf)
		got = append(got, buf[:n]...)
		if err != nil && !b.Complete() {
			refuse(s, err)
			return
		}
	}
	var resp message.Response
	resp.Status, resp.Framing = 200, message.Chunked
	s.WriteHead(&resp, []byte("X-Method: "+string(req.MethodName)+"\r\n"), false)
	s.Write(got)
	s.Finish(s.Body().Trailers())
}

// uvarint of so many bytes, also longer than needed.
func uvarint(v uint64, size int) []byte {
	b := binary.BigEndian.AppendUint64(nil, v)[8-size:]
	b[0] |= map[int]byte{1: 0, 2: 0x40, 4: 0x80, 8: 0xc0}[size]
	return b
}
