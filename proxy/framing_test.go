package proxy_test

import (
	"fmt"
	"strings"
	"testing"
)

func TestResponseFraming(t *testing.T) {
	for _, c := range []struct {
		name, request, response string
		shut                    bool // the upstream closes after the response
		fields, not             []string
		body                    string // as on the wire
		keeps                   bool   // the client's connection goes on
	}{
		{"HEAD length", "HEAD / HTTP/1.1", "200 OK\r\nContent-Length: 77\r\n\r\n", false, []string{"Content-Length: 77"}, []string{"Transfer-Encoding"}, "", true},
		{"HEAD chunked", "HEAD / HTTP/1.1", "200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", false, nil, []string{"Content-Length"}, "", true},
		{"HEAD neither", "HEAD / HTTP/1.1", "200 OK\r\n\r\n", false, nil, []string{"Content-Length"}, "", true},
		{"204", "GET / HTTP/1.1", "204 No Content\r\n\r\n", false, nil, []string{"Content-Length", "Transfer-Encoding"}, "", true},
		{"204 length 0", "GET / HTTP/1.1", "204 No Content\r\nContent-Length: 0\r\n\r\n", false, nil, []string{"Transfer-Encoding"}, "", true},
		{"304", "GET / HTTP/1.1", "304 Not Modified\r\nETag: \"x\"\r\n\r\n", false, []string{`ETag: "x"`}, []string{"Transfer-Encoding"}, "", true},
		{"304 length", "GET / HTTP/1.1", "304 Not Modified\r\nContent-Length: 99\r\n\r\n", false, []string{"Content-Length: 99"}, nil, "", true},
		{"length 0", "GET / HTTP/1.1", "200 OK\r\nContent-Length: 0\r\n\r\n", false, []string{"Content-Length: 0"}, nil, "", true},
		{"until close, 1.1", "GET / HTTP/1.1", "200 OK\r\n\r\nhello", true, []string{"Transfer-Encoding: chunked"}, []string{"Connection: close"}, "5\r\nhello\r\n0\r\n\r\n", true},
		{"until close, 1.0", "GET / HTTP/1.0", "200 OK\r\n\r\nhello", true, []string{"Connection: close"}, []string{"Transfer-Encoding"}, "hello", false},
		{"until close, 1.0 keep-alive", "GET / HTTP/1.0\r\nConnection: keep-alive", "200 OK\r\n\r\nhello", true, []string{"Connection: close"}, []string{"Transfer-Encoding"}, "hello", false},
		{"upstream 1.0", "GET / HTTP/1.1", "200 OK\r\nContent-Length: 5\r\n\r\nhello", true, []string{"Content-Length: 5"}, []string{"Connection"}, "hello", true},
		{"chunked, 1.0", "GET / HTTP/1.0\r\nConnection: keep-alive", "200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-T: 1\r\n\r\n", false, []string{"Connection: close"}, []string{"Transfer-Encoding"}, "hello", false},
		{"length, 1.0", "GET / HTTP/1.0", "200 OK\r\nContent-Length: 5\r\n\r\nhello", false, []string{"Connection: close"}, nil, "hello", false},
		{"length, 1.0 keep-alive", "GET / HTTP/1.0\r\nConnection: keep-alive", "200 OK\r\nContent-Length: 5\r\n\r\nhello", false, []string{"Connection: keep-alive"}, nil, "hello", true},
		{"trailers", "GET / HTTP/1.1", "200 OK\r\nTrailer: X-T\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nX-T: 1\r\nContent-Length: 3\r\n\r\n", false, []string{"Trailer: X-T"}, nil, "5\r\nhello\r\n0\r\nX-T: 1\r\n\r\n", true},
		{"hop by hop", "GET / HTTP/1.1", "200 OK\r\nConnection: x-a, x-b\r\nX-A: 1\r\nKeep-Alive: timeout=5\r\nX-B: 2\r\nX-C: 3\r\nContent-Length: 2\r\n\r\nok", false, []string{"X-C: 3"}, []string{"X-A", "X-B", "Keep-Alive", "Connection"}, "ok", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			version := "HTTP/1.1 "
			if c.name == "upstream 1.0" {
				version = "HTTP/1.0 "
			}
			up := newPeer(t, func(w *wire) {
				for w.head() != "" {
					w.send(version + c.response)
					if c.shut {
						return
					}
				}
			})
			e := newEdge(t, defaults(up.address))
			client := e.dial()
			for round := range 2 {
				client.send(c.request + "\r\nHost: a\r\n\r\n")
				head := client.head()
				for _, f := range c.fields {
					if !strings.Contains(head, "\r\n"+f+"\r\n") {
						t.Errorf("no %q in %q", f, head)
					}
				}
				for _, f := range c.not {
					if strings.Contains(head, "\r\n"+f) {
						t.Errorf("%q in %q", f, head)
					}
				}
				if got := client.take(len(c.body)); got != c.body {
					t.Errorf("round %d: body %q, want %q", round, got, c.body)
				}
				if l := e.line(); l.Reason != "" || l.Attempts != 1 {
					t.Errorf("logged %+v", l)
				}
				if !c.keeps {
					if rest, err := client.rest(); rest != "" || err != nil {
						t.Errorf("after the answer: %q, %v", rest, err)
					}
					return
				}
			}
		})
	}
}

