package upstream

import (
	"sync"
	"sync/atomic"
	"time"
)

// BreakerOptions bound what a service is given at a time.
type BreakerOptions struct {
	// MaxRequests is how many requests may be in flight, ≥ 1.
	MaxRequests int
	// MaxQueue is how many more may wait.
	MaxQueue int
	// QueueTimeout is how long one may wait.
	QueueTimeout time.Duration
	// Used are the priorities that occur: a twentieth of MaxRequests is kept from the less important ones for each.
	Used [Priorities]bool
}

// reserve is the part of MaxRequests that each more important priority has for itself, rounded down, so that its requests find a slot while those of the others are stuck. The
// queue's order serves them first anyway, and what is kept free for them is idle otherwise: with a tenth each, rounded up to 2 of 16 slots, a simulated
// mix of three priorities at three times capacity used 83 % of it.
const reserve = 20

// shares is up to how many requests in flight each priority is let in.
func (o *BreakerOptions) shares() (most [Priorities]int64) {
	left := int64(o.MaxRequests)
	part := left / reserve
	for p := range most {
		most[p] = left
		if o.Used[p] {
			left -= part
		}
	}
	return most
}

// Breaker bounds the requests in flight to a service's upstreams and holds what is beyond that in a bounded queue. It outlives configurations; all requests of the
// service on this edge share it. It starts no goroutine: whoever leaves lets the next one in.
//
// While nobody waits, entering and leaving are one atomic operation each.
type Breaker struct {
	// state is the requests in flight, and above queuedShift those that wait: in one word, because nobody may pass those who wait, and who leaves must know of
	// them. The upper part is written under mu only.
	state atomic.Int64
	most  [Priorities]atomic.Int64 // shares; written under mu

	mu    sync.Mutex // guards everything below; held for a few instructions
	queue waitlist
	limit BreakerOptions
	cap   int // a further bound on what is in flight; 0: none
}

const (
	queuedShift = 32
	oneQueued   = int64(1) << queuedShift
)

func inFlight(state int64) int64 { return state & (oneQueued - 1) }
func queued(state int64) int64   { return state >> queuedShift }

// Waiter is a request's place in a queue. It can be used again when its wait has ended.
type Waiter struct {
	// Called is told once how the wait ended: true with a slot, false without because another one was given the place. Nothing is sent after Withdraw returned true.
	Called chan bool

	priority     Priority
	waiting      bool // guarded by Breaker.mu, like what follows
	since        int64
	older, newer *Waiter
}

// NewWaiter returns one that waits for nothing.
func NewWaiter() *Waiter { return &Waiter{Called: make(chan bool, 1)} }

// NewBreaker returns a breaker with the given bounds.
func NewBreaker(o BreakerOptions) *Breaker {
	b := new(Breaker)
	b.Configure(o, 0)
	return b
}

// Configure changes the bounds from now on. What is in flight and who waits stays; larger bounds let those in at once.
func (b *Breaker) Configure(o BreakerOptions, now int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.limit = o
	b.apply(now)
}

// Cap bounds what is in flight further than MaxRequests does, from now on; 0 takes that back.
func (b *Breaker) Cap(n int, now int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.cap != n {
		b.cap = n
		b.apply(now)
	}
}

// apply puts the bounds in force. mu is held.
func (b *Breaker) apply(now int64) {
	o := b.bounds()
	for p, n := range o.shares() {
		b.most[p].Store(n)
	}
	b.call(now)
}

// bounds are the options with what Cap says. mu is held.
func (b *Breaker) bounds() BreakerOptions {
	o := b.limit
	if b.cap > 0 {
		o.MaxRequests = min(o.MaxRequests, b.cap)
	}
	return o
}

// Enter takes a slot if there is one for that priority and nobody waits. Then Leave must follow, else Queue may.
func (b *Breaker) Enter(p Priority) bool {
	most := b.most[p].Load()
	for {
		s := b.state.Load()
		if s >= most { // also when somebody waits
			return false
		}
		if b.state.CompareAndSwap(s, s+1) {
			return true
		}
	}
}

