package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// errand is what a guest comes for: a request, and what a right answer has in it.
type errand struct{ method, path, body, want string }

// hello is an errand to a backend.
var hello = errand{"POST", "/", "hello", " hello"}

// over does it by a client of net/http, and gives the answer that was wrong as an error.
func (e errand) over(client *http.Client, url string) (*http.Response, error) {
	req, err := http.NewRequest(e.method, url, strings.NewReader(e.body))
	if err != nil {
		return nil, err
	}
	res, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if err == nil {
		err = e.wrong(res, string(body))
	}
	return res, err
}

func (e errand) wrong(res *http.Response, body string) error {
	if res.StatusCode != http.StatusOK || !strings.Contains(body, e.want) {
		return fmt.Errorf("%s %s: %s %s %.100q", e.method, e.path, res.Proto, res.Status, body)
	}
	return nil
}

// dialer makes connections to one listener, over TLS or not.
type dialer func() (net.Conn, error)

// guests are clients that behave: they keep connections, come anew where an answer says that it is the last of its connection, and repeat nothing. Whatever else ends a request is a failure.
type guests struct {
	t        *testing.T
	errands  []errand // in turn
	ctx      context.Context
	quit     context.CancelFunc
	running  sync.WaitGroup
	requests atomic.Int64
	came     atomic.Int64 // connections

	mu       sync.Mutex // guards failures
	failures []string
}

func newGuests(t *testing.T, errands ...errand) *guests {
	g := &guests{t: t, errands: errands}
	g.ctx, g.quit = context.WithCancel(context.Background())
	t.Cleanup(func() { g.leave() }) // where a test ends early, why is perhaps here
	return g
}

// visit keeps requests coming, at most each of them on a connection of its own; -1: all that its connection takes.
func (g *guests) visit(name string, dial dialer, each int) {
	var k *keptAlive
	leave := func() {
		if k != nil {
			_ = k.conn.Close()
		}
		k = nil
	}
	on := 0
	g.come(name, func(e errand) error {
		if k == nil {
			conn, err := dial()
			if err != nil {
				return err
			}
			k, on = &keptAlive{conn, bufio.NewReader(conn)}, 0
			g.came.Add(1)
		}
		res, body, err := k.do(e.method, e.path, e.body)
		if err != nil && !(res != nil && res.Close && body != "") {
			return fmt.Errorf("request %d of its connection: %w", on, err)
		}
		if on++; res.Close || on == each {
			leave()
		}
		return e.wrong(res, body)
	}, leave)
}

// visitHTTP2 is the same by HTTP/2, several requests at once on one connection.
func (g *guests) visitHTTP2(address string, streams int) {
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}
	client := &http.Client{Timeout: time.Minute, Transport: transport}
	for range streams {
		g.come("h2", func(e errand) error {
			res, err := e.over(client, "https://"+address+e.path)
			if err == nil && res.ProtoMajor != 2 {
				err = fmt.Errorf("it speaks %s", res.Proto)
			}
			return err
		}, transport.CloseIdleConnections)
	}
}

// visitHTTP3 is the same by HTTP/3. A connection that has said goodbye (RFC 9114 §5.2) takes no request, which goes to a new one then.
func (g *guests) visitHTTP3(address string) {
	client, end := overQUIC(address)
	g.come("h3", func(e errand) error {
		_, err := e.over(client, "https://"+address+e.path)
		if err != nil && strings.Contains(err.Error(), "graceful shutdown") {
			end()
			client, end = overQUIC(address)
			_, err = e.over(client, "https://"+address+e.path)
		}
		return err
	}, func() { end() })
}

// come does one errand after the other, until the end or one that fails.
func (g *guests) come(name string, do func(errand) error, end func()) {
	g.running.Go(func() {
		defer end()
		pace := time.NewTicker(3 * time.Millisecond)
		defer pace.Stop()
		for n := 0; g.ctx.Err() == nil; n++ {
			<-pace.C
			if err := do(g.errands[n%len(g.errands)]); err != nil {
				g.fail("%s %d: %v", name, n, err)
				return
			}
			g.requests.Add(1)
		}
	})
}

// patientQUIC is for clients that no busy machine makes give up: what bounds a connection is the server's.
func patientQUIC() *quic.Config {
	return &quic.Config{HandshakeIdleTimeout: time.Minute, MaxIdleTimeout: time.Minute}
}

func overQUIC(address string) (client *http.Client, end func()) {
	transport := &http3.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, QUICConfig: patientQUIC()}
	return &http.Client{Timeout: time.Minute, Transport: transport}, func() { _ = transport.Close() }
}

func (g *guests) fail(format string, args ...any) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.failures = append(g.failures, fmt.Sprintf(format, args...))
}

// after waits until n more requests were answered.
func (g *guests) after(n int64) {
	g.t.Helper()
	target := g.requests.Load() + n
	eventually(g.t, 0, "guests go on", func() bool {
		g.mu.Lock()
		defer g.mu.Unlock()
		return g.requests.Load() >= target || g.failures != nil
	})
}

// leave ends them and holds them to not one failure.
func (g *guests) leave() int64 {
	g.t.Helper()
	g.quit()
	g.running.Wait()
	for _, f := range g.failures {
		g.t.Error(f)
	}
	g.failures = nil
	return g.requests.Load()
}

// overTCP comes from 250 addresses in turn: a rollout deals clients by theirs.
func overTCP(address string) dialer {
	var n atomic.Int64
	return func() (net.Conn, error) {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 8, 2, byte(1+n.Add(1)%250))}}
		return d.Dial("tcp", address)
	}
}

func overTLS(address string) dialer {
	return func() (net.Conn, error) {
		return tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
	}
}