func TestRequestTrailers(t *testing.T) {
	bodies := make(chan string, 1)
	up := newPeer(t, func(c *wire) {
		if c.head() != "" {
			bodies <- c.head() // up to the empty line that ends the trailers
			c.send(ok)
		}
	})
	e := newEdge(t, defaults(up.address))
	c := e.say("POST / HTTP/1.1\r\nHost: a\r\nTrailer: X-T\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-T: 1\r\nHost: evil\r\n\r\n")
	if h := c.head(); !strings.HasPrefix(h, "HTTP/1.1 200") {
		t.Errorf("head %q", h)
	}
	if got := expect(t, "body", bodies); got != "5\r\nhello\r\n0\r\nX-T: 1\r\n\r\n" {
		t.Errorf("the upstream got %q", got)
	}
	if h := expect(t, "head", up.heads); !strings.Contains(h, "\r\nTrailer: X-T\r\n") {
		t.Errorf("the upstream saw %q", h)
	}
	e.logged(200, "", 1)
}

// A response that breaks off must look broken: short of its length, short of its last chunk, or, where only the connection's end would tell, reset.
func TestTruncatedResponses(t *testing.T) {
	large := strings.Repeat("x", 300<<10)
	for _, c := range []struct {
		name, head, body string
		reset            bool
	}{
		{"length", "Content-Length: 10\r\n", "hello", false},
		{"length, reset", "Content-Length: 10\r\n", "hello", true},
		{"length, nothing", "Content-Length: 10\r\n", "", false},
		{"large length", "Content-Length: 614400\r\n", large, false},
		{"large length, reset", "Content-Length: 614400\r\n", large, true},
		{"chunked", "Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n", false},
		{"chunked, in a size", "Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n1", false},
		{"chunked, in a chunk", "Transfer-Encoding: chunked\r\n", "5\r\nhel", false},
		{"chunked, in trailers", "Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\nX-T: 1\r\n", false},
		{"chunked, reset", "Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n", true},
		{"chunked, malformed", "Transfer-Encoding: chunked\r\n", "5\r\nhelloXX5\r\n", false},
		{"until close, reset", "", "hello", true},
		{"large until close, reset", "", large, true},
	} {
		for _, proto := range []string{"1.1", "1.0"} {
			t.Run(c.name+" to "+proto, func(t *testing.T) {
				received := make(chan bool, 1)
				defer close(received) // a failed test must not leave the peer waiting
				up := newPeer(t, func(w *wire) {
					if w.head() == "" {
						return
					}
					w.send("HTTP/1.1 200 OK\r\n" + c.head + "\r\n" + c.body)
					if c.reset {
						<-received // a reset overtakes what the proxy has not read
						w.reset()
					}
				})
				e := newEdge(t, defaults(up.address))
				client := e.say("GET / HTTP/" + proto + "\r\nHost: a\r\n\r\n")
				head := client.head()
				if malformed := strings.Contains(c.name, "malformed"); !strings.HasPrefix(head, "HTTP/1.1 200") && !(malformed && head == "") {
					t.Fatalf("head %q", head)
				}
				sent := len(c.body)
				if strings.HasPrefix(c.name, "chunked") && proto == "1.0" {
					sent = len("hello")
				}
				if c.reset {
					client.take(sent)
					received <- true
				}
				rest, err := client.rest()
				framed := strings.Contains(head, "Content-Length") || strings.Contains(head, "Transfer-Encoding")
				if err == nil && !framed && head != "" {
					t.Errorf("a clean end after %d bytes of a broken response", len(rest))
				}
				if strings.HasSuffix(rest, "0\r\n\r\n") {
					t.Errorf("a last chunk ends a broken response: %q", rest)
				}
				l := e.line()
				if want := map[bool]string{true: "http_protocol_error", false: "http_response_incomplete"}[strings.Contains(c.name, "malformed")]; l.Status != 200 || l.Reason != want || l.Attempts != 1 {
					t.Errorf("logged %+v, want reason %q", l, want)
				}
				if n := e.failures(); n != 1 {
					t.Errorf("the peer was blamed %d times", n)
				}
			})
		}
	}
}

