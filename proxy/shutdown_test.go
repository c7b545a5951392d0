package proxy_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"
)

// shutdown runs Shutdown with a deadline and reports its result, and that it returned soon after the deadline.
func (e *edge) shutdown(d time.Duration) <-chan bool {
	result := make(chan bool, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), d)
		defer cancel()
		result <- e.proxy.Shutdown(ctx)
	}()
	return result
}

func TestShutdownClosesIdleAndFinishesRunning(t *testing.T) {
	release := make(chan bool)
	up := newPeer(t, func(c *wire) {
		for c.head() != "" {
			<-release
			c.send(ok)
		}
	})
	e := newEdge(t, defaults(up.address))
	idle := e.say(get)
	release <- true
	idle.head()
	idle.take(2)
	fresh := e.dial()
	running := e.say(get)
	expect(t, "first request", up.heads)
	expect(t, "running request", up.heads)
	result := e.shutdown(patienceOfTests)
	for name, c := range map[string]*wire{"idle": idle, "fresh": fresh} {
		if rest, err := c.rest(); rest != "" || err != nil {
			t.Errorf("%s connection: %q, %v", name, rest, err)
		}
	}
	release <- true
	if all, err := running.rest(); !strings.HasPrefix(all, "HTTP/1.1 200") || !strings.Contains(all, "Connection: close\r\n") || !strings.HasSuffix(all, "ok") || err != nil {
		t.Errorf("running exchange: %q, %v", all, err)
	}
	if !expect(t, "Shutdown", result) {
		t.Error("Shutdown cut something off")
	}
}

// What does not end by itself is closed at the deadline: Shutdown returns then, whoever is being waited for. Both sides are closed by us, so whichever end is heard of first is neither the
// upstream's nor a reason to ask another.
func TestShutdownDeadline(t *testing.T) {
	for _, c := range []struct {
		name, request, answer string
		status                int // in the log; 0: not looked at
		reason                string
	}{
		{"tunnel", upgrade, switching, 0, ""}, // it may be open, or about to be
		{"silent upstream", get, "", 499, "client_gone"},
		{"silent upstream, not to be repeated", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhe", "", 499, "client_gone"},
		{"inside a body", get, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe", 200, "client_gone"},
		{"inside a splice", get, "HTTP/1.1 200 OK\r\nContent-Length: 500000\r\n\r\nhe", 200, "client_gone"},
		{"inside an upload", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 500\r\n\r\nhe", "", 499, "client_gone"},
		{"inside an upload that is answered", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 500\r\n\r\nhe", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe", 200, "client_gone"},
	} {
		t.Run(c.name, func(t *testing.T) {
			up := newPeer(t, func(w *wire) {
				w.head()
				w.send(c.answer)
				_, _ = w.rest()
			})
			o := defaults(up.address)
			o.response, o.idle = time.Minute, time.Minute
			o.http1.BodyTimeout = time.Minute
			e := newEdge(t, o)
			client := e.say(c.request)
			expect(t, "request", up.heads)
			if c.answer != "" {
				client.head()
			}
			began := time.Now()
			if expect(t, "Shutdown", e.shutdown(100*time.Millisecond)) {
				t.Error("Shutdown says that nothing was cut off")
			}
			if d := time.Since(began); d > 30*time.Second { // every other bound is a minute
				t.Errorf("Shutdown took %v with a deadline of 100ms", d)
			}
			if c.status > 0 {
				e.logged(c.status, c.reason, 1)
			}
			if n := e.failures(); n != 0 {
				t.Errorf("held against the peer %d times", n)
			}
		})
	}
}

// Likewise where the upstream's side is a stream of a shared connection.
func TestShutdownDeadlineOfAStream(t *testing.T) {
	asked := make(chan bool, 10)
	address, _ := h2cBackend(t, func(_ http.ResponseWriter, r *http.Request) {
		asked <- true
		<-r.Context().Done()
	})
	o := sharing(address)
	o.response = time.Minute
	e := newEdge(t, o)
	e.say(get)
	expect(t, "request", asked)
	if expect(t, "Shutdown", e.shutdown(100*time.Millisecond)) {
		t.Error("Shutdown says that nothing was cut off")
	}
	e.logged(499, "client_gone", 1)
	if n := e.failures(); n != 0 {
		t.Errorf("held against the peer %d times", n)
	}
}
