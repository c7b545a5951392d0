package proxy_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/valor-ivx/weir/proxy"
)

// mirror tells what it is given.
type mirror struct {
	due   bool
	taken chan string // nil: nobody wants to know
}

// Due implements proxy.Mirror.
func (m *mirror) Due() bool { return m.due }

// Take implements proxy.Mirror.
func (m *mirror) Take(r proxy.Mirrored) {
	if m.taken != nil {
		m.taken <- fmt.Sprintf("%s %s?%s %s %s", r.Request.MethodName, r.Path, r.Request.Query, r.Request.Host, r.Own)
	}
}

// TestMirrorAllocatesNothing: neither while no request is due nor, but for what the mirror itself copies, when every one is.
func TestMirrorAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for _, due := range []bool{false, true} {
		o := defaults(silentPeer(t).address)
		o.quiet = true
		e := newEdge(t, o)
		e.service.Mirror = &mirror{due: due}
		x := newExchanger(t, e, browserGet)
		if per := x.allocations(); per > someoneElses {
			t.Errorf("due %v: %.4f allocations per exchange, want 0", due, per)
		}
	}
}

// TestMirrorIsGivenWhatIsSafe: a due request comes as it was forwarded, after its answer; what changes something, has a body, is an upgrade, a mirrored one itself, or gets no whole answer of an
// upstream does not.
func TestMirrorIsGivenWhatIsSafe(t *testing.T) {
	up := newPeer(t, func(w *wire) {
		in := bufio.NewReader(w.Conn)
		for {
			r, err := http.ReadRequest(in)
			if err != nil {
				return
			}
			_, _ = io.Copy(io.Discard, r.Body)
			kind, status := "text/plain", "200 OK"
			switch r.URL.Path {
			case "/events":
				kind = "text/event-stream"
			case "/error":
				status = "500 No"
			case "/short":
				_, _ = io.WriteString(w.Conn, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx")
				_ = w.Close()
				return
			}
			_, _ = io.WriteString(w.Conn, "HTTP/1.1 "+status+"\r\nContent-Type: "+kind+"\r\nContent-Length: 0\r\n\r\n")
		}
	})
	e := newEdge(t, defaults(up.address))
	m := &mirror{due: true, taken: make(chan string, 1)}
	e.service.Mirror = m
	ask := func(request string) {
		t.Helper()
		c := e.dial()
		if _, err := io.WriteString(c, request); err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, c) // the end follows what is told
	}
	for _, request := range []string{
		"POST / HTTP/1.1\r\nContent-Length: 0", "DELETE / HTTP/1.1", "GET / HTTP/1.1\r\nContent-Length: 1", "GET /events HTTP/1.1", "GET /short HTTP/1.1", "OPTIONS * HTTP/1.1",
		"GET / HTTP/1.1\r\nX-Weir-Shadow: green", "GET / HTTP/1.1\r\nX_Weir_Shadow: green",
	} {
		body := ""
		if request == "GET / HTTP/1.1\r\nContent-Length: 1" {
			body = "x"
		}
		ask(request + "\r\nHost: x\r\nConnection: close\r\n\r\n" + body)
		select {
		case got := <-m.taken:
			t.Errorf("%q: given %q", request, got)
		default:
		}
	}
	for _, c := range []struct{ request, want string }{
		{"GET /a/../b?c=d HTTP/1.1", "GET /b?c=d x "}, {"HEAD /a HTTP/1.1", "HEAD /a? x "}, {"OPTIONS /a HTTP/1.1", "OPTIONS /a? x "}, {"GET /error HTTP/1.1", "GET /error? x "},
	} {
		ask(c.request + "\r\nHost: x\r\nConnection: close\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n")
		own := "X-Forwarded-For: 127.0.0.1\r\n"
		if got := <-m.taken; len(got) < len(c.want)+len(own) || got[:len(c.want)+len(own)] != c.want+own {
			t.Errorf("%q: given %q", c.request, got)
		}
	}
}
