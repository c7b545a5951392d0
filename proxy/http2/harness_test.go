package http2_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/valor-ivx/weir/proxy/http2"
	"github.com/valor-ivx/weir/proxy/leaktest"
	"github.com/valor-ivx/weir/proxy/message"
	"github.com/valor-ivx/weir/tls/certtest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// server is a real listener whose connections the package serves. Its end waits for every connection.
type server struct {
	t        testing.TB
	listener net.Listener
	options  http2.Options
	counters *http2.Counters
	handler  http2.Handler
	wg       sync.WaitGroup
	ended    chan struct{}

	mu     sync.Mutex
	conns  []*http2.Conn
	errors []error
}

func certificate(t testing.TB) tls.Certificate {
	t.Helper()
	return certtest.New(t, certtest.For("localhost", "127.0.0.1"), nil).TLS()
}

// start serves h; secure puts TLS beneath.
func start(t testing.TB, secure bool, o http2.Options, h http2.Handler) *server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{t: t, listener: l, options: o, handler: h, counters: new(http2.Counters), ended: make(chan struct{}, 1000)}
	s.options.Counters = s.counters
	if secure {
		s.listener = tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{certificate(t)}, NextProtos: []string{"h2"}})
	}
	s.wg.Add(1)
	go s.accept()
	t.Cleanup(s.close)
	return s
}

func (s *server) accept() {
	defer s.wg.Done()
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		c := http2.New(conn, &s.options, s.handler)
		s.mu.Lock()
		s.conns = append(s.conns, c)
		s.mu.Unlock()
		s.wg.Add(1)
		go func() {
			defer s.wg.Done()
			err := c.Serve(nil)
			s.mu.Lock()
			s.errors = append(s.errors, err)
			s.ended <- struct{}{}
			s.mu.Unlock()
		}()
	}
}

func (s *server) close() {
	_ = s.listener.Close()
	s.mu.Lock()
	for _, c := range s.conns {
		_ = c.Close()
	}
	s.mu.Unlock()
	s.wg.Wait()
}

func (s *server) address() string { return s.listener.Addr().String() }

// client is net/http speaking HTTP/2.
func (s *server) client(secure bool) (*http.Client, string) {
	p := new(http.Protocols)
	url := "http://"
	if secure {
		p.SetHTTP2(true)
		url = "https://"
	} else {
		p.SetUnencryptedHTTP2(true)
	}
	tr := &http.Transport{Protocols: p, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	s.t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}, url + s.address()
}

// hello answers every request with the same few bytes.
func hello(s *http2.Stream) {
	e := exchanges.Get().(*exchange)
	defer exchanges.Put(e)
	if err := s.ReadRequest(&e.req); err != nil {
		refuse(s, err)
		return
	}
	e.resp.Reset()
	e.resp.Status, e.resp.Framing, e.resp.ContentLength = 200, message.Length, int64(len(helloBody))
	s.WriteHead(&e.resp, helloLines, false)
	s.Write(helloBody)
	s.Finish(nil)
}

var (
	helloBody  = []byte(`{"status":"ok","service":"valor","version":"1.0.0","colour":"blue","request":"0123456789"}`)
	helloLines = []byte("Content-Type: application/json\r\nContent-Length: " + strconv.Itoa(len(helloBody)) + "\r\nCache-Control: no-store\r\n")
	exchanges  = sync.Pool{New: func() any { return new(exchange) }}
)

type exchange struct {
	req  message.Request
	resp message.Response
}

func refuse(s *http2.Stream, err error) {
	status := 500
	if e, ok := err.(*http2.Error); ok {
		status = e.Status
	}
	answer(s, status, []byte(err.Error()+"\n"))
}

func answer(s *http2.Stream, status int, body []byte) {
	resp := message.Response{Status: status, Framing: message.Length, ContentLength: int64(len(body))}
	s.WriteHead(&resp, fmt.Appendf(nil, "content-length: %d\r\n", len(body)), false)
	s.Write(body)
	s.Finish(nil)
}

// wait waits until n connections have ended.
func (s *server) wait(n int) []error {
	s.t.Helper()
	over := time.After(patience)
	for {
		select {
		case <-s.ended:
			if n--; n == 0 {
				s.mu.Lock()
				defer s.mu.Unlock()
				return s.errors
			}
		case <-over:
			s.t.Fatal("connections stay open")
		}
	}
}

// fetch gets url whole; half is called when a first piece has come.
func fetch(client *http.Client, url string, half func()) error {
	resp, err := client.Get(url)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if half != nil {
		if _, err := io.ReadFull(resp.Body, make([]byte, 1)); err != nil {
			return err
		}
		half()
	}
	_, err = io.Copy(io.Discard, resp.Body)
	if err == nil && resp.StatusCode != 200 {
		err = fmt.Errorf("status %s", resp.Status)
	}
	return err
}
