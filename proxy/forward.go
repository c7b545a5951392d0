package proxy

import (
	"context"
	"time"

	"github.com/valor-ivx/weir/proxy/http2"
	"github.com/valor-ivx/weir/proxy/message"
	"github.com/valor-ivx/weir/proxy/trace"
	"github.com/valor-ivx/weir/upstream"
)

// forward carries the request to peers until one answers or no further try is safe.
func (x *Exchange) forward() *Error {
	s := x.service
	c := &x.choice
	if err := x.choose(c); err != nil {
		return err
	}
	s.Budget.Deposit()
	x.prepare()
	last := errNoPeer
	for {
		now := x.proxy.options.Now()
		peer := x.pick(c, now)
		if peer == nil {
			if x.attempts == 0 && c.live.Full(&c.tried) {
				return errTargetsFull
			}
			return last
		}
		t := &x.attempt
		*t = attempt{x: x, peer: peer, group: x.group, began: now, open: true, held: peer.Governed()}
		t.traced(false)
		if x.attempts > 0 {
			s.Metrics.Retried(last.Reason.String())
		}
		x.opened()
		x.attempts++
		err := t.run()
		if err == nil {
			return nil
		}
		t.span.Failure(err.Reason.String())
		if x.rescue(err) {
			last = err
			continue
		}
		if !t.retry || x.attempts >= s.Tries {
			return err
		}
		// A dial that failed cost the upstream nothing, so it is not charged; everything else may have been work done twice.
		if !t.dialFailed && !s.Budget.Withdraw(x.proxy.options.Now()) {
			return err
		}
		last = err
	}
}

// prepare readies the request for its first attempt: fields named by Connection leave, our own lines are put together, a body that is not at hand
// gets its buffer.
func (x *Exchange) prepare() {
	if x.req.Nominates {
		x.req.Header.DropNominated()
	}
	if c := x.service.Sticky.Cookie; c != nil { // what is between us and the client is nobody else's business
		x.req.Header.DropCookie(c.name)
	}
	b := x.appendClientCert(x.appendIdentity(x.lines[:0]))
	if x.route.Guard != nil {
		b = x.presentUser(b)
	}
	b = x.appendEarly(b)
	b = line(b, "X-Request-ID: ", x.id)
	if x.placed.on && x.placed.request == nil {
		b = x.placed.appendPlace(b, x.placed.span) // of a sampled one each attempt says its own
	}
	b = x.appendNonce(b)
	if x.req.Upgrade {
		b = x.appendHandshake(b)
	}
	x.lines = b
	if m := x.service.Mirror; m != nil {
		x.sample(m)
	}
	if !x.upload.begun {
		x.upload.begin(x)
	}
}

// attempt is one try at one peer. It lies in its Exchange, because the goroutine of an upload refers to it.
type attempt struct {
	x     *Exchange
	peer  *upstream.Peer
	group *Group
	conn  upside
	began int64
	ready int64 // when it had its connection; 0: when it began
	open  bool  // the peer counts it as in flight
	held  bool  // the peer counts it as worked on
	// hedgeAt is when a second attempt is to be made beside this one, ns; 0: never.
	hedgeAt int64

	late int // looks for an answer after the response timeout

	retry      bool // the request may be repeated on another peer
	dialFailed bool

	span *trace.Attempt // nil: not sampled
}

// run gets a connection and carries the exchange on it. A kept connection that turns out to be dead without a byte of an answer is replaced by a fresh one to the
// same peer, once: that says nothing about the peer and is not an attempt.
func (t *attempt) run() *Error {
	x := t.x
	x.peer = t.peer
	if err := t.connect(); err != nil {
		return err
	}
	err := t.exchange()
	if err != nil && t.conn.Reused() && t.stale(err) {
		t.leave()
		t.conn.End(false, false, 0)
		t.conn = nil
		if err := t.dial(); err != nil {
			return err
		}
		err = t.exchange()
	}
	if err != nil {
		t.retry = t.stale(err)
	}
	t.settle(err)
	return err
}

