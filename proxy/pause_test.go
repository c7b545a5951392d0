package proxy_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/valor-ivx/weir/proxy/http1"
)

// pause is longer than the write timeouts of these tests, slack included: nobody writes while somebody is waited for, so no write may be late for it.
const pause = 800 * time.Millisecond

// quick is such a timeout: with its quarter of slack less than the pause, and more than a busy machine is away between setting a deadline and writing.
const quick = 600 * time.Millisecond

// TestUpstreamPauses: an upstream that is silent for longer than a write to the client may take, as an event stream is, delays its response and does not break it.
func TestUpstreamPauses(t *testing.T) {
	half := strings.Repeat("x", http1.SpliceMin)
	for name, answer := range map[string][]string{
		"chunks":        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n", "1\r\nb\r\n0\r\n\r\n"},
		"end of chunks": {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n", "0\r\n\r\n"},
		"length":        {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na", "b"},
		"splice":        {fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", 2*len(half), half), half},
		"head":          {"HTTP/1.1 2", "00 OK\r\nContent-Length: 1\r\n\r\nx"},
		"interim":       {"", "HTTP/1.1 103 Early Hints\r\n\r\n", "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address, _ := scripted(t, func(c net.Conn) {
				for i, part := range answer {
					if i > 0 {
						<-time.After(pause)
					}
					_, _ = io.WriteString(c, part)
				}
			})
			o := defaults(address)
			o.http1.WriteTimeout = quick
			e := newEdge(t, o)
			_, r := say(t, e.address, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
			for status := 100; status < 200; {
				resp, err := http.ReadResponse(r, &http.Request{Method: "GET"})
				if err != nil {
					t.Fatalf("%v", err)
				}
				status = resp.StatusCode
				if _, err := io.ReadAll(resp.Body); err != nil {
					t.Errorf("%v", err)
				}
			}
		})
	}
}

// TestClientPauses is the same for a request's body on its way to an upstream.
func TestClientPauses(t *testing.T) {
	address := backend(t, func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		_, _ = fmt.Fprintf(w, "%d %v", n, err)
	})
	half := strings.Repeat("x", http1.SpliceMin)
	for name, body := range map[string][]string{
		"chunks": {"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n", "1\r\nb\r\n", "0\r\n\r\n", "2 <nil>"},
		"length": {"Content-Length: 3\r\n\r\na", "b", "c", "3 <nil>"},
		"splice": {fmt.Sprintf("Content-Length: %d\r\n\r\n%s", 2*len(half)+1, half), half, "x", fmt.Sprintf("%d <nil>", 2*len(half)+1)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := defaults(address)
			o.idle = quick
			e := newEdge(t, o)
			c, r := say(t, e.address, "POST / HTTP/1.1\r\nHost: a\r\n"+body[0])
			for _, part := range body[1:3] {
				<-time.After(pause)
				if _, err := io.WriteString(c, part); err != nil {
					t.Fatalf("%v", err)
				}
			}
			if resp, got := answer(t, r, "POST"); resp.StatusCode != 200 || got != body[3] {
				t.Errorf("%d %q, want %s", resp.StatusCode, got, body[3])
			}
		})
	}
}

// TestInterimAfterPause: the write deadline of an earlier request on the connection is over by the time an interim answer to a later one is written.
func TestInterimAfterPause(t *testing.T) {
	address, _ := scripted(t, func(c net.Conn) {
		_, _ = io.WriteString(c, "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx")
	})
	o := defaults(address)
	o.http1.WriteTimeout = quick
	e := newEdge(t, o)
	const get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
	c, r := say(t, e.address, get)
	for i := range 2 {
		if i > 0 {
			<-time.After(pause)
			if _, err := io.WriteString(c, get); err != nil {
				t.Fatal(err)
			}
		}
		for _, want := range []int{103, 200} {
			if resp, _ := answer(t, r, "GET"); resp.StatusCode != want {
				t.Errorf("request %d: %d, want %d", i+1, resp.StatusCode, want)
			}
		}
	}
}
