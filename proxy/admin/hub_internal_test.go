package admin

import (
	"context"
	"testing"
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