// fault is what a failure is to the peer: nothing, where a kept connection died that may have been closed while it rested.
func (t *attempt) fault(err *Error) upstream.Outcome {
	if t.conn.Reused() && t.stale(err) {
		return upstream.Aborted
	}
	return blame(err)
}

// stale reports whether the connection broke before it was of any use and the request can be said again (RFC 9110 §9.2.2, RFC 9112 §9.3.1): not a byte of an
// answer, and either not a byte of the request accepted, or a method that may be repeated and a body still at hand.
func (t *attempt) stale(err *Error) bool {
	if err.Reason != UpstreamBroken && err.Reason != TLSAlert || t.conn.Answered() || t.x.began {
		return false
	}
	if !t.x.upload.replayable() {
		return false
	}
	return t.conn.Sent() == 0 || t.x.req.Method.Idempotent()
}

// connect takes a resting connection of the peer, else a new one.
func (t *attempt) connect() *Error {
	if !t.peer.Multiplexed() {
		if c := t.rested(); c != nil {
			t.conn = ownConn{c}
			return nil
		}
	}
	return t.dial()
}

// dial makes a new connection; where requests share them, it takes a stream of one that has room.
func (t *attempt) dial() *Error {
	x := t.x
	from := x.proxy.options.Now()
	fresh, err := true, error(nil)
	if t.peer.Multiplexed() {
		var s *http2.ClientStream
		if s, err = t.peer.Stream(x.service.ConnectTimeout); err == nil {
			t.conn, fresh = sharedStream{s}, !s.Reused()
		}
	} else {
		var c *upstream.Conn
		if c, err = t.opened(context.Background(), x.service.ConnectTimeout); err == nil {
			t.conn = ownConn{c}
		}
	}
	now := x.proxy.options.Now()
	t.span.Dialed(from, now, fresh || err != nil)
	if err == nil {
		t.ready = now
		if fresh {
			t.group.Metrics.Connect(time.Duration(now - from))
		}
		return nil
	}
	t.retry, t.dialFailed = x.upload.replayable(), true
	e, outcome := dialError(err)
	x.heard(outcome, time.Duration(now-t.began))
	t.done(now, time.Duration(now-t.began), outcome)
	return e
}

// done ends the attempt in the peer's books.
func (t *attempt) done(now int64, latency time.Duration, outcome upstream.Outcome) {
	t.open = false
	if t.span != nil {
		t.traceEnd(now, outcome)
	}
	t.settled(now, outcome)
	t.peer.Done(now, latency, outcome)
}

// settled tells the peer that it has done its work, if it keeps account of that.
func (t *attempt) settled(now int64, outcome upstream.Outcome) {
	if t.held {
		t.held = false
		t.peer.Settle(now, outcome)
	}
}

// settle ends the attempt in the peer's books and gives the connection back.
func (t *attempt) settle(err *Error) {
	x := t.x
	now := x.proxy.options.Now()
	outcome := upstream.Success
	latency := time.Duration(now - t.began)
	if x.headAt > 0 {
		latency = time.Duration(x.headAt - t.began) // how long a body takes is the client's pace as much as the peer's
	}
	if err != nil {
		outcome = blame(err)
	} else {
		outcome = answered(x.status)
	}
	x.heard(outcome, latency)
	t.group.Metrics.Response(time.Duration(now - t.began))
	t.leave()
	t.done(now, latency, outcome)
	conn := t.conn
	t.conn = nil
	conn.End(err == nil && !x.tunneled, outcome == upstream.TimedOut && x.headAt == 0, now)
}

// answered is what an answer is to the attempt's peer.
func answered(status int) upstream.Outcome {
	if status >= 500 {
		return upstream.ServerError
	}
	return upstream.Success
}

// blame is what an attempt's failure is to its peer.
func blame(err *Error) upstream.Outcome {
	switch err.Reason {
	case ServerError:
		return upstream.ServerError
	case ResponseTimeout, TotalTimeout:
		return upstream.TimedOut
	case UpstreamBroken, TLSAlert, UpstreamInvalid, ResponseTruncated, UpgradeFailed:
		return upstream.Broken
	}
	return upstream.Aborted
}

