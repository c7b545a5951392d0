package proxy

import (
	"math/rand/v2"
	"time"

	"github.com/valor-ivx/weir/proxy/message"
	"github.com/valor-ivx/weir/upstream"
)

// queue takes a slot of the service's breaker. It is the one place where a request waits for others; leave gives the slot back.
func (x *Exchange) queue() *Error {
	s := x.service
	if s.Breaker == nil {
		return nil
	}
	p := x.route.PriorityOf(&x.req.Header)
	if !s.Breaker.Enter(p) {
		return x.wait(p)
	}
	x.slot = s.Breaker
	return nil
}

// leave gives the slot back and lets the next one in. An event stream or a tunnel does so when it begins: it holds a connection, of which a service has many more than
// it can work on requests, and would hold the slot for hours.
func (x *Exchange) leave() {
	b := x.slot
	if b == nil {
		return
	}
	x.slot = nil
	if b.Leave() {
		b.Call(x.proxy.options.Now())
	}
}

// PriorityOf is the route's priority, but low for those who say that they are no people. They may lie, and be served as everybody is.
func (r *Route) PriorityOf(h *message.Header) upstream.Priority {
	if r.Priority != upstream.Critical && r.Service.LowAgents.match(h) {
		return upstream.Low
	}
	return r.Priority
}

// glance is how often a request that waits looks whether its client is still there. A look costs a system call: 16,000 that wait make 64,000 a second of them,
// a few percent of one core.
const glance = 250 * time.Millisecond

// wait takes a place in the queue until it is called, its time is over or its client leaves.
func (x *Exchange) wait(p upstream.Priority) *Error {
	b, m := x.service.Breaker, x.service.Queue
	if x.waiter == nil {
		x.waiter = upstream.NewWaiter()
	}
	from := x.proxy.options.Now()
	switch b.Queue(x.waiter, p, from) {
	case upstream.Entered:
		x.slot = b
		return nil
	case upstream.QueueFull:
		return x.shed(p, errQueueFull)
	}
	defer x.waited("queue", from)
	until, late := x.within(from+int64(b.QueueTimeout()), errQueueTimeout)
	entered, called, gone := stand(x, x.waiter.Called, from, until)
	if !called && !b.Withdraw(x.waiter, x.proxy.options.Now()) {
		entered = <-x.waiter.Called // the call was faster
	}
	if entered {
		x.slot = b // to be left at once when nobody is there to be served
	}
	m.Waited(time.Duration(x.proxy.options.Now() - from))
	switch {
	case gone:
		return &Error{499, ClientGone, nil}
	case entered:
		return nil
	case called:
		return x.shed(p, errOverloaded)
	}
	return x.shed(p, late)
}

// within is when and with what a wait ends that would end at until: the request's own time may be over before.
func (x *Exchange) within(until int64, late *Error) (int64, *Error) {
	if x.deadline > 0 && x.deadline < until {
		return x.deadline, &Error{504, x.overdue, nil}
	}
	return until, late
}

// stand waits to be called. It ends without a call when the time is over or the client has left.
func stand[T any](x *Exchange, called <-chan T, from, until int64) (call T, came, gone bool) {
	timer := time.NewTimer(min(glance, time.Duration(until-from)))
	defer timer.Stop()
	for {
		select {
		case call = <-called:
			return call, true, false
		case <-timer.C:
		}
		now := x.proxy.options.Now()
		if gone = x.down.ClientGone(); gone || now >= until {
			return call, false, gone
		}
		timer.Reset(min(glance, time.Duration(until-now)))
	}
}

var (
	errQueueFull    = &Error{503, QueueFull, nil}
	errQueueTimeout = &Error{503, QueueTimeout, nil}
	errOverloaded   = &Error{503, Overloaded, nil}
)

// shed counts a request that is sent away, but for one whose own time was over.
func (x *Exchange) shed(p upstream.Priority, why *Error) *Error {
	if why.Status == 503 {
		x.service.Queue.Shed(int(p), why.Reason.String())
	}
	return why
}

// unqueue ends a wait that its goroutine will not see the end of.
func (x *Exchange) unqueue() {
	if x.service == nil { // files are served without a slot
		return
	}
	b := x.service.Breaker
	if x.slot != nil || b == nil || b.Withdraw(x.waiter, x.proxy.options.Now()) {
		return
	}
	select {
	case entered := <-x.waiter.Called:
		if entered {
			x.slot = b
		}
	default: // it did not wait
	}
}

// retryAfter is what a 503 asks for, in seconds: they who were sent away together are not to come back together.
func retryAfter() int { return 1 + rand.IntN(4) }
