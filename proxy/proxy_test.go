package proxy_test

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func backend(t testing.TB, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// say sends raw bytes on a new connection and returns a reader of the answers.
func say(t testing.TB, address, raw string) (net.Conn, *bufio.Reader) {
	t.Helper()
	c, err := dialTCP(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(patienceOfTests))
	if _, err := io.WriteString(c, raw); err != nil {
		t.Fatal(err)
	}
	return c, bufio.NewReader(c)
}

func answer(t testing.TB, r *bufio.Reader, method string) (*http.Response, string) {
	t.Helper()
	resp, err := http.ReadResponse(r, &http.Request{Method: method})
	if err != nil {
		t.Fatalf("read answer: %v", err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("read answer body: %v", err)
	}
	return resp, string(body)
}

func TestForward(t *testing.T) {
	addr := backend(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Seen", fmt.Sprintf("%s %s %s te=%v xff=%s conn=%q", r.Method, r.URL, r.Host, r.TransferEncoding, r.Header.Get("X-Forwarded-For"), r.Header.Get("X-Drop")))
		fmt.Fprintf(w, "got %d", len(body))
	})
	e := newEdge(t, defaults(addr))
	_, r := say(t, e.address, "GET /a?b=c HTTP/1.1\r\nHost: example.com\r\nX-Forwarded-For: 6.6.6.6\r\nX-Drop: 1\r\nConnection: x-drop\r\n\r\n"+
		"POST /p HTTP/1.1\r\nHost: example.com\r\nContent-Length: 5\r\n\r\nhello"+
		"POST /c HTTP/1.1\r\nHost: example.com\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\n\r\n"+
		"HEAD /h HTTP/1.1\r\nHost: example.com\r\n\r\n"+
		"GET /last HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n")
	for _, c := range []struct{ method, seen, body string }{
		{"GET", `GET /a?b=c example.com te=[] xff=127.0.0.1 conn=""`, "got 0"},
		{"POST", `POST /p example.com te=[] xff=127.0.0.1 conn=""`, "got 5"},
		{"POST", `POST /c example.com te=[chunked] xff=127.0.0.1 conn=""`, "got 7"},
		{"HEAD", `HEAD /h example.com te=[] xff=127.0.0.1 conn=""`, ""},
		{"GET", `GET /last example.com te=[] xff=127.0.0.1 conn=""`, "got 0"},
	} {
		resp, body := answer(t, r, c.method)
		if resp.StatusCode != 200 || resp.Header.Get("X-Seen") != c.seen || body != c.body {
			t.Errorf("%s: %d %q %q, want %q %q", c.method, resp.StatusCode, resp.Header.Get("X-Seen"), body, c.seen, c.body)
		}
		if len(resp.Header["X-Request-Id"]) != 1 || len(resp.Header.Get("X-Request-Id")) != 32 {
			t.Errorf("%s: X-Request-ID %q", c.method, resp.Header["X-Request-Id"])
		}
	}
	if _, err := r.ReadByte(); err != io.EOF {
		t.Errorf("after Connection: close: %v, want EOF", err)
	}
}

func TestBodies(t *testing.T) {
	addr := backend(t, func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex() // else net/http drops what is unread of the body when the answer begins
		if r.URL.Query().Get("chunked") != "" {
			w.(http.Flusher).Flush()
		} else if r.ContentLength >= 0 {
			w.Header().Set("Content-Length", fmt.Sprint(r.ContentLength))
		}
		_, _ = io.Copy(w, r.Body)
	})
	e := newEdge(t, defaults(addr))
	for _, size := range []int{0, 1, 100, 4 << 10, 40 << 10, 64 << 10, 100 << 10, 1 << 20, 5 << 20} {
		for _, in := range []string{"length", "chunked"} {
			for _, out := range []string{"", "chunked"} {
				data := make([]byte, size)
				_, _ = rand.Read(data)
				var body io.Reader = bytes.NewReader(data)
				if in == "chunked" {
					body = struct{ io.Reader }{body}
				}
				resp, err := http.Post("http://"+e.address+"/?chunked="+out, "application/octet-stream", body)
				if err != nil {
					t.Fatalf("%d %s %s: %v", size, in, out, err)
				}
				got, err := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				if err != nil || !bytes.Equal(got, data) {
					t.Fatalf("%d %s %s: %d bytes, %v", size, in, out, len(got), err)
				}
			}
		}
	}
}

func TestRefusals(t *testing.T) {
	e := newEdge(t, defaults(backend(t, func(http.ResponseWriter, *http.Request) { t.Error("an upstream heard of it") })))
	for _, c := range []struct {
		raw    string
		status int
	}{
		{"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\n\r\n", 400},
		{"GET / HTTP/1.1\nHost: a\n\n", 400},
		{"GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("a", 40<<10) + "\r\n\r\n", 431},
		{"GET /" + strings.Repeat("a", 40<<10) + " HTTP/1.1\r\nHost: a\r\n\r\n", 414},
		{"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", 405},
		{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n", 413},
		{"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505},
	} {
		_, r := say(t, e.address, c.raw)
		resp, body := answer(t, r, "GET")
		if resp.StatusCode != c.status || !strings.Contains(body, "request_id") {
			t.Errorf("%.40q: %d %q, want %d", c.raw, resp.StatusCode, body, c.status)
		}
	}
}
