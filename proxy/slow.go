package proxy

import (
	"errors"
	"os"
	"sync/atomic"
	"time"

	"github.com/valor-ivx/weir/proxy/http1"
	"github.com/valor-ivx/weir/proxy/http2"
)

// slowBody finds the client whose body trickles: each byte in time, and no end. It counts what arrives and the time spent waiting for it, so that an upstream that reads
// slowly is not held against the client. It belongs to the body's pump, but for answered.
type slowBody struct {
	least  int64         // bytes per window; 0: off
	window time.Duration // of waiting
	spent  time.Duration
	came   int64

	waiting bool // of a splice: the next turn ends a wait
	from    time.Time
	seen    int64

	answered atomic.Bool // set by the exchange: the upstream has begun to answer, so this is a conversation and may pause
	cut      bool        // a splice was stopped
}

func (s *slowBody) begin(x *Exchange) {
	b := x.client.bounds
	s.least, s.window, s.spent, s.came = b.MinBody, b.HTTP1.BodyTimeout, 0, 0
	s.waiting, s.seen, s.cut = false, 0, false
	s.answered.Store(false)
	if x.rpc.call { // a conversation from its first message
		s.least = 0
	}
}

// waited counts a wait and what it brought, and reports a client that is too slow.
func (s *slowBody) waited(d time.Duration, n int64) bool {
	s.spent += d
	s.came += n
	switch {
	case s.least == 0, s.spent < s.window && s.came < s.least:
		return false
	case s.came >= s.least:
		s.spent, s.came = 0, 0
		return false
	}
	return !s.answered.Load()
}

// turn is waited for a splice, which renews deadlines before each wait and again when something has come; received is the body's total so far.
func (s *slowBody) turn(now time.Time, received int64) bool {
	s.waiting = !s.waiting
	if s.waiting {
		s.from = now
		return false
	}
	came := received - s.seen
	s.seen = received
	return s.waited(now.Sub(s.from), came)
}

var errSlowBody = &Error{408, SlowBody, nil}

// unwritten tells what a failed write to the client was. Nothing more can be said to it, whoever is to blame.
func unwritten(err error) *Error {
	switch {
	case errors.Is(err, http1.ErrSlowReader), errors.Is(err, http2.ErrSlowReader):
		return &Error{499, SlowReader, err}
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, http2.ErrWriteTimeout):
		return &Error{499, WriteTimeout, err}
	}
	return &Error{499, ClientGone, err}
}
