package proxy

import (
	"context"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valor-ivx/weir/proxy/message"
	"github.com/valor-ivx/weir/upstream"
)

// hedge is a second attempt, at another peer, made because the first has not answered within the service's delay. A goroutine of its own says the request and
// awaits the answer, while the exchange's goroutine goes on with the first. Before anything is said to the client the exchange joins that goroutine: what both
// read (the request, the lines of our own) stands still for as long as it runs.
type hedge struct {
	attempt attempt
	first   *upstream.Conn    // of the first attempt: its read is interrupted when there is news
	slot    *upstream.Breaker // of which the hedge holds a slot of its own; nil: of none
	useless bool              // it was answered 5xx: wanted only if the first comes to nothing. The exchange's

	// The goroutine's until over is closed.
	resp   message.Response
	headAt int64
	err    *Error           // why there is no head
	fault  upstream.Outcome // what err is to its peer

	dialing context.Context // ends when the attempt is not wanted any more
	cancel  context.CancelFunc
	ended   atomic.Bool // set by the goroutine before it interrupts the first's read
	over    chan struct{}

	mu       sync.Mutex // guards attempt.conn while the goroutine runs, and unwanted
	unwanted bool
}

// What came of a hedge, as metrics name it.
const (
	hedgeWon      = "won"       // its answer was used
	hedgeLost     = "lost"      // it was not
	hedgeNoPeer   = "no_peer"   // it was not made: the group has no other peer
	hedgeNoSlot   = "no_slot"   // it was not made: the service is full
	hedgeNoBudget = "no_budget" // it was not made: too many retries and hedges lately
)

// HedgeResults are what can come of a hedge, for metrics that want them ahead.
func HedgeResults() []string {
	return []string{hedgeWon, hedgeLost, hedgeNoPeer, hedgeNoSlot, hedgeNoBudget}
}

// errHedge says that the hedge has ended, which the exchange has not looked at yet. It is never an exchange's end.
var errHedge = &Error{500, Internal, nil}

// hedgeable reports whether the exchange may be said twice at once: it changes nothing, and everything of it is in its head.
func (t *attempt) hedgeable() bool {
	x := t.x
	return x.attempts == 1 && x.req.Method.Safe() && x.req.Framing == message.None && !x.req.Upgrade && x.socket.stream == nil && !t.peer.Multiplexed()
}

// wait is how long to wait for a head now that it is due at a given time. When the service's delay is over it makes the hedge.
func (t *attempt) wait(now, at int64) time.Duration {
	most := min(patience, time.Duration(at-now))
	if t.hedgeAt == 0 {
		return most
	}
	if now < t.hedgeAt {
		return min(most, time.Duration(t.hedgeAt-now))
	}
	t.hedgeAt = 0
	if !t.conn.Answered() { // else its head is arriving
		t.x.service.Metrics.Hedged(t.hedge(now))
	}
	return most
}

// hedge begins a second attempt and returns "", or says why there is none.
func (t *attempt) hedge(now int64) (refused string) {
	x := t.x
	s, c := x.service, &x.choice
	before := c.tried
	peer := c.live.Pick(c.key, now, &c.tried) // within the group that the first is in: the client's colour is not for an edge in a hurry to change
	if peer == nil {
		return hedgeNoPeer
	}
	b := s.Breaker
	if b != nil && !b.Enter(upstream.Low) { // nobody else's request waits for it
		b, refused = nil, hedgeNoSlot
	} else if !s.Budget.Withdraw(now) {
		refused = hedgeNoBudget
	}
	if refused != "" {
		c.tried = before
		(&attempt{peer: peer, held: peer.Governed()}).done(now, 0, upstream.Aborted)
		release(b, now)
		return refused
	}
	first, ok := t.conn.(ownConn)
	if !ok {
		panic("proxy: hedge of a shared connection") // hedgeable has looked
	}
	h := &hedge{attempt: attempt{x: x, peer: peer, group: t.group, began: now, open: true, held: peer.Governed()}, first: first.Conn, slot: b, over: make(chan struct{})}
	h.attempt.traced(true)
	h.dialing, h.cancel = context.WithCancel(context.Background())
	x.attempts++
	x.hedge = h
	go h.run()
	return ""
}

// release gives a slot back.
func release(b *upstream.Breaker, now int64) {
	if b != nil && b.Leave() {
		b.Call(now)
	}
}

// run is the goroutine. A panic in it is a bug that costs this attempt.
func (h *hedge) run() {
	defer func() {
		if bug := recover(); bug != nil {
			h.attempt.x.client.panicked(bug)
			h.err, h.fault = &Error{500, Internal, nil}, upstream.Aborted
		}
		h.ended.Store(true)
		_ = h.first.StopReading() // wakes the exchange
		close(h.over)
	}()
	h.err = h.ask()
}

// ask says the request and awaits the final head. Interim ones are for the client of the answer that is used, which may be another.
func (h *hedge) ask() *Error {
	t := &h.attempt
	x := t.x
	if err := h.connect(); err != nil {
		return err
	}
	t.enter()
	if x.proxy.cut.Load() {
		h.fault = upstream.Aborted
		return &Error{499, ClientGone, nil}
	}
	t.say()
	t.conn.Finish(nil)
	limit := t.headLimit(x.proxy.options.Now())
	for {
		now := x.proxy.options.Now()
		at, reason := x.due(limit)
		late := now >= at
		if late && !t.mayBeLate(reason) {
			h.fault = upstream.TimedOut
			return &Error{504, reason, nil}
		}
		err := t.bound(now, at)
		if err == nil {
			err = t.conn.ReadResponse(&h.resp, x.req.Method, false)
		}
		switch {
		case err == nil && h.resp.Status >= 200:
			h.headAt = x.proxy.options.Now()
			return nil
		case late && err == os.ErrDeadlineExceeded:
			h.fault = upstream.TimedOut
			return &Error{504, reason, nil}
		case err == nil || err == os.ErrDeadlineExceeded:
			continue
		}
		e := upstreamError(err)
		if h.fault = t.fault(e); x.proxy.cut.Load() {
			h.fault = upstream.Aborted // it was Shutdown who broke it
		}
		return e
	}
}

