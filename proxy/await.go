package proxy

import (
	"os"
	"time"
)

// patience is how long an upstream is waited for at a time. In between the client is looked at: one that has gone need not be waited for.
const patience = time.Second

// headLimit is when the final head is due, ns: interim ones do not put it off, or an upstream could hold a request with them for ever.
func (t *attempt) headLimit(now int64) int64 { return now + int64(t.x.service.ResponseTimeout) }

// due is when and why the wait for a head is over that the response timeout ends at limit.
func (x *Exchange) due(limit int64) (int64, Reason) {
	if x.deadline > 0 && x.deadline < limit {
		return x.deadline, x.overdue
	}
	return limit, ResponseTimeout
}

// await waits for one response head, up to the response timeout and the total one. errHedge: the second attempt wants to be looked at.
func (t *attempt) await(limit *int64) *Error {
	x := t.x
	for {
		now := x.proxy.options.Now()
		if x.upload.running() {
			*limit = t.headLimit(now) // the answer is not due before the request is complete
		}
		at, reason := x.due(*limit)
		late := now >= at
		if late && !t.mayBeLate(reason) {
			return &Error{504, reason, nil}
		}
		if err := t.bound(now, at); err != nil {
			return x.unbounded(UpstreamBroken, err)
		}
		if x.hedge != nil && x.hedge.news() { // after Await, which undoes an interruption that comes before it
			return errHedge
		}
		err := t.conn.ReadResponse(&x.resp, x.req.Method, x.req.Upgrade)
		if err == nil {
			return nil
		}
		if err != os.ErrDeadlineExceeded {
			if x.left() {
				return &Error{499, ClientGone, err}
			}
			if t.totalTimeout() { // of the two, the upstream's end of the call was heard of first: gRPC's servers know its deadline as we do, and reset it
				return &Error{504, x.overdue, err}
			}
			return upstreamError(err)
		}
		if cause := x.upload.failed(); cause != nil {
			return cause
		}
		if late {
			return &Error{504, reason, nil}
		}
		// While a body is on its way its pump reads the connection, and sees the client's end by itself.
		if !x.upload.running() && x.down.ClientGone() {
			return &Error{499, ClientGone, nil}
		}
	}
}

// mostLate bounds the heads that are taken when the response timeout is over: an upstream that never ceases to send interim ones is not waited for.
const mostLate = 8

// mayBeLate reports whether an answer counts that is there already when the time is over: where this process stood still for that long it came in time. Not where the time
// for all of it is over.
func (t *attempt) mayBeLate(reason Reason) bool {
	t.late++
	return reason == ResponseTimeout && t.late <= mostLate
}

// bound bounds the next wait for a head; one whose time is over is a look at what is there.
func (t *attempt) bound(now, at int64) error {
	if now >= at {
		return t.conn.Await(time.Now(), time.Nanosecond)
	}
	return t.conn.Await(t.x.proxy.wall(now), t.wait(now, at))
}
