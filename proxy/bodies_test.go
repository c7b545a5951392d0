package proxy_test

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	edgetls "github.com/valor-ivx/weir/tls"
)

// noise is n bytes that repeat nowhere soon, the same for the same seed.
func noise(seed byte, n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(b)
	return b
}

// A hundred clients echo 1 MiB at once: every byte comes back to the one that sent it.
func TestConcurrentEcho(t *testing.T) {
	addr := backend(t, func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex()
		w.Header().Set("Content-Length", fmt.Sprint(r.ContentLength))
		_, _ = io.Copy(w, r.Body)
	})
	e := newEdge(t, defaults(addr))
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	var done sync.WaitGroup
	for i := range 100 {
		done.Go(func() {
			data := noise(byte(i), 1<<20)
			resp, err := client.Post("http://"+e.address+"/", "application/octet-stream", bytes.NewReader(data))
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			if got, err := io.ReadAll(resp.Body); err != nil || !bytes.Equal(got, data) {
				t.Errorf("echo %d: status %d, %d bytes, %v: %.200q", i, resp.StatusCode, len(got), err, got)
			}
		})
	}
	done.Wait()
}

// Both ways of a large body with a peer that takes it in small bites: nothing is lost at the edges of what the kernel moves.
func TestThrottledSplice(t *testing.T) {
	const size = 1<<20 + 12345
	data := noise(7, size)
	sums := make(chan [32]byte, 1)
	sip := func(r io.Reader) []byte {
		pace := time.NewTicker(time.Millisecond)
		defer pace.Stop()
		var got []byte
		bite := make([]byte, 16<<10)
		for len(got) < size {
			<-pace.C
			n, err := r.Read(bite[:1+len(got)%len(bite)])
			got = append(got, bite[:n]...)
			if err != nil {
				break
			}
		}
		return got
	}
	up := newPeer(t, func(c *wire) {
		for c.head() != "" {
			_ = c.Conn.(*net.TCPConn).SetReadBuffer(64 << 10)
			sums <- sha256.Sum256(sip(c.r))
			c.send(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", size))
			_, _ = c.Write(data)
		}
	})
	e := newEdge(t, defaults(up.address))
	c := e.dial()
	_ = c.Conn.(*net.TCPConn).SetReadBuffer(64 << 10)
	c.send(fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", size))
	_, _ = c.Write(data)
	if expect(t, "upload", sums) != sha256.Sum256(data) {
		t.Error("the upload was changed")
	}
	c.head()
	if !bytes.Equal(sip(c.r), data) {
		t.Error("the download was changed")
	}
	if l := e.logged(200, "", 1); l.In != size || l.Out != size {
		t.Errorf("logged %+v", l)
	}
}

// Over TLS a clean close says close_notify: an HTTP/1.0 client of a response without length could not tell a broken one from a whole one.
func TestTruncationShowsOverTLS(t *testing.T) {
	received := make(chan bool, 1)
	up := newPeer(t, func(c *wire) {
		c.head()
		c.send("HTTP/1.1 200 OK\r\n\r\nhello")
		<-received
		c.reset()
	})
	e := newEdge(t, defaults(up.address))
	helper := httptest.NewUnstartedServer(nil)
	helper.StartTLS() // for its certificate
	defer helper.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		raw, err := l.Accept()
		if err != nil {
			return
		}
		conn := tls.Server(raw, &tls.Config{Certificates: helper.TLS.Certificates})
		if conn.Handshake() == nil {
			e.proxy.Serve(conn, e.listener, &edgetls.Session{Version: conn.ConnectionState().Version})
		}
	}()
	c, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	w := newWire(c, nil)
	w.send("GET / HTTP/1.0\r\nHost: a\r\n\r\n")
	w.head()
	if got := w.take(5); got != "hello" {
		t.Errorf("got %q", got)
	}
	received <- true
	if rest, err := w.rest(); err == nil {
		t.Errorf("a clean end, %q", rest)
	}
	e.logged(200, "http_response_incomplete", 1)
}
