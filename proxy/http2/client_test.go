package http2_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/valor-ivx/weir/proxy/http2"
	"github.com/valor-ivx/weir/proxy/message"
)

// origin is net/http speaking h2c.
func origin(t testing.TB, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// upstream is a connection of ours to an address. Its end waits for its reader, and counts streams that were not released.
type upstream struct {
	*http2.ClientConn
	t     testing.TB
	ended chan error
}

func connect(t testing.TB, address string, o http2.ClientOptions) *upstream {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	o.Scheme, o.Authority = "http", address
	u := &upstream{ClientConn: http2.NewClientConn(conn, o), t: t, ended: make(chan error, 1)}
	go func() { u.ended <- u.Serve() }()
	t.Cleanup(func() {
		_ = u.Close()
		select {
		case <-u.ended:
		case <-time.After(patience):
			t.Error("the reader did not end")
		}
		if n := u.Streams(); n != 0 {
			t.Errorf("%d streams were not released", n)
		}
	})
	return u
}

func request(method, path string, framing message.Framing, length int64, fields ...string) *message.Request {
	r := &message.Request{Method: message.MethodOf([]byte(method)), MethodName: []byte(method), Host: []byte("api.example"), Framing: framing, ContentLength: length}
	p, q, ok := strings.Cut(path, "?")
	r.Path = []byte(p)
	if ok {
		r.Query = []byte(q)
	}
	for i := 0; i < len(fields); i += 2 {
		r.Header.Add(fields[i], fields[i+1])
	}
	return r
}

// say sends a whole request.
func say(s *http2.ClientStream, r *message.Request, body []byte) {
	s.Begin()
	s.WriteHead(r, r.Path, nil)
	if len(body) > 0 {
		s.Write(body)
	}
	s.Finish(nil)
}

// response is an answer, read whole.
type response struct {
	status   int
	header   message.Header
	body     []byte
	trailers map[string]string
	interim  []int
}

// hear reads a whole response.
func hear(s *http2.ClientStream, method message.Method) (*response, error) {
	r := new(response)
	var resp message.Response
	_ = s.Await(time.Now(), patience)
	for {
		if err := s.ReadResponse(&resp, method, false); err != nil {
			return nil, err
		}
		if resp.Status >= 200 {
			break
		}
		r.interim = append(r.interim, resp.Status)
	}
	r.status = resp.Status
	for i := range resp.Header.Len() {
		f := resp.Header.At(i)
		r.header.AddBytes(string(f.Name()), f.Value())
	}
	body := s.Body()
	for !body.Complete() {
		p, err := body.Next()
		r.body = append(r.body, p...)
		if err != nil && err != io.EOF {
			return r, err
		}
	}
	r.trailers = map[string]string{}
	for i := range body.Trailers().Len() {
		f := body.Trailers().At(i)
		r.trailers[string(f.Name())] = string(f.Value())
	}
	return r, nil
}

func (u *upstream) open() *http2.ClientStream {
	u.t.Helper()
	s := u.Open()
	if s == nil {
		u.t.Fatal("no stream")
	}
	return s
}

// fetch is one whole exchange.
func (u *upstream) fetch(r *message.Request, body []byte) (*response, error) {
	s := u.open()
	defer s.Release(false)
	say(s, r, body)
	return hear(s, r.Method)
}

// TestClientAgainstNetHTTP: heads, bodies of all framings and sizes, trailers, interim responses and what an upstream is told, against Go's server.
func TestClientAgainstNetHTTP(t *testing.T) {
	big := bytes.Repeat([]byte("0123456789abcdef"), 200<<10/16)
	address := origin(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/echo":
			w.Header().Set("Trailer", "X-Sum")
			n, _ := io.Copy(w, r.Body)
			w.Header().Set("X-Sum", fmt.Sprint(n, r.Trailer))
		case "/head":
			fmt.Fprintf(w, "%s %s %s %s %v %q te=%q", r.Method, r.Host, r.RequestURI, r.Proto, r.ContentLength, r.Header["Cookie"], r.Header.Get("Te"))
			for _, name := range []string{"Connection", "Keep-Alive", "Upgrade", "X-Forwarded-For", "X-Own", "X-Client"} {
				fmt.Fprintf(w, " %s=%q", name, r.Header[name])
			}
		case "/early":
			w.Header().Set("Link", "</a>")
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusNoContent)
		case "/big":
			_, _ = w.Write(big)
		case "/length":
			w.Header().Set("Content-Length", "5")
			_, _ = w.Write([]byte("12345"))
		}
	})
	u := connect(t, address, http2.ClientOptions{})

	r, err := u.fetch(request("POST", "/echo", message.Chunked, 0), big)
	if err != nil || !bytes.Equal(r.body, big) || r.trailers["x-sum"] != fmt.Sprintf("%d map[]", len(big)) {
		t.Fatalf("echo: %v, %d bytes, %v", err, len(r.body), r.trailers)
	}
	s := u.open()
	req := request("GET", "/head?a=b&c", message.None, 0, "Connection", "keep-alive", "Keep-Alive", "timeout=5", "TE", "trailers, deflate", "Host", "api.example",
		"Cookie", "a=b", "X-Forwarded-For", "6.6.6.6", "Upgrade", "websocket", "X-Client", "1")
	s.WriteHead(req, req.Path, []byte("X-Own: 1\r\nConnection: Upgrade\r\nX-Forwarded-For: 1.2.3.4\r\nHost: evil\r\n"))
	s.Finish(nil)
	r, err = hear(s, message.GET)
	s.Release(false)
	want := `GET api.example /head?a=b&c HTTP/2.0 0 ["a=b"] te="trailers" Connection=[] Keep-Alive=[] Upgrade=[] X-Forwarded-For=["1.2.3.4"] X-Own=["1"] X-Client=["1"]`
	if err != nil || string(r.body) != want {
		t.Errorf("%v\n%s\n%s", err, r.body, want)
	}
	r, err = u.fetch(request("GET", "/early", message.None, 0), nil)
	if err != nil || r.status != http.StatusNoContent || len(r.interim) != 1 || r.interim[0] != http.StatusEarlyHints {
		t.Errorf("early hints: %v %+v", err, r)
	}
	r, err = u.fetch(request("HEAD", "/length", message.None, 0), nil)
	if err != nil || r.status != http.StatusOK || len(r.body) != 0 {
		t.Errorf("HEAD: %v %+v", err, r)
	}
	r, err = u.fetch(request("POST", "/length", message.Length, 3), []byte("abc"))
	if err != nil || string(r.body) != "12345" {
		t.Errorf("length: %v %+v", err, r)
	}
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			path := []string{"/big", "/length"}[i%2]
			r, err := u.fetch(request("GET", path, message.None, 0), nil)
			if err != nil || r.status != http.StatusOK || path == "/big" && !bytes.Equal(r.body, big) {
				t.Errorf("%s: %v", path, err)
			}
		})
	}
	wg.Wait()
}

