package http1_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/valor-ivx/weir/proxy/http1"
	"github.com/valor-ivx/weir/proxy/message"
)

// wire is a connection on which the given pieces arrive, one in each Read, and then the end. What is written to it is kept.
type wire struct {
	pieces [][]byte
	out    bytes.Buffer
}

func (w *wire) Read(p []byte) (int, error) {
	if len(w.pieces) == 0 {
		return 0, io.EOF
	}
	n := copy(p, w.pieces[0])
	if w.pieces[0] = w.pieces[0][n:]; len(w.pieces[0]) == 0 {
		w.pieces = w.pieces[1:]
	}
	return n, nil
}

func (w *wire) Write(p []byte) (int, error)      { return w.out.Write(p) }
func (w *wire) Close() error                     { return nil }
func (w *wire) LocalAddr() net.Addr              { return nil }
func (w *wire) RemoteAddr() net.Addr             { return nil }
func (w *wire) SetDeadline(time.Time) error      { return nil }
func (w *wire) SetReadDeadline(time.Time) error  { return nil }
func (w *wire) SetWriteDeadline(time.Time) error { return nil }

// cut makes pieces of raw that end at the given offsets and at its end; empty ones are left out.
func cut(raw string, at ...int) [][]byte {
	var pieces [][]byte
	from := 0
	for _, to := range append(at, len(raw)) {
		if to > from {
			pieces = append(pieces, []byte(raw[from:to]))
		}
		from = max(from, to)
	}
	return pieces
}

// bytewise makes a piece of every byte.
func bytewise(raw string) [][]byte {
	pieces := make([][]byte, len(raw))
	for i := range len(raw) {
		pieces[i] = []byte{raw[i]}
	}
	return pieces
}

// A reading is a way to read a body to its end.
type reading func(*http1.Body) ([]byte, error)

func byNext(b *http1.Body) (all []byte, err error) {
	for !b.Complete() {
		p, err := b.Next()
		all = append(all, p...)
		if err != nil && err != io.EOF {
			return all, err
		}
	}
	return all, nil
}

// byRead reads into a buffer of that size.
func byRead(size int) reading {
	return func(b *http1.Body) (all []byte, err error) {
		p := make([]byte, size)
		for !b.Complete() {
			n, err := b.Read(p)
			all = append(all, p[:n]...)
			if err != nil && err != io.EOF {
				return all, err
			}
		}
		return all, nil
	}
}

// atHandOr takes the body at once if it can be had so, else reads it with Next.
func atHandOr(b *http1.Body) ([]byte, error) {
	if p, ok := b.AtHand(); ok {
		return p, nil
	}
	return byNext(b)
}

// hear reads all requests off pieces as the proxy would and describes each; the last line may be a refusal. Every head is described before and after its body was
// read: its slices must not have moved.
func hear(t testing.TB, pieces [][]byte, read reading) (said []string) {
	t.Helper()
	c := http1.NewServerConn(&wire{pieces: pieces}, &http1.ServerOptions{Limits: http1.DefaultLimits()})
	defer func() { _ = c.Close() }()
	var req message.Request
	for c.Wait(time.Now()) == nil {
		if err := c.ReadRequest(&req); err != nil {
			return append(said, refusal(err))
		}
		head := describe(&req)
		body, err := read(c.Body())
		if after := describe(&req); after != head {
			t.Fatalf("the body overwrote the head:\n%s\n%s", head, after)
		}
		if int64(len(body)) != c.Received() {
			t.Fatalf("%d bytes read, %d received", len(body), c.Received())
		}
		head += describeBody(body, c.Body().Trailers())
		if err != nil {
			return append(said, head+" then "+refusal(err))
		}
		said = append(said, head)
		if req.Close || !c.EndExchange() {
			return said
		}
	}
	return said
}

// listen reads one final response off pieces, and the interim ones before it, as the proxy would.
func listen(t testing.TB, pieces [][]byte, method message.Method, upgrade bool, read reading) (said []string) {
	t.Helper()
	w := &wire{pieces: pieces}
	c := http1.NewClientConn(w)
	defer func() { _ = c.Close() }()
	c.Begin()
	c.Finish(nil)
	var resp message.Response
	for {
		if err := c.ReadResponse(&resp, method, upgrade); err != nil {
			return append(said, refusal(err))
		}
		line := describeResponse(&resp)
		if resp.Status < 200 && resp.Status != 101 {
			said = append(said, line)
			continue
		}
		if resp.Status == 101 {
			return append(said, line)
		}
		body, err := read(c.Body())
		line += describeBody(body, c.Body().Trailers())
		if err != nil {
			line += " then " + refusal(err)
		} else if (!c.Reusable() || len(w.pieces) > 0) && !resp.Close { // on a socket Readable sees what has not been read
			line += " rest"
		}
		if resp.Close && c.Reusable() {
			t.Errorf("reusable behind %s", line)
		}
		return append(said, line)
	}
}

func refusal(err error) string {
	var refused *http1.Error
	if errors.As(err, &refused) {
		return fmt.Sprintf("%d %s", refused.Status, refused.Text)
	}
	return err.Error()
}

func describe(r *message.Request) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", r.MethodName, r.Path)
	if r.Query != nil {
		fmt.Fprintf(&b, "?%s", r.Query)
	}
	fmt.Fprintf(&b, " host=%s", r.Host)
	if r.Proto == message.HTTP10 {
		b.WriteString(" 1.0")
	}
	b.WriteString(framing(r.Framing, r.ContentLength))
	for _, f := range []struct {
		set  bool
		name string
	}{{r.Expect, " expect"}, {r.Upgrade, " upgrade"}, {r.Close, " close"}, {r.Nominates, " nominates"}} {
		if f.set {
			b.WriteString(f.name)
		}
	}
	return b.String() + fields(&r.Header, message.Host)
}

func describeResponse(r *message.Response) string {
	s := fmt.Sprintf("%d %q", r.Status, r.Reason) + framing(r.Framing, r.ContentLength)
	if r.Close {
		s += " close"
	}
	return s + fields(&r.Header, message.Other)
}

func framing(f message.Framing, length int64) string {
	switch f {
	case message.Length:
		return fmt.Sprintf(" length=%d", length)
	case message.Chunked:
		return " chunked"
	case message.UntilClose:
		return " until-close"
	}
	return ""
}

// fields lists what the description does not say already.
func fields(h *message.Header, known message.ID) string {
	var b strings.Builder
	for i := range h.Len() {
		f := h.At(i)
		switch f.ID() {
		case known, message.ContentLength, message.TransferEncoding, message.Connection, message.Expect:
			if f.ID() != message.Other {
				continue
			}
		}
		fmt.Fprintf(&b, " %s=%s", f.Name(), short(f.Value()))
	}
	return b.String()
}

func describeBody(body []byte, trailers *message.Header) string {
	s := ""
	if len(body) > 0 {
		s = " body=" + short(body)
	}
	for i := range trailers.Len() {
		s += fmt.Sprintf(" trailer %s=%s", trailers.At(i).Name(), short(trailers.At(i).Value()))
	}
	return s
}

func short(b []byte) string {
	if len(b) > 64 {
		return fmt.Sprintf("(%d bytes)", len(b))
	}
	return fmt.Sprintf("%q", b)
}

// pair is a TCP connection over loopback, both ends.
func pair(t testing.TB) (near, far *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = c.Close(), s.Close() })
	return s.(*net.TCPConn), c.(*net.TCPConn)
}
