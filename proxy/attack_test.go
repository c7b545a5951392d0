package proxy_test

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// What an upstream says beyond its response is never the answer to another request.
func TestUpstreamSaysTooMuch(t *testing.T) {
	const evil = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
	for _, c := range []struct{ name, request, response, body string }{
		{"behind a length", get, ok + evil, "ok"},
		{"behind chunks", get, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n" + evil, "2\r\nok\r\n0\r\n\r\n"},
		{"behind 204", get, "HTTP/1.1 204 No Content\r\n\r\n" + evil, ""},
		{"behind 304", get, "HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\nevil" + evil, ""},
		{"body to HEAD", "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", ok + evil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			up := newPeer(t, func(w *wire) {
				for w.head() != "" {
					w.send(c.response)
				}
			})
			e := newEdge(t, defaults(up.address))
			client := e.dial()
			for round := range 5 {
				client.send(c.request)
				h := client.head()
				if got := client.take(len(c.body)); got != c.body || strings.Contains(h, "evil") {
					t.Fatalf("round %d: %q %q", round, h, got)
				}
				e.line()
			}
			if n := up.conns.Load(); n != 5 {
				t.Errorf("%d connections for 5 exchanges: a poisoned one was used again", n)
			}
		})
	}
}

// Responses that two parsers could read in two ways, or that never end, are a 502 and cost their connection.
func TestUpstreamBreaksTheProtocol(t *testing.T) {
	for name, response := range map[string]string{
		"two lengths":         "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nokk",
		"length and chunked":  "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"other coding":        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
		"bare line feeds":     "HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
		"folded":              "HTTP/1.1 200 OK\r\nX: 1\r\n 2\r\nContent-Length: 2\r\n\r\nok",
		"zero byte":           "HTTP/1.1 200 OK\r\nX: a\x00b\r\nContent-Length: 2\r\n\r\nok",
		"not HTTP":            "SSH-2.0-OpenSSH_9.2\r\n\r\n",
		"status 999":          "HTTP/1.1 999 Odd\r\n\r\n",
		"endless line":        "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("a", 1<<20),
		"endless fields":      "HTTP/1.1 200 OK\r\n" + strings.Repeat("A: b\r\n", 100000),
		"chunked 204":         "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"negative length":     "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nok",
		"length beyond int64": "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nok",
	} {
		t.Run(name, func(t *testing.T) {
			up := newPeer(t, func(w *wire) {
				for w.head() != "" {
					w.send(response)
				}
			})
			e := newEdge(t, defaults(up.address))
			c := e.say(get)
			if h := c.head(); !strings.HasPrefix(h, "HTTP/1.1 502 ") {
				t.Errorf("head %q", h)
			}
			e.logged(502, "http_protocol_error", 1)
			if n := up.hits.Load(); n != 1 {
				t.Errorf("the peer was asked %d times", n)
			}
		})
	}
}

// An upgrade to h2c would carry requests past every route: the upstream is not told of it.
func TestNoH2CTunnel(t *testing.T) {
	for _, token := range []string{"h2c", "H2C", "websocket, h2c", "h2"} {
		up := answering(t, switching)
		e := newEdge(t, defaults(up.address))
		c := e.say("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: " + token + "\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n\r\n")
		if h := expect(t, "request", up.heads); strings.Contains(h, "Upgrade") || strings.Contains(h, "HTTP2") {
			t.Errorf("the upstream saw %q", h)
		}
		if h := c.head(); !strings.HasPrefix(h, "HTTP/1.1 502 ") { // it switched unasked
			t.Errorf("head %q", h)
		}
	}
}

// A client that says close and goes on sending still gets its whole answer: closing on unread bytes would reset the connection under it.
func TestCloseWithUnreadBytes(t *testing.T) {
	body := strings.Repeat("x", 100<<10)
	up := newPeer(t, func(w *wire) {
		for w.head() != "" {
			w.send("HTTP/1.1 200 OK\r\nContent-Length: 102400\r\n\r\n" + body)
		}
	})
	e := newEdge(t, defaults(up.address))
	for range 3 {
		c := e.dial()
		_ = c.Conn.(*net.TCPConn).SetReadBuffer(4 << 10) // most of the answer is still on the proxy's side when it closes
		c.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" + strings.Repeat("junk", 16<<10))
		c.half()
		e.logged(200, "", 1)
		resp, err := http.ReadResponse(c.r, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(resp.Body); err != nil || len(got) != len(body) {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
	}
}

// A client that pipelines without reading is stopped by its own backlog and given up after the write timeout.
func TestPipeliningWithoutReading(t *testing.T) {
	up := newPeer(t, func(w *wire) {
		for w.head() != "" {
			w.send("HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n" + strings.Repeat("x", 20000))
		}
	})
	o := defaults(up.address)
	o.http1.WriteTimeout = time.Second
	e := newEdge(t, o)
	c := e.dial()
	_ = c.Conn.(*net.TCPConn).SetReadBuffer(4 << 10)
	c.send(strings.Repeat(get, 5000)) // ends with an error when the proxy hangs up
	for {
		if l := e.line(); l.Reason != "" {
			if l.Reason != "client_write_timeout" {
				t.Errorf("logged %+v", l)
			}
			break
		}
	}
}

// Empty lines before requests, and nothing but them.
func TestEmptyLines(t *testing.T) {
	e := newEdge(t, defaults(answering(t, ok).address))
	c := e.say("\r\n" + get + "\r\n" + get)
	for range 2 {
		if h := c.head(); !strings.HasPrefix(h, "HTTP/1.1 200") || c.take(2) != "ok" {
			t.Errorf("head %q", h)
		}
	}
}
