package proxy_test

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valor-ivx/weir/proxy/http1"
	"github.com/valor-ivx/weir/proxy/message"
)

// spoken is a message of http1/testdata; its format stands in http1/corpus_test.go.
type spoken struct {
	name, raw string
	method    string // of the request that a response answers
	upgrade   bool
	heard     []string
}

var repeated = regexp.MustCompile(`\{\{(\d+)\*(.*?)\}\}`)

func corpus(t testing.TB, file string) (all []spoken) {
	t.Helper()
	text, err := os.ReadFile("http1/testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(string(text), "\n") {
		kind, rest, _ := strings.Cut(line, " ")
		rest = repeated.ReplaceAllStringFunc(rest, func(m string) string {
			part := repeated.FindStringSubmatch(m)
			n, _ := strconv.Atoi(part[1])
			return strings.Repeat(part[2], n)
		})
		switch kind {
		case "#":
			all = append(all, spoken{name: rest, method: "GET"})
		case ">":
			raw, err := strconv.Unquote(`"` + strings.ReplaceAll(rest, `"`, `\"`) + `"`)
			if err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			all[len(all)-1].raw += raw
		case "<":
			all[len(all)-1].method, _, all[len(all)-1].upgrade = strings.Cut(rest, " ")
		case "=":
			all[len(all)-1].heard = append(all[len(all)-1].heard, rest)
		}
	}
	return all
}

var refused = regexp.MustCompile(`(^| then )(\d{3}) [^"]`)

// verdict is the status with which the last of what is heard is refused, and whether that happens in a body; 0 if it is not.
func (s *spoken) verdict() (status int, body bool) {
	if len(s.heard) == 0 {
		return 0, false
	}
	m := refused.FindStringSubmatch(s.heard[len(s.heard)-1])
	if m == nil {
		return 0, false
	}
	status, _ = strconv.Atoi(m[2])
	return status, m[1] != ""
}

// scripted is an upstream that hands every connection, with the bytes of its first head, to play, and reports what it received on it when play
// returns and the other side has closed.
func scripted(t testing.TB, play func(net.Conn)) (address string, received chan []byte) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	received = make(chan []byte, 1024)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				_ = c.SetDeadline(time.Now().Add(patienceOfTests))
				var got bytes.Buffer
				p := make([]byte, 4096)
				for !bytes.Contains(got.Bytes(), []byte("\r\n\r\n")) {
					n, err := c.Read(p)
					got.Write(p[:n])
					if err != nil {
						break
					}
				}
				play(c)
				_, _ = io.Copy(&got, c)
				received <- got.Bytes()
			}()
		}
	}()
	return l.Addr().String(), received
}

const smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"

// TestBadHeads sends every request whose head is refused, with another request right behind it: its status, the end of the connection, and not one byte at
// the upstream.
func TestBadHeads(t *testing.T) {
	address, received := scripted(t, func(c net.Conn) { _ = c.Close() })
	e := newEdge(t, defaults(address))
	count := 0
	for _, s := range corpus(t, "requests.txt") {
		status, body := s.verdict()
		if status == 0 || body || len(s.heard) > 1 {
			continue
		}
		count++
		_, r := say(t, e.address, s.raw+smuggled)
		resp, text := answer(t, r, "GET")
		if resp.StatusCode != status || !resp.Close || !strings.Contains(text, "request_id") {
			t.Errorf("%s: %d close=%t %q, want %d", s.name, resp.StatusCode, resp.Close, text, status)
		}
		if rest, err := io.ReadAll(r); err != nil || len(rest) > 0 {
			t.Errorf("%s: %q, %v behind the answer, want the end", s.name, rest, err)
		}
	}
	if count < 100 {
		t.Errorf("%d requests, want 100", count)
	}
	// Whatever had been forwarded would stand here: forwarding comes before the answer.
	select {
	case got := <-received:
		t.Errorf("the upstream received %q", got)
	default:
	}
}

// TestBadBodies sends every request that turns out bad inside its body. Its head has gone on by then; its end must not, nor anything behind it.
func TestBadBodies(t *testing.T) {
	address, received := scripted(t, func(net.Conn) {})
	e := newEdge(t, defaults(address))
	count := 0
	for _, s := range corpus(t, "requests.txt") {
		status, body := s.verdict()
		truncated := len(s.heard) == 1 && strings.Contains(s.heard[0], " then message truncated")
		if !(status > 0 && body) && !truncated {
			continue
		}
		count++
		raw := s.raw + smuggled
		if truncated {
			raw = s.raw
		}
		c, r := say(t, e.address, raw)
		if truncated {
			_ = c.(*net.TCPConn).CloseWrite()
		} else if resp, _ := answer(t, r, "GET"); resp.StatusCode != 400 || !resp.Close {
			t.Errorf("%s: %d close=%t, want 400", s.name, resp.StatusCode, resp.Close)
		}
		if rest, err := io.ReadAll(r); err != nil || len(rest) > 0 {
			t.Errorf("%s: %q, %v behind the answer, want the end", s.name, rest, err)
		}
		got := <-received
		if bytes.Contains(got, []byte("smuggled")) || bytes.HasSuffix(got, []byte("\r\n0\r\n\r\n")) {
			t.Errorf("%s: the upstream received %q", s.name, got)
		}
	}
	if count < 30 {
		t.Errorf("%d requests, want 30", count)
	}
}

