package upstream

import (
	"math"
	"sync"
	"sync/atomic"
)

// AdaptiveOptions let a limit on the requests that a peer works on at a time be found by its answers. Both are at least 1, Max is not below Min.
type AdaptiveOptions struct{ Min, Max int }

// governor keeps the requests that a peer works on for one pool within the limit that a tuner finds. It starts no goroutine: now and then an attempt that ends looks at
// what the ones before it have told. Entering and leaving are a few atomic operations.
type governor struct {
	limit    atomic.Int64 // written under mu
	inFlight atomic.Int64
	sum      atomic.Int64 // of the times of ends, less that of beginnings; wraps
	ended    atomic.Uint64
	good     atomic.Uint64
	late     atomic.Uint64
	refused  atomic.Uint64
	wake     atomic.Uint64 // written under mu

	mu    sync.Mutex // guards tuner and free; held for a few instructions
	tuner *tuner
	free  bool // the limit is none any more
}

func newGovernor(o *AdaptiveOptions, seed uint64) *governor {
	if o == nil {
		return nil
	}
	g := &governor{tuner: newTuner(o.Min, o.Max, seed)}
	g.limit.Store(g.tuner.limit)
	g.wake.Store(g.tuner.wake)
	return g
}

// enter counts an attempt unless as many as may are under way.
func (g *governor) enter(now int64) bool {
	for {
		n := g.inFlight.Load()
		if n >= g.limit.Load() {
			g.refused.Add(1)
			return false
		}
		if g.inFlight.CompareAndSwap(n, n+1) {
			g.sum.Add(-now)
			return true
		}
	}
}

// leave ends an attempt and reports whether the limit has changed.
func (g *governor) leave(now int64, o Outcome) (changed bool) {
	g.sum.Add(now)
	g.inFlight.Add(-1)
	switch o {
	case Success:
		g.good.Add(1)
	case TimedOut:
		g.late.Add(1)
	case Aborted: // nobody knows how it would have ended
		return false
	}
	if g.ended.Add(1) < g.wake.Load() || !g.mu.TryLock() {
		return false
	}
	defer g.mu.Unlock()
	// Attempts that begin and end meanwhile make the parts of a tally differ by a few of hundreds.
	t := tally{now: now, ended: g.ended.Load(), good: g.good.Load(), late: g.late.Load(), refused: g.refused.Load(), area: g.sum.Load() + g.inFlight.Load()*now}
	if g.free || t.ended < g.tuner.wake { // another one was faster
		return false
	}
	g.tuner.look(&t)
	g.wake.Store(g.tuner.wake)
	return g.limit.Swap(g.tuner.limit) != g.tuner.limit
}

// release lets everybody in: the pool is no more, and what still comes to it has nowhere else to go.
func (g *governor) release() {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.free = true
	g.limit.Store(math.MaxInt64)
}

// found is the limit that is thought right; 0: nobody looks for one.
func (g *governor) found() float64 {
	if g == nil {
		return 0
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.free {
		return 0
	}
	return g.tuner.level
}

// recall begins at a limit that was found elsewhere, unless somebody has been let in by this one's, and reports whether it does.
func (g *governor) recall(level float64, now int64) bool {
	if g == nil {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.free || g.ended.Load() > 0 || g.inFlight.Load() > 0 {
		return false
	}
	g.tuner.recall(level, now)
	g.limit.Store(g.tuner.limit)
	g.wake.Store(g.tuner.wake)
	return true
}

// Governed reports a peer whose requests are limited: what Pick has counted ends with Settle.
func (p *Peer) Governed() bool { return p.governor != nil }

// Full reports a peer that has as many requests to work on as it can now. It counts nothing.
func (p *Peer) Full() bool {
	return p.governor != nil && p.governor.inFlight.Load() >= p.governor.limit.Load()
}

// Settle ends what a peer works on for an attempt, at its response head or at its failure, whichever comes first: what follows takes the client's time. Done follows
// at the attempt's end. Only for a peer that is Governed.
func (p *Peer) Settle(now int64, o Outcome) {
	if p.governor.leave(now, o) {
		p.pool.limited()
	}
}

// WhenLimited has f called when the limits of the pool's live peers have changed, until the next WhenLimited or the pool's end. f must not wait, nor call into the
// registry.
func (p *Pool) WhenLimited(f func()) { p.whenLimited.Store(&f) }

func (p *Pool) limited() {
	if f := p.whenLimited.Load(); f != nil {
		(*f)()
	}
}

// Capacity is how many requests the live peers may be given at a time; math.MaxInt where they are not limited.
func (p *Pool) Capacity() int {
	live := p.Live()
	if !live.governed {
		return math.MaxInt
	}
	sum := 0
	for _, m := range live.peers {
		sum += int(m.governor.limit.Load())
	}
	return sum
}
