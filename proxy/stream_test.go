package proxy_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/valor-ivx/weir/proxy"
	edgetls "github.com/valor-ivx/weir/tls"
	"github.com/valor-ivx/weir/tls/certtest"
)

// certificate is one for 127.0.0.1, made for the test.
func certificate(t testing.TB) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	c := certtest.New(t, certtest.For("127.0.0.1"), nil)
	return c.TLS(), c.Pool()
}

// http2Client serves the edge by HTTP/2 on a listener of its own and returns a client that speaks nothing else.
func http2Client(t testing.TB, e *edge, bounds ...*proxy.Bounds) (*http.Client, string) {
	t.Helper()
	cert, pool := certificate(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	listener := &proxy.Listener{Name: "https", Scheme: "https", Port: "443", Metrics: e.metrics.Listener("http")}
	for _, b := range bounds {
		listener.Bind(b)
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			secure := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2"}})
			go func() {
				if secure.Handshake() == nil {
					e.proxy.ServeHTTP2(secure, listener, &edgetls.Session{Version: secure.ConnectionState().Version})
				}
			}()
		}
	}()
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 20 * time.Second}, "https://" + l.Addr().String()
}

func TestHTTP2(t *testing.T) {
	addr := backend(t, func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex()
		w.Header().Set("X-Seen", fmt.Sprintf("%s %s %s %s %s", r.Method, r.URL, r.Proto, r.Header.Get("X-Forwarded-Proto"), r.Header.Get("Cookie")))
		w.Header().Set("Trailer", "X-End")
		_, _ = io.Copy(w, r.Body)
		w.Header().Set("X-End", "over")
	})
	e := newEdge(t, defaults(addr))
	client, base := http2Client(t, e)
	for _, size := range []int{0, 1, 1000, 64 << 10, 1 << 20} {
		data := bytes.Repeat([]byte("weir"), size/4)
		req, _ := http.NewRequest("POST", base+"/a/b?c=d", bytes.NewReader(data))
		req.Header.Set("Cookie", "a=1; b=2")
		resp, err := client.Do(req)
		if err != nil {
			t.Fatalf("%d: %v", size, err)
		}
		got, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || !bytes.Equal(got, data) || resp.ProtoMajor != 2 || resp.Header.Get("X-Seen") != "POST /a/b?c=d HTTP/1.1 https a=1; b=2" {
			t.Errorf("%d: %d bytes, %v, %s %q", size, len(got), err, resp.Proto, resp.Header.Get("X-Seen"))
		}
		if resp.Trailer.Get("X-End") != "over" {
			t.Errorf("%d: trailer %q", size, resp.Trailer)
		}
	}
	resp, err := client.Head(base + "/h")
	if err != nil || resp.StatusCode != 200 {
		t.Errorf("HEAD: %v %v", resp, err)
	}
}

// Streams of one connection do not wait for one another: the slow one is answered after all others.
func TestHTTP2Concurrent(t *testing.T) {
	release := make(chan struct{})
	addr := backend(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			<-release
		}
		_, _ = io.WriteString(w, strings.Repeat(r.URL.Path, 5000))
	})
	e := newEdge(t, defaults(addr))
	client, base := http2Client(t, e)
	get := func(path string) error {
		resp, err := client.Get(base + path)
		if err != nil {
			return err
		}
		defer func() { _ = resp.Body.Close() }()
		b, err := io.ReadAll(resp.Body)
		if err == nil && string(b) != strings.Repeat(path, 5000) {
			err = fmt.Errorf("%s: %d bytes that are not its own", path, len(b))
		}
		return err
	}
	slow := make(chan error, 1)
	go func() { slow <- get("/slow") }()
	var all sync.WaitGroup
	for i := range 100 {
		all.Go(func() {
			if err := get(fmt.Sprintf("/%d", i)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	close(release)
	if err := <-slow; err != nil {
		t.Error(err)
	}
}

// What breaks upstream is seen as broken, what is refused is answered, and a client that goes is held against nobody.
func TestHTTP2Failures(t *testing.T) {
	up := newPeer(t, func(c *wire) {
		c.head()
		c.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
	})
	e := newEdge(t, defaults(up.address))
	client, base := http2Client(t, e)
	resp, err := client.Get(base + "/")
	if err == nil {
		_, err = io.ReadAll(resp.Body)
		_ = resp.Body.Close()
	}
	if err == nil {
		t.Error("half an answer looked complete")
	}
	resp, err = client.Post(base+"/", "text/plain", bytes.NewReader(make([]byte, 11<<20)))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != 413 || len(resp.Header.Get("X-Request-Id")) != 32 {
		t.Errorf("too large: %d %v", resp.StatusCode, resp.Header)
	}

	arrived := make(chan struct{}, 1)
	deaf := backend(t, func(_ http.ResponseWriter, r *http.Request) { arrived <- struct{}{}; <-r.Context().Done() })
	e2 := newEdge(t, defaults(deaf))
	client2, base2 := http2Client(t, e2)
	ctx, cancel := context.WithCancel(context.Background())
	go func() { <-arrived; cancel() }()
	req, _ := http.NewRequestWithContext(ctx, "GET", base2+"/", nil)
	if _, err := client2.Do(req); err == nil {
		t.Error("an answer after all")
	}
	if l := e2.line(); l.Status != 499 || l.Reason != "client_gone" {
		t.Errorf("logged %+v", l)
	}
	if n := e2.failures(); n != 0 {
		t.Errorf("held against the peer %d times", n)
	}
}

// Shutdown lets streams end and takes no further ones.
func TestHTTP2Shutdown(t *testing.T) {
	arrived, release := make(chan struct{}, 1), make(chan struct{})
	addr := backend(t, func(w http.ResponseWriter, _ *http.Request) {
		arrived <- struct{}{}
		<-release
		_, _ = io.WriteString(w, "done")
	})
	e := newEdge(t, defaults(addr))
	client, base := http2Client(t, e)
	answered := make(chan error, 1)
	go func() {
		resp, err := client.Get(base + "/")
		if err == nil {
			_, err = io.ReadAll(resp.Body)
			_ = resp.Body.Close()
		}
		answered <- err
	}()
	<-arrived
	ended := make(chan bool, 1)
	ctx, cancel := context.WithTimeout(context.Background(), patienceOfTests)
	defer cancel()
	go func() { ended <- e.proxy.Shutdown(ctx) }()
	close(release)
	if err := <-answered; err != nil {
		t.Errorf("the stream that ran: %v", err)
	}
	if !<-ended {
		t.Error("shutdown had to cut")
	}
}
