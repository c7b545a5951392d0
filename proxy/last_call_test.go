package proxy_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/valor-ivx/weir/proxy"
)

// TestShutdownHearsTheFirstRequest: a client that has just opened its connection when the proxy is shut down is answered, for nobody else would; one that says nothing is not waited for longer
// than a moment, nor one that has been answered before at all; and Shutdown has cut off nobody.
func TestShutdownHearsTheFirstRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &proxy.Listener{Name: "l", Scheme: "http", Port: "80"}
		p := localProxy(t, l)
		open := func() net.Conn {
			near, far := net.Pipe()
			go p.Serve(&proxy.Claimed{Conn: near, From: netip.MustParseAddr("192.0.2.1")}, l, nil)
			return far
		}
		ask := func(c net.Conn, last bool) {
			if _, err := io.WriteString(c, "GET /other HTTP/1.1\r\nHost: a.test\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			resp, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != http.StatusNotFound || resp.Close != last {
				t.Errorf("%s, close %t, %v", resp.Status, resp.Close, err)
			}
		}
		late, silent, idle := open(), open(), open()
		ask(idle, false)
		synctest.Wait()
		begin := time.Now()
		clean := make(chan bool, 1)
		go func() { clean <- p.Shutdown(t.Context()) }()
		ended := func(c net.Conn, after time.Duration) {
			t.Helper()
			if n, err := c.Read(make([]byte, 1)); n != 0 || err != io.EOF {
				t.Errorf("%d bytes, %v", n, err)
			}
			if took := time.Since(begin); took != after {
				t.Errorf("closed after %v, want %v", took, after)
			}
		}
		ended(idle, 0)
		time.Sleep(time.Second / 2) // of the bubble's clock
		ask(late, true)
		ended(late, time.Second/2)
		ended(silent, 5*time.Second/4) // deadlines are up to a quarter late
		if !<-clean {
			t.Error("cut somebody off")
		}
	})
}