// Requests are answered in their order, whatever their methods, and a first one that is slow is not overtaken.
func TestPipelining(t *testing.T) {
	release := make(chan bool)
	up := newPeer(t, func(c *wire) {
		for {
			h := c.head()
			if h == "" {
				return
			}
			path := strings.Fields(h)[1]
			body := ""
			if strings.Contains(h, "Content-Length: 3\r\n") {
				body = c.take(3)
			} else if strings.Contains(h, "chunked") {
				body = strings.NewReplacer("\r\n", "|").Replace(c.head())
			}
			if path == "/slow" {
				<-release
			}
			answer := path + body
			if strings.HasPrefix(h, "HEAD") {
				answer = ""
			}
			if path == "/204" {
				c.send("HTTP/1.1 204 No Content\r\n\r\n")
				continue
			}
			c.send(fmt.Sprintf("HTTP/1.1 200 OK\r\nX-Path: %s\r\nContent-Length: %d\r\n\r\n%s", path, len(path)+len(body), answer))
		}
	})
	e := newEdge(t, defaults(up.address))
	c := e.say("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n" +
		"POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc" +
		"HEAD /2 HTTP/1.1\r\nHost: a\r\n\r\n" +
		"PUT /3 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n" +
		"GET /204 HTTP/1.1\r\nHost: a\r\n\r\n" +
		"DELETE /5 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" +
		"GET /never HTTP/1.1\r\nHost: a\r\n\r\n")
	expect(t, "first request", up.heads)
	select {
	case h := <-up.heads:
		t.Errorf("overtaken by %q", h)
	default:
	}
	release <- true
	for _, want := range []string{"/slow", "/1abc", "", "/31|x|0||", "-", "/5"} {
		h := c.head()
		if want == "-" {
			if !strings.HasPrefix(h, "HTTP/1.1 204") {
				t.Errorf("head %q, want 204", h)
			}
		} else if got := c.take(len(want)); got != want {
			t.Errorf("got %q after %q, want %q", got, h, want)
		}
		e.line()
	}
	if rest, err := c.rest(); rest != "" || err != nil {
		t.Errorf("after the close: %q, %v", rest, err)
	}
	for len(up.heads) > 0 {
		if h := <-up.heads; strings.Contains(h, "/never") {
			t.Error("a request behind a close was forwarded")
		}
	}
}
