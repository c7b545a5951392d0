package proxy_test

import (
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// closed reports, waiting for it, that the other side has closed the connection without a word.
func (c *wire) closed() bool {
	_, err := c.r.ReadByte()
	return err != nil && !strings.Contains(err.Error(), "timeout")
}

// resting waits until so many connections wait for a request. Nothing else tells: an answer is with its client, and its line in the log, before its connection is idle.
func (e *edge) resting(n int) {
	e.t.Helper()
	e.eventually(fmt.Sprint(n, " connections rest"), func() bool {
		stacks := make([]byte, 1<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		found := 0
		for one := range strings.SplitSeq(string(stacks), "\n\n") {
			if state, rest, _ := strings.Cut(one, "\n"); strings.Contains(state, "[IO wait") && strings.Contains(rest, "proxy.(*client).await(") {
				found++
			}
		}
		return found == n
	})
}

// Room is made by closing those that are idle, the longest first; who is busy stays, and so does one that nobody asked about.
func TestMakeRoom(t *testing.T) {
	release := make(chan struct{})
	addr := backend(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wait" {
			<-release
		}
	})
	letGo := sync.OnceFunc(func() { close(release) })
	defer letGo()
	e := newEdge(t, defaults(addr))
	idle := make([]*wire, 3)
	for i := range idle { // one after the other: each is idle for longer than the next
		idle[i] = e.say(get)
		idle[i].head()
		e.resting(i + 1)
	}
	busy := e.say("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
	e.eventually("four connections, one of them busy", func() bool { return e.proxy.Connections() == 4 && e.carrying() == 1 })
	if n := e.proxy.MakeRoom(e.listener, 2); n != 2 {
		t.Errorf("made room for %d", n)
	}
	if !idle[0].closed() || !idle[1].closed() {
		t.Error("the oldest are open")
	}
	e.eventually("two connections", func() bool { return e.proxy.Connections() == 2 })
	idle[2].send(get)
	if h := idle[2].head(); !strings.HasPrefix(h, "HTTP/1.1 200 ") || strings.Contains(h, "Connection: close") {
		t.Errorf("the youngest: %q", h)
	}
	e.resting(1)
	if n := e.proxy.MakeRoom(nil, 5); n != 1 {
		t.Errorf("made room for %d, want the one that is idle", n)
	}
	if n := e.proxy.MakeRoom(nil, 5); n != 0 {
		t.Errorf("made room for %d of the busy", n)
	}
	letGo()
	if h := busy.head(); !strings.HasPrefix(h, "HTTP/1.1 200 ") {
		t.Errorf("the busy one: %q", h)
	}
	busy.send(get)
	if h := busy.head(); !strings.HasPrefix(h, "HTTP/1.1 200 ") {
		t.Errorf("the busy one, once more: %q", h)
	}
}

// Requests and evictions at the same time: every request that was begun on an open connection is answered whole, or the connection ended before it; never is one cut.
func TestMakeRoomUnderRequests(t *testing.T) {
	e := newEdge(t, defaults(answering(t, ok).address))
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				e.proxy.MakeRoom(nil, 1)
			}
		}
	}()
	answered := 0
	for conns := 0; conns < 300 || answered < 50; conns++ {
		c := e.dial()
		for range 5 {
			if _, err := c.Conn.Write([]byte(get)); err != nil {
				break
			}
			first, err := c.r.Peek(1)
			if err != nil {
				break // closed while idle
			}
			if h := c.head(); first[0] != 'H' || !strings.HasPrefix(h, "HTTP/1.1 200 ") || c.take(2) != "ok" {
				t.Fatalf("head %q", h)
			}
			answered++
		}
		_ = c.Close()
	}
	close(stop)
	<-done
}

// An HTTP/2 connection without streams is idle; it is told to go away.
func TestMakeRoomHTTP2(t *testing.T) {
	e := newEdge(t, defaults(answering(t, ok).address))
	client, base := http2Client(t, e)
	resp, err := client.Get(base)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	e.eventually("idle", func() bool { return e.proxy.MakeRoom(nil, 1) == 1 })
	e.eventually("closed", func() bool { return e.proxy.Connections() == 0 })
	if resp, err = client.Get(base); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("the next: %v", err)
	}
	_ = resp.Body.Close()
}

func (e *edge) eventually(what string, ok func() bool) {
	e.t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patienceOfTests); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			e.t.Fatalf("not in time: %s", what)
		}
	}
}

// carrying is the requests at the peers.
func (e *edge) carrying() (n int) {
	for i := range e.service.Groups {
		for _, p := range e.service.Groups[i].Pool.Snapshot() {
			n += int(p.InFlight)
		}
	}
	return n
}