// Entry is what came of Queue.
type Entry uint8

// What comes of Queue: a slot after all; a place in the queue, of which Waiter.Called will tell; or nothing, because the queue is full.
const (
	Entered Entry = iota
	Queued
	QueueFull
)

// Queue takes a slot or a place in the queue, if need be that of one who is less important or has waited in vain.
func (b *Breaker) Queue(w *Waiter, p Priority, now int64) Entry {
	b.mu.Lock()
	defer b.mu.Unlock()
	made := false // a place, by sending another one away: one for one, also in a queue that was made smaller while it was full
	for {
		s := b.state.Load()
		if inFlight(s) < b.most[p].Load() && !b.ahead(p) {
			if b.state.CompareAndSwap(s, s+1) {
				return Entered
			}
			continue
		}
		if !made && b.queue.count >= b.limit.MaxQueue {
			out := (*Waiter)(nil)
			if b.limit.MaxQueue > 0 {
				out = b.queue.yield(p, now)
			}
			if out == nil {
				return QueueFull
			}
			b.state.Add(-oneQueued)
			out.waiting = false
			out.Called <- false
			made = true
			continue
		}
		// In one step with the look at what is in flight: whoever leaves after it sees that somebody waits.
		if b.state.CompareAndSwap(s, s+oneQueued) {
			w.priority, w.waiting = p, true
			b.queue.push(w, now)
			return Queued
		}
	}
}

// ahead reports whether somebody as important as p waits. mu is held.
func (b *Breaker) ahead(p Priority) bool {
	for other := range p + 1 {
		if b.queue.lines[other].oldest != nil {
			return true
		}
	}
	return false
}

// Withdraw ends a wait. It reports false when the wait had ended already: then Called holds how.
func (b *Breaker) Withdraw(w *Waiter, now int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !w.waiting {
		return false
	}
	w.waiting = false
	b.queue.remove(w, now)
	b.state.Add(-oneQueued)
	return true
}

// Leave gives a slot back and reports whether somebody waits: then Call must follow.
func (b *Breaker) Leave() bool { return queued(b.state.Add(-1)) > 0 }

// Call lets in who may enter now.
func (b *Breaker) Call(now int64) {
	b.mu.Lock()
	b.call(now)
	b.mu.Unlock()
}

// call is Call with mu held. While somebody waits nobody enters but here and in Queue, so what is in flight only falls meanwhile, and what falls is followed by
// a Call of its own.
func (b *Breaker) call(now int64) {
	for p := range Priorities {
		for b.queue.lines[p].oldest != nil && inFlight(b.state.Load()) < b.most[p].Load() {
			w := b.queue.pop(p, now)
			b.state.Add(1 - oneQueued)
			w.waiting = false
			w.Called <- true
		}
	}
}

// QueueTimeout is how long a request may wait.
func (b *Breaker) QueueTimeout() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.limit.QueueTimeout
}

// BreakerStatus is a breaker at one moment.
type BreakerStatus struct {
	InFlight int64
	Queued   [Priorities]int
	// Overloaded says that a queue stands: it is served newest first.
	Overloaded bool
	// Options are the bounds in force, MaxRequests as Cap has it.
	Options BreakerOptions
	// Most is up to how many in flight a request of each priority is let in.
	Most [Priorities]int64
}

// Status is how the breaker is at now.
func (b *Breaker) Status(now int64) BreakerStatus {
	b.mu.Lock()
	defer b.mu.Unlock()
	o := b.bounds()
	s := BreakerStatus{InFlight: inFlight(b.state.Load()), Options: o, Most: o.shares()}
	for p := range b.queue.lines {
		l := &b.queue.lines[p]
		l.look(now)
		s.Overloaded = s.Overloaded || l.standing
		s.Queued[p] = l.count
	}
	return s
}