// enter makes the connection known to Shutdown, and to a client that can tell when it leaves: then nobody waits for an answer any more.
func (t *attempt) enter() {
	x := t.x
	x.client.enter(t.conn)
	if s, ok := t.conn.(sharedStream); ok {
		if d, ok := x.down.(departing); ok {
			d.WhenGone(s.Cancel())
		}
	}
}

// leave undoes enter.
func (t *attempt) leave() {
	x := t.x
	if d, ok := x.down.(departing); ok {
		d.WhenGone(nil)
	}
	x.client.leave(t.conn)
}

// exchange says the request on the connection and relays the answer.
func (t *attempt) exchange() *Error {
	x := t.x
	t.enter()
	if x.proxy.cut.Load() { // after enter: Shutdown looks at them the other way round, so one of the two sees the other
		return &Error{499, ClientGone, nil}
	}
	t.say()
	x.upload.send(t)
	err := t.answer()
	if cause := x.upload.join(x); cause != nil && (err != nil || !x.began) {
		return cause // the request failed first, on the client's side
	}
	return err
}

// say gathers the request's head on the connection.
func (t *attempt) say() {
	x := t.x
	t.conn.Begin()
	t.conn.AwaitWrite(x.proxy.wall(max(t.began, t.ready)), x.service.IdleTimeout) // what connecting took is no part of the time to write
	own := x.lines
	if len(x.req.Host) == 0 { // HTTP/1.0 may leave it out, HTTP/1.1 may not
		own = append(own, "Host: "+t.peer.Address()+"\r\n"...)
	}
	if t.span != nil {
		own = t.traceSay(own)
	}
	t.conn.WriteHead(&x.req, x.path, own)
}

// answer reads response heads, passing interim ones on, and relays the final one.
func (t *attempt) answer() *Error {
	x := t.x
	now := x.proxy.options.Now()
	limit := t.headLimit(now)
	if delay := x.service.HedgeDelay; delay > 0 && t.hedgeable() {
		t.hedgeAt = now + int64(delay)
	}
	for {
		err := t.await(&limit)
		if x.hedge != nil {
			again := false
			if again, err = t.judge(err); again {
				continue
			}
		}
		if err != nil {
			return err
		}
		if x.resp.Nominates {
			x.resp.Header.DropNominated()
		}
		x.adapt()
		if x.resp.Status >= 200 || x.resp.Status == 101 {
			break
		}
		if err := x.interim(); err != nil {
			return err
		}
	}
	x.headAt = x.proxy.options.Now()
	t.span.Answered(x.headAt, x.resp.Status)
	x.upload.slow.answered.Store(true)
	t.learnIdle()
	x.eventStream = isEventStream(&x.resp.Header)
	t.group.Metrics.Header(time.Duration(x.headAt - t.began))
	if t.held {
		t.settled(x.headAt, answered(x.resp.Status))
		x.leave() // the slots of the breaker are those of the targets
	}
	if err := t.refuseAnswer(); err != nil {
		return err
	}
	if x.eventStream || x.resp.Status == 101 {
		x.leave()
	}
	if x.socket.stream != nil {
		return t.openWebSocket()
	}
	if x.resp.Status != 101 {
		return t.relay()
	}
	if x.upload.unfinished() { // what follows would be the body's rest and the tunnel's bytes at once
		return &Error{502, UpgradeFailed, nil}
	}
	return t.tunnel()
}

// interim passes a 1xx head on. A client that takes none of them must not hold the exchange.
func (x *Exchange) interim() *Error {
	c := x.down
	c.AwaitWrite(x.proxy.wall(x.proxy.options.Now()))
	c.WriteInterim(&x.resp)
	if err := c.Err(); err != nil {
		return unwritten(err)
	}
	return nil
}

func isEventStream(h *message.Header) bool {
	i := h.Find(message.ContentType, 0)
	const kind = "text/event-stream"
	return i >= 0 && len(h.At(i).Value()) >= len(kind) && message.EqualFold(h.At(i).Value()[:len(kind)], kind)
}
