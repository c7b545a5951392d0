package proxy

import (
	"sync"
	"time"
)

// Hold keeps the requests of a paused service waiting, bounded in number and time, and lets them go on in the order in which they came. It outlives generations; while
// its service is not paused no request knows of it. It starts no goroutine: each request that goes on calls the next.
type Hold struct {
	mu             sync.Mutex // guards everything below; held for a few instructions
	open           bool
	service        *Service // with which those go on that are called
	most           int
	timeout        time.Duration
	oldest, newest *held
	count          int
}

// held is one request that waits.
type held struct {
	called       chan struct{} // closed when it may go on
	place        place         // guarded by Hold.mu, like what follows
	older, newer *held
}

// place is where a request stands with a Hold.
type place uint8

const (
	inNoLine place = iota
	inLine
	called // and the one behind waits until it has gone on
)

// NewHold returns one that holds nobody.
func NewHold() *Hold { return &Hold{open: true} }

// Close makes requests of s wait from now on, at most so many at a time and each for at most so long. Those that wait keep their places.
func (h *Hold) Close(s *Service, most int, timeout time.Duration) {
	h.mu.Lock()
	h.open, h.service, h.most, h.timeout = false, s, most, timeout
	h.mu.Unlock()
}

// Open lets them go on with s.
func (h *Hold) Open(s *Service) {
	h.mu.Lock()
	h.open, h.service = true, s
	h.call()
	h.mu.Unlock()
}

// Release is Open with the service that it has.
func (h *Hold) Release() {
	h.mu.Lock()
	h.open = true
	h.call()
	h.mu.Unlock()
}

// Waiting is how many wait.
func (h *Hold) Waiting() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.count
}

// holding is what becomes of a request that comes to a Hold.
type holding uint8

const (
	passes holding = iota
	waits
	turnedAway
)

// enter takes a place in the line. One that comes while those before it are being called waits behind them.
func (h *Hold) enter(w *held) (holding, time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.open && h.count == 0:
		return passes, 0
	case !h.open && h.count >= h.most:
		return turnedAway, 0
	}
	w.place, w.older = inLine, h.newest
	if h.newest != nil {
		h.newest.newer = w
	} else {
		h.oldest = w
	}
	h.newest = w
	h.count++
	return waits, h.timeout
}

// call lets the next one go on. mu is held.
func (h *Hold) call() {
	if w := h.oldest; w != nil && h.open {
		h.remove(w)
		w.place = called
		close(w.called)
	}
}

// current is the service that those go on with that are called: the one in force by then, not the one that they came to.
func (h *Hold) current() *Service {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.service
}

// withdraw ends a wait; false: it was called.
func (h *Hold) withdraw(w *held) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if w.place != inLine {
		return false
	}
	h.remove(w)
	return true
}

// leave takes w out however its wait ended. If it was called the one behind it is now.
func (h *Hold) leave(w *held) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch w.place {
	case inLine:
		h.remove(w)
	case called:
		w.place = inNoLine
		h.call()
	}
}

// remove takes w, which is in the line, out of the line. mu is held.
func (h *Hold) remove(w *held) {
	w.place = inNoLine
	if w.older != nil {
		w.older.newer = w.newer
	} else {
		h.oldest = w.newer
	}
	if w.newer != nil {
		w.newer.older = w.older
	} else {
		h.newest = w.older
	}
	w.older, w.newer = nil, nil
	h.count--
}

var (
	errPauseFull    = &Error{503, PauseFull, nil}
	errPauseTimeout = &Error{503, PauseTimeout, nil}
)

// await waits until the service is resumed, the time is over or the client leaves. What the request goes on with is the service as it is then: a pause is there to have it
// changed. The route and what it has asked stay.
func (x *Exchange) await(h *Hold) *Error {
	w := &held{called: make(chan struct{})}
	became, timeout := h.enter(w)
	switch became {
	case passes:
		x.service = h.current()
		return nil
	case turnedAway:
		return errPauseFull
	}
	defer h.leave(w)
	from := x.proxy.options.Now()
	defer x.waited("pause", from)
	until, late := x.within(from+int64(timeout), errPauseTimeout)
	_, called, gone := stand(x, w.called, from, until)
	switch {
	case gone:
		return &Error{499, ClientGone, nil}
	case !called && h.withdraw(w):
		return late
	}
	x.service = h.current()
	return nil
}
