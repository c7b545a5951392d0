package auth

import (
	"sync/atomic"
	"time"
)

const (
	workPatience = 2 * time.Second
	workWaiting  = 64
)

// Work bounds how many passwords are verified at a time, by all that share it: a hash is made to cost 50 ms and more of a CPU, and a flood of logins must
// not take them all. Those beyond it wait, 64 of them for up to 2 s or until their clients leave. It has no goroutine and nothing to close.
type Work struct {
	slots   chan struct{} // those that are free
	waiting atomic.Int64  // those that wait for a slot
}

// NewWork allows most verifications at a time.
func NewWork(most int) *Work {
	w := &Work{slots: make(chan struct{}, max(1, most))}
	for range cap(w.slots) {
		w.slots <- struct{}{}
	}
	return w
}

// do runs f when its turn has come; with anything but came it has not.
func (w *Work) do(r *Request, f func()) outcome {
	select {
	case <-w.slots:
	default:
		if o := w.wait(r); o != came {
			return o
		}
	}
	defer func() { w.slots <- struct{}{} }()
	f()
	return came
}

func (w *Work) wait(r *Request) outcome {
	defer w.waiting.Add(-1)
	if w.waiting.Add(1) > workWaiting {
		return late
	}
	return r.await(w.slots, nil, workPatience)
}
