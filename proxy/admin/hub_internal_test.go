package admin

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"testing"
	"time"

	"go.uber.org/zap"
)

// still is a Control whose frames the test publishes itself.
type still struct{ Control }

func (still) Frames(ctx context.Context, _ func(Frame)) { <-ctx.Done() }

// A watcher that reads nothing is let go once its queue is full, and holds up nobody.
func TestSlowWatcherIsLetGo(t *testing.T) {
	h := newHub(still{})
	slow, err := h.join()
	if err != nil {
		t.Fatal(err)
	}
	quick, err := h.join()
	if err != nil {
		t.Fatal(err)
	}
	s := h.series
	for range watcherQueue + 2 {
		h.publish(s, Frame{})
		if _, ok := <-quick.frames; !ok {
			t.Fatal("who reads was let go")
		}
	}
	for range watcherQueue {
		if _, ok := <-slow.frames; !ok {
			t.Fatal("what was queued is lost")
		}
	}
	if _, ok := <-slow.frames; ok {
		t.Fatal("more than the queue holds")
	}
	h.leave(slow) // as its handler does: it has left already
	if h.series != s {
		t.Fatal("the series ended while somebody watches")
	}
	h.leave(quick)
	h.publish(s, Frame{}) // one that was on its way
	if h.series != nil {
		t.Fatal("the series goes on for nobody")
	}
	h.close()
	if _, err := h.join(); err != ErrStopping {
		t.Fatal(err)
	}
}

// lively is a Control whose frames come all the time.
type lively struct{ Control }

func (lively) Frames(ctx context.Context, emit func(Frame)) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			emit(Frame{})
		}
	}
}

// The deadlines that the server has for calls do not end a stream.
func TestEventsOutliveDeadlines(t *testing.T) {
	t.Parallel()
	const deadline = 2 * time.Second
	s, err := New(Options{Control: lively{}, Log: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	s.http.ReadTimeout, s.http.WriteTimeout = deadline, deadline
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	res, err := http.Get("http://" + l.Addr().String() + "/v1/events")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	lines := bufio.NewScanner(res.Body)
	for begun := time.Now(); time.Since(begun) < 2*deadline; {
		if !lines.Scan() {
			t.Fatalf("the stream ended after %s: %v", time.Since(begun), lines.Err())
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	for lines.Scan() {
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}