// TestBadResponses puts every bad response of the corpus behind the edge: 502 and not a byte of it where its head is bad, a broken connection where its body is.
func TestBadResponses(t *testing.T) {
	const ours = `{"type":"about:blank","title":"Bad Gateway","status":502,"reason":"http_protocol_error","request_id":"`
	var raw atomic.Value // string: what the upstream says next; written here, read by its connections
	address, _ := scripted(t, func(c net.Conn) {
		_, _ = io.WriteString(c, raw.Load().(string))
		_ = c.(*net.TCPConn).CloseWrite()
	})
	e := newEdge(t, defaults(address))
	count := 0
	for _, s := range corpus(t, "responses.txt") {
		status, body := s.verdict()
		last := s.heard[len(s.heard)-1]
		truncated := strings.HasSuffix(last, "message truncated")
		if status == 0 && !truncated {
			continue
		}
		count++
		raw.Store(s.raw)
		inBody := body || truncated && last != "message truncated"
		_, r := say(t, e.address, s.method+" / HTTP/1.1\r\nHost: a\r\n\r\n")
		if inBody {
			if err := cutShort(r, s.method); err == nil {
				t.Errorf("%s: looks complete to the client", s.name)
			}
			continue
		}
		resp, text := answer(t, r, s.method)
		for resp.StatusCode < 200 {
			resp, text = answer(t, r, s.method)
		}
		want := ours
		switch {
		case s.method == "HEAD":
			want = ""
		case truncated:
			want = strings.Replace(ours, "http_protocol_error", "connection_terminated", 1)
		}
		if resp.StatusCode != 502 || !strings.HasPrefix(text, want) || s.method != "HEAD" && len(text) != len(want)+len("0123456789abcdef0123456789abcdef\"}\n") {
			t.Errorf("%s: %d %q, want 502 of our own making", s.name, resp.StatusCode, text)
		}
		for name := range resp.Header {
			if !strings.Contains("Content-Type Content-Length Cache-Control Date X-Request-Id Connection", name) {
				t.Errorf("%s: field %s is not ours", s.name, name)
			}
		}
	}
	if count < 50 {
		t.Errorf("%d responses, want 50", count)
	}
}

// cutShort reads an answer that must not be complete.
func cutShort(r *bufio.Reader, method string) error {
	resp, err := http.ReadResponse(r, &http.Request{Method: method})
	if err != nil {
		return err
	}
	_, err = io.ReadAll(resp.Body)
	return err
}

// TestTransparent sends every good request through the edge to an upstream that parses it with the same strictness: method, path, query, host, framing, body and
// trailers arrive as they were heard at the edge.
func TestTransparent(t *testing.T) {
	heard := make(chan string, 16)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go attend(c, heard)
		}
	}()
	e := newEdge(t, defaults(l.Addr().String()))
	count := 0
	for _, s := range corpus(t, "requests.txt") {
		if status, _ := s.verdict(); status > 0 || len(s.heard) == 0 || strings.Contains(s.raw, "%00") || strings.Contains(strings.Join(s.heard, ""), "truncated") || strings.HasPrefix(s.raw, "CONNECT") || strings.Index(s.raw, "\r\n\r\n") > 32<<10-500 {
			continue // what is not forwarded: refused, not canonical, a method that we do not carry; or too large for this upstream once our lines are in it
		}
		count++
		_, r := say(t, e.address, s.raw)
		for _, want := range s.heard {
			method, rest, _ := strings.Cut(want, " ")
			resp, _ := answer(t, r, method)
			if resp.StatusCode != 200 {
				t.Fatalf("%s: %d", s.name, resp.StatusCode)
			}
			path, rest, _ := strings.Cut(rest, " ")
			host, _, _ := strings.Cut(rest, " ")
			if host == "host=" { // HTTP/1.0 without one: the peer's address
				host += l.Addr().String()
			}
			got := <-heard
			want = method + " " + path + " " + host + bodyOf(want)
			if got != want {
				t.Errorf("%s:\n got  %s\n want %s", s.name, got, want)
			}
		}
	}
	if count < 40 {
		t.Errorf("%d requests, want 40", count)
	}
}

func bodyOf(heard string) string {
	if i := strings.Index(heard, " body="); i >= 0 {
		return heard[i:]
	}
	if i := strings.Index(heard, " trailer "); i >= 0 {
		return heard[i:]
	}
	return ""
}

// attend is an upstream that answers 200 to everything and reports what it heard.
func attend(conn net.Conn, heard chan<- string) {
	c := http1.NewServerConn(conn, &http1.ServerOptions{Limits: http1.Limits{Head: 32 << 10, Target: 16 << 10, Fields: 200}, IdleTimeout: patienceOfTests})
	defer func() { _ = c.Close() }()
	var req message.Request
	for c.Wait(time.Now()) == nil {
		if err := c.ReadRequest(&req); err != nil {
			heard <- err.Error()
			return
		}
		line := string(req.MethodName) + " " + string(req.Path)
		if req.Query != nil {
			line += "?" + string(req.Query)
		}
		line += " host=" + string(req.Host)
		body, err := io.ReadAll(c.Body())
		if err != nil {
			line += " " + err.Error()
		}
		if len(body) > 0 {
			line += " body=" + short(body)
		}
		for i, h := 0, c.Body().Trailers(); i < h.Len(); i++ {
			line += " trailer " + string(h.At(i).Name()) + "=" + short(h.At(i).Value())
		}
		heard <- line
		c.WriteHead(&message.Response{Status: 200, Proto: message.HTTP11}, []byte("Content-Length: 0\r\n"), false)
		c.Finish(nil)
		if !c.EndExchange() {
			return
		}
	}
}

func short(b []byte) string {
	if len(b) > 64 {
		return "(" + strconv.Itoa(len(b)) + " bytes)"
	}
	return strconv.Quote(string(b))
}
