package proxy_test

import (
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/valor-ivx/weir/proxy/route"
	"github.com/valor-ivx/weir/upstream"
)

func TestErrorAnswers(t *testing.T) {
	for _, c := range []struct {
		accept string
		html   bool
	}{
		{"", false}, {"*/*", false}, {"application/json, text/html", false}, {"text/html,application/xhtml+xml;q=0.9", true}, {"text/html; q=0.5, */*", true},
	} {
		for _, method := range []string{"GET", "HEAD"} {
			t.Run(method+" "+c.accept, func(t *testing.T) {
				e := newEdge(t, defaults(deadAddress(t)))
				client := e.dial()
				for range 2 { // the connection is kept
					request := method + " / HTTP/1.1\r\nHost: a\r\n"
					if c.accept != "" {
						request += "Accept: " + c.accept + "\r\n"
					}
					client.send(request + "\r\n")
					head := client.head()
					var length int
					_, _ = fmt.Sscanf(head[strings.Index(head, "Content-Length: "):], "Content-Length: %d", &length)
					l := e.logged(502, "connection_refused", 1)
					if !strings.HasPrefix(head, "HTTP/1.1 502 Bad Gateway\r\n") || !strings.Contains(head, "X-Request-ID: "+l.ID+"\r\n") || strings.Contains(head, "Connection:") {
						t.Errorf("head %q", head)
					}
					if method == "HEAD" {
						if l.Out != 0 {
							t.Errorf("%d bytes out for HEAD", l.Out)
						}
						continue
					}
					body := client.take(length)
					if l.Out != int64(length) || !strings.Contains(body, l.ID) {
						t.Errorf("logged %+v, body %q", l, body)
					}
					if c.html {
						if !strings.Contains(head, "text/html") || !strings.Contains(body, "<h1>502 Bad Gateway</h1>") {
							t.Errorf("%q %q", head, body)
						}
						continue
					}
					var p struct {
						Status        int
						Reason, Title string
						RequestID     string `json:"request_id"`
					}
					if err := json.Unmarshal([]byte(body), &p); err != nil || p.Status != 502 || p.Reason != "connection_refused" || p.RequestID != l.ID || !strings.Contains(head, "application/problem+json") {
						t.Errorf("%q %q %v", head, body, err)
					}
				}
			})
		}
	}
}

// Requests that no upstream hears of: by host, path, method, size and form.
func TestRefusalsAreCountedOnTheirRoute(t *testing.T) {
	up := answering(t, ok)
	e := newEdge(t, defaults(up.address))
	table, err := route.New([]route.Rule{{Name: "all", Hosts: []string{"a.example"}, Kind: route.Prefix, Path: "/api/"}})
	if err != nil {
		t.Fatal(err)
	}
	s := *e.proxy.Snapshot()
	s.Table = table
	e.proxy.Publish(&s)
	for _, c := range []struct {
		request, reason string
		status          int
		kept            bool
	}{
		{"GET /api/x HTTP/1.1\r\nHost: a.example\r\n\r\n", "", 200, true},
		{"GET /other HTTP/1.1\r\nHost: a.example\r\n\r\n", "no_route", 404, true},
		{"POST /other HTTP/1.1\r\nHost: a.example\r\nContent-Length: 3\r\n\r\nabc", "no_route", 404, true},
		{"POST /other HTTP/1.1\r\nHost: a.example\r\nContent-Length: 300\r\n\r\nabc", "no_route", 404, false},
		{"GET /api/x HTTP/1.1\r\nHost: b.example\r\n\r\n", "unknown_host", 404, true},
		{"TRACE /api/x HTTP/1.1\r\nHost: a.example\r\n\r\n", "http_request_denied", 405, true},
		{"GET /api/%zz HTTP/1.1\r\nHost: a.example\r\n\r\n", "http_request_error", 400, false},
		{"GET /api/x HTTP/1.1\r\nHost: a.example\r\nContent-Length: +1\r\n\r\n", "http_request_error", 400, false},
		{"PUT /api/x HTTP/1.1\r\nHost: a.example\r\nContent-Length: 99999999\r\n\r\n", "body_too_large", 413, false},
	} {
		client := e.say(c.request)
		h := client.head()
		if !strings.HasPrefix(h, fmt.Sprintf("HTTP/1.1 %d ", c.status)) || strings.Contains(h, "Connection: close") == c.kept {
			t.Errorf("%q: %q", c.request, h)
		}
		if (c.status == 405) != strings.Contains(h, "\r\nAllow: ") {
			t.Errorf("%q: %q", c.request, h)
		}
		_ = client.Close()
		if l := e.line(); l.Status != c.status || l.Reason != c.reason {
			t.Errorf("%q: logged %+v", c.request, l)
		}
	}
	if n := up.hits.Load(); n != 1 {
		t.Errorf("the upstream heard of %d requests", n)
	}
}

