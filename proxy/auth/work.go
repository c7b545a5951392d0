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
// not take them all. Those beyond it wait, 64 of them for up to 2 s. It has no goroutine and nothing to close.
type Work struct {
	slots   chan struct{}
	waiting atomic.Int64 // those that wait for a slot
}

// NewWork allows most verifications at a time.
func NewWork(most int) *Work { return &Work{slots: make(chan struct{}, max(1, most))} }

// do runs f when its turn has come; false: it has not come in time.
func (w *Work) do(f func()) bool {
	select {
	case w.slots <- struct{}{}:
	default:
		if !w.wait() {
			return false
		}
	}
	defer func() { <-w.slots }()
	f()
	return true
}

func (w *Work) wait() bool {
	defer w.waiting.Add(-1)
	if w.waiting.Add(1) > workWaiting {
		return false
	}
	patience := time.NewTimer(workPatience)
	defer patience.Stop()
	select {
	case w.slots <- struct{}{}:
		return true
	case <-patience.C:
		return false
	}
}