// TestClientStreamsBothWays: parts of both bodies alternate, the answer ends before the request does.
func TestClientStreamsBothWays(t *testing.T) {
	address := origin(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		b := make([]byte, 4)
		for range 3 {
			if _, err := io.ReadFull(r.Body, b); err != nil {
				t.Error(err)
			}
			_, _ = w.Write(bytes.ToUpper(b))
			_ = http.NewResponseController(w).Flush()
		}
		w.Header().Set(http.TrailerPrefix+"grpc-status", "0")
	})
	u := connect(t, address, http2.ClientOptions{})
	s := u.open()
	r := request("POST", "/", message.Chunked, 0)
	s.WriteHead(r, r.Path, nil)
	s.Flush()
	_ = s.Await(time.Now(), patience)
	var resp message.Response
	if err := s.ReadResponse(&resp, message.POST, false); err != nil || resp.Status != http.StatusOK || resp.Framing != message.Chunked {
		t.Fatalf("%v %+v", err, resp)
	}
	for _, part := range []string{"abcd", "efgh", "ijkl"} {
		s.Write([]byte(part))
		s.Flush()
		p, err := s.Body().Next()
		if err != nil || string(p) != strings.ToUpper(part) {
			t.Fatalf("%q %v", p, err)
		}
	}
	if _, err := s.Body().Next(); err != io.EOF {
		t.Errorf("end: %v", err)
	}
	if v, _ := s.Body().Trailers().Get("grpc-status"); string(v) != "0" {
		t.Errorf("trailers: %q", v)
	}
	s.Release(false)
	if u.Over() {
		t.Error("a request that was not read to its end cost the connection")
	}
}