// connect takes a resting connection of the peer, else a new one.
func (h *hedge) connect() *Error {
	t := &h.attempt
	x := t.x
	c := t.rested()
	if c == nil {
		from := x.proxy.options.Now()
		var err error
		c, err = t.opened(h.dialing, x.service.ConnectTimeout)
		t.ready = x.proxy.options.Now()
		t.span.Dialed(from, t.ready, true)
		if err != nil {
			e, outcome := dialError(err)
			h.fault = outcome
			return e
		}
		t.group.Metrics.Connect(time.Duration(t.ready - from))
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	t.conn = ownConn{c}
	if h.unwanted {
		t.conn.Break() // the first use of it says so
	}
	return nil
}

// stop makes the goroutine end and waits for it, which is not long: nothing it does outlasts its connection.
func (h *hedge) stop() {
	h.cancel()
	h.mu.Lock()
	h.unwanted = true
	if h.attempt.conn != nil {
		h.attempt.conn.Break()
	}
	h.mu.Unlock()
	<-h.over
}

// join waits for the goroutine's end, while the client is there.
func (h *hedge) join(x *Exchange) *Error {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		select {
		case <-h.over:
			return nil
		case <-timer.C:
		}
		if x.down.ClientGone() {
			return &Error{499, ClientGone, nil}
		}
		timer.Reset(patience)
	}
}

// news reports an end that the exchange has not looked at.
func (h *hedge) news() bool { return !h.useless && h.ended.Load() }

// good reports an answer that is as good as any. The goroutine has ended.
func (h *hedge) good() bool { return h.err == nil && h.resp.Status < 500 }

// judge is asked when the first attempt has come to something, or the hedge has (errHedge). The first head that is no 5xx is the answer, and while one can still come a 5xx or
// a failure waits for it. again: neither has come to anything yet.
func (t *attempt) judge(err *Error) (again bool, _ *Error) {
	x := t.x
	h := x.hedge
	if err == errHedge {
		<-h.over
		switch {
		case h.good():
			t.yield(h, upstream.Outrun)
			return false, nil
		case h.err != nil:
			t.dropHedge()
		default:
			h.useless = true
			_ = h.first.ResumeReading() // on a connection that is closed the next read says so
		}
		return true, nil
	}
	switch {
	case err == nil && x.resp.Status < 200:
		return true, nil // the final one may be the other's
	case err == nil && x.resp.Status < 500:
	case err != nil && (err.Status == 499 || x.deadline > 0 && x.proxy.options.Now() >= x.deadline):
	default:
		outcome := upstream.ServerError
		if err != nil {
			outcome = t.fault(err)
		}
		if gone := h.join(x); gone != nil {
			err = gone
		} else if h.good() || err != nil && h.err == nil {
			t.yield(h, outcome)
			return false, nil
		}
	}
	t.dropHedge()
	return false, err
}

// yield makes the hedge the attempt whose answer is used; outcome is what the first came to.
func (t *attempt) yield(h *hedge, outcome upstream.Outcome) {
	x := t.x
	now := x.proxy.options.Now()
	x.heard(outcome, time.Duration(now-t.began))
	t.end(now, time.Duration(now-t.began), outcome)
	*t = h.attempt
	x.hedge = nil
	h.cancel()
	x.resp, h.resp = h.resp, x.resp
	x.peer = t.peer
	release(h.slot, now)
	x.service.Metrics.Hedged(hedgeWon)
}

// dropHedge ends the hedge, whose answer is not used, and leaves the first attempt's connection as if there had been none.
func (t *attempt) dropHedge() {
	x := t.x
	h := x.hedge
	by := h.ended.Load() // its own doing, not ours
	h.stop()
	now := x.proxy.options.Now()
	outcome, latency := upstream.Outrun, time.Duration(now-h.attempt.began)
	switch {
	case by && h.err != nil:
		outcome = h.fault
		h.attempt.span.Failure(h.err.Reason.String())
	case by:
		latency = time.Duration(h.headAt - h.attempt.began)
		outcome = answered(h.resp.Status)
		h.attempt.span.Answered(h.headAt, h.resp.Status)
	}
	x.hedge = nil
	h.attempt.end(now, latency, outcome)
	release(h.slot, now)
	x.service.Metrics.Hedged(hedgeLost)
	_ = h.first.ResumeReading() // on a connection that is closed the next read says so
}

// abandonHedge is dropHedge for an exchange whose goroutine panicked.
func (x *Exchange) abandonHedge() {
	h := x.hedge
	if h == nil {
		return
	}
	x.hedge = nil
	h.stop()
	h.attempt.end(h.attempt.began, 0, upstream.Aborted)
	release(h.slot, h.attempt.began)
	x.service.Metrics.Hedged(hedgeLost)
}

// end takes an attempt that nobody wants any more out of the books and closes its connection.
func (t *attempt) end(now int64, latency time.Duration, outcome upstream.Outcome) {
	t.done(now, latency, outcome)
	if t.conn != nil {
		t.leave()
		conn := t.conn
		t.conn = nil
		conn.End(false, outcome == upstream.TimedOut, now)
	}
}