func TestNoPeer(t *testing.T) {
	o := twoGroups(deadAddress(t), deadAddress(t))
	o.health = &upstream.HealthOptions{Path: "/"}
	e := newEdge(t, o)
	c := e.say(get)
	if h := c.head(); !strings.HasPrefix(h, "HTTP/1.1 503 ") || !retryAfter.MatchString(h) {
		t.Errorf("head %q", h)
	}
	e.logged(503, "destination_unavailable", 0)
}

func TestTimeouts(t *testing.T) {
	for _, c := range []struct {
		name, answer   string
		change         func(*edgeOptions)
		status         int
		reason         string
		peerIsToBlame  bool
		sees, complete bool
	}{
		{"response head", "", func(o *edgeOptions) { o.response = 100 * time.Millisecond }, 504, "http_response_timeout", true, true, true},
		{"half a head", "HTTP/1.1 200 OK\r\nX", func(o *edgeOptions) { o.response = 100 * time.Millisecond }, 504, "http_response_timeout", true, true, true},
		{"total, before the head", "", func(o *edgeOptions) { o.timeout = 2 * time.Second }, 504, "total_timeout", true, true, true},
		{"idle in a body", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe", func(o *edgeOptions) { o.idle = 2 * time.Second }, 200, "http_response_timeout", true, true, false},
		{"idle in a splice", "HTTP/1.1 200 OK\r\nContent-Length: 500000\r\n\r\nhe", func(o *edgeOptions) { o.idle = 2 * time.Second }, 200, "http_response_timeout", true, true, false},
		{"total in a body", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe", func(o *edgeOptions) { o.timeout = 2 * time.Second }, 200, "total_timeout", true, true, false},
		{"total in a splice", "HTTP/1.1 200 OK\r\nContent-Length: 500000\r\n\r\nhe", func(o *edgeOptions) { o.timeout = 2 * time.Second }, 200, "total_timeout", true, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			up := newPeer(t, func(w *wire) {
				w.head()
				w.send(c.answer)
				_, _ = w.rest()
			})
			o := defaults(up.address)
			o.response, o.idle = 2*patienceOfTests, 2*patienceOfTests
			c.change(&o)
			e := newEdge(t, o)
			began := time.Now()
			client := e.say(get)
			if h := client.head(); !strings.HasPrefix(h, fmt.Sprintf("HTTP/1.1 %d ", c.status)) {
				t.Errorf("head %q", h)
			}
			e.logged(c.status, c.reason, 1)
			if !c.complete {
				if rest, err := client.rest(); err == nil && len(rest) >= 5 {
					t.Errorf("a clean end: %q", rest)
				}
			}
			if d := time.Since(began); d > patienceOfTests/2 { // or it was another bound
				t.Errorf("took %v", d)
			}
			if n := e.failures(); (n > 0) != c.peerIsToBlame {
				t.Errorf("held against the peer %d times", n)
			}
		})
	}
}

// Event streams and tunnels outlive the total timeout, and every event is passed on at once.
func TestTotalTimeoutSparesStreams(t *testing.T) {
	for name, kind := range map[string]string{"events": "text/event-stream; charset=utf-8", "tunnel": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			next := make(chan bool)
			up := newPeer(t, func(w *wire) {
				if w.head() == "" {
					return
				}
				if kind == "" {
					w.send(switching)
				} else {
					w.send("HTTP/1.1 200 OK\r\nContent-Type: " + kind + "\r\nTransfer-Encoding: chunked\r\n\r\n")
				}
				for range next {
					w.send("5\r\nevent\r\n")
				}
				w.send("0\r\n\r\n")
			})
			o := defaults(up.address)
			o.timeout = 2 * time.Second // within which the head has to come
			e := newEdge(t, o)
			begin := time.Now()
			c := e.say(upgrade)
			c.head()
			pace := time.NewTicker(20 * time.Millisecond)
			defer pace.Stop()
			for time.Since(begin) < o.timeout+o.timeout/4 {
				<-pace.C
				next <- true
				if got := c.take(10); got != "5\r\nevent\r\n" {
					t.Fatalf("event %q", got)
				}
			}
			close(next)
			if got := c.take(5); got != "0\r\n\r\n" {
				t.Errorf("end %q", got)
			}
			_ = c.Close()
			e.line()
		})
	}
}

// fullBacklog is an address that neither accepts nor refuses: the queue of a listener that nobody serves is full.
func fullBacklog(t *testing.T) string {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	address := fmt.Sprintf("127.0.0.1:%d", name.(*unix.SockaddrInet4).Port)
	for range 8 {
		c, err := net.DialTimeout("tcp", address, 100*time.Millisecond)
		if err != nil {
			return address
		}
		t.Cleanup(func() { _ = c.Close() })
	}
	t.Fatal("the backlog does not fill")
	return ""
}

func TestConnectTimeout(t *testing.T) {
	e := newEdge(t, defaults(fullBacklog(t)))
	e.service.ConnectTimeout = 100 * time.Millisecond
	c := e.say(get)
	if h := c.head(); !strings.HasPrefix(h, "HTTP/1.1 504 ") {
		t.Errorf("head %q", h)
	}
	e.logged(504, "connection_timeout", 1)
}
