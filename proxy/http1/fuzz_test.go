package http1_test

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/valor-ivx/weir/proxy/http1"
	"github.com/valor-ivx/weir/proxy/message"
)

func FuzzParseRequest(f *testing.F) {
	for _, s := range corpus(f, "requests.txt") {
		f.Add([]byte(s.raw))
	}
	f.Fuzz(func(t *testing.T, head []byte) {
		var req message.Request
		kept := bytes.Clone(head)
		err := http1.ParseRequest(&req, head, http1.DefaultLimits())
		if !bytes.Equal(head, kept) {
			t.Fatal("the parser wrote into the head")
		}
		if err != nil {
			if err.Status < 400 || err.Status > 505 || err.Text == "" {
				t.Fatalf("%d %q", err.Status, err.Text)
			}
			return
		}
		again(t, &req)
	})
}

// again says a request that was accepted to an upstream and reads it there: it must be accepted, be the same, and be said in the same bytes once more.
func again(t *testing.T, req *message.Request) {
	t.Helper()
	if req.Method == message.CONNECT {
		return // it has no path, and nobody says it on
	}
	first := said(req)
	var second message.Request
	if err := http1.ParseRequest(&second, first, http1.Limits{Head: 1 << 20, Target: 1 << 20, Fields: 1000}); err != nil {
		t.Fatalf("accepted, then refused as %q: %v", first, err)
	}
	one := []string{string(req.MethodName), string(req.Path), string(req.Query), string(req.Host), framing(req.Framing, req.ContentLength)}
	two := []string{string(second.MethodName), string(second.Path), string(second.Query), string(second.Host), framing(second.Framing, second.ContentLength)}
	if len(req.Host) == 0 {
		one[3], two[3] = "", "" // HTTP/1.0: the next hop is told some host
	}
	if !slices.Equal(one, two) {
		t.Fatalf("%q became %q", one, two)
	}
	if third := said(&second); !bytes.Equal(first, third) {
		t.Fatalf("%q became %q", first, third)
	}
}

func said(req *message.Request) []byte {
	w := new(wire)
	c := http1.NewClientConn(w)
	c.Begin()
	var own []byte
	if req.Header.Find(message.Host, 0) < 0 {
		own = []byte("Host: peer\r\n")
	}
	c.WriteHead(req, req.Path, own)
	c.Flush()
	return w.out.Bytes()
}

func FuzzParseResponse(f *testing.F) {
	for _, s := range corpus(f, "responses.txt") {
		f.Add([]byte(s.raw), uint8(s.method))
	}
	f.Fuzz(func(t *testing.T, head []byte, method uint8) {
		var resp message.Response
		m := message.Method(method % 10)
		if err := http1.ParseResponse(&resp, head, m, 256); err != nil {
			return
		}
		if resp.Status < 200 {
			return
		}
		name := "GET"
		if m == message.HEAD {
			name = "HEAD"
		}
		w := &wire{pieces: cut(name + " / HTTP/1.1\r\nHost: a\r\n\r\n")}
		c := http1.NewServerConn(w, &http1.ServerOptions{Limits: http1.DefaultLimits()})
		if err := c.ReadRequest(new(message.Request)); err != nil {
			t.Fatal(err)
		}
		c.WriteHead(&resp, nil, false)
		c.Flush()
		var second message.Response
		if err := http1.ParseResponse(&second, w.out.Bytes(), m, 1000); err != nil {
			t.Fatalf("accepted, then refused as %q: %v", w.out.Bytes(), err)
		}
		want := resp.Framing
		if want == message.UntilClose {
			want = message.Chunked // what a client of HTTP/1.1 is told
		}
		if second.Status != resp.Status || !bytes.Equal(second.Reason, resp.Reason) || second.Framing != want || want == message.Length && second.ContentLength != resp.ContentLength {
			t.Fatalf("%d %q %d became %d %q %d", resp.Status, resp.Reason, resp.Framing, second.Status, second.Reason, second.Framing)
		}
	})
}

// FuzzChunked reads a chunked body whole, in two pieces and byte by byte, in several ways, and with Go's reader: what we accept, it must read as the same.
func FuzzChunked(f *testing.F) {
	for _, s := range corpus(f, "requests.txt") {
		if _, body, ok := strings.Cut(s.raw, "Transfer-Encoding: chunked\r\n\r\n"); ok && len(body) < 10000 {
			f.Add([]byte(body), 3)
		}
	}
	const head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
	f.Fuzz(func(t *testing.T, body []byte, at int) {
		raw := head + string(body)
		whole := hear(t, cut(raw), byNext)
		at = min(max(at, 0), len(body))
		for _, other := range [][]string{
			hear(t, cut(raw, len(head)+at), byNext), hear(t, bytewise(raw), byNext), hear(t, cut(raw), byRead(3)), hear(t, cut(raw, len(head)), byRead(100)),
		} {
			if !slices.Equal(whole, other) {
				t.Fatalf("%q\n%q", whole, other)
			}
		}
		var refused bool
		if len(whole) == 1 && strings.Contains(whole[0], " then ") {
			refused = true
		}
		if refused {
			return
		}
		var mine []byte
		hear(t, cut(raw), func(b *http1.Body) ([]byte, error) {
			p, err := byNext(b)
			mine = p
			return p, err
		})
		req, err := http.ReadRequest(bufio.NewReaderSize(strings.NewReader(raw), 64<<10)) // Go refuses trailers longer than its buffer
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := io.ReadAll(req.Body)
		if err != nil || !bytes.Equal(mine, theirs) {
			t.Fatalf("we read %q, Go %q, %v", mine, theirs, err)
		}
	})
}

// FuzzRequestDifferential holds us to Go's reading: of what we accept, method, target, host and the body's length are what net/http says they are, and
// the request ends at the same byte. The reverse need not hold.
func FuzzRequestDifferential(f *testing.F) {
	for _, s := range corpus(f, "requests.txt") {
		if len(s.raw) < 10000 {
			f.Add([]byte(s.raw))
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		w := &wire{pieces: cut(string(raw))}
		c := http1.NewServerConn(w, &http1.ServerOptions{Limits: http1.DefaultLimits()})
		defer func() { _ = c.Close() }()
		var req message.Request
		if c.ReadRequest(&req) != nil {
			return
		}
		mine, err := byNext(c.Body())
		if err != nil {
			return
		}
		r := bufio.NewReaderSize(bytes.NewReader(bytes.TrimPrefix(raw, []byte("\r\n"))), 64<<10)
		theirs, err := http.ReadRequest(r)
		if err != nil {
			// Go parses the target as a URL; we hand it on as it is. What it refuses there cannot be taken for another request.
			if strings.HasPrefix(err.Error(), "parse ") {
				return
			}
			t.Fatalf("we accept %q, Go says %v", raw, err)
		}
		body, err := io.ReadAll(theirs.Body)
		if err != nil {
			t.Fatalf("we accept the body of %q, Go says %v", raw, err)
		}
		behind := append(bytes.Clone(c.Unread()), bytes.Join(w.pieces, nil)...)
		if rest, err := io.ReadAll(r); err != nil || !bytes.Equal(rest, behind) {
			t.Fatalf("we leave %q behind the request, Go %q, %v", behind, rest, err)
		}
		if theirs.Method != string(req.MethodName) || theirs.RequestURI != string(req.Target) || !message.EqualFold(theirs.Host, req.Host) || !bytes.Equal(body, mine) {
			t.Fatalf("we read %s %s host=%s %q, Go %s %s host=%s %q", req.MethodName, req.Target, req.Host, mine, theirs.Method, theirs.RequestURI, theirs.Host, body)
		}
	})
}
