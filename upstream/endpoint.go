package upstream

import (
	"hash/fnv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valor-ivx/weir/balancer"
)

// verdictPause is the least time between two verdicts on one address.
const verdictPause = int64(100 * time.Millisecond)

// endpoint is one address: what pools share about it. The registry owns it and drops it with its last member.
type endpoint struct {
	address string
	hash    uint64 // stable over processes: hash policies place keys by it

	load     balancer.Load
	idle     idlePool
	requests atomic.Uint64 // attempts that ended, aborted ones left out
	failures atomic.Uint64 // of those, the ones held against the peer
	latency  atomic.Int64  // ns to the last answer, for status

	mu       sync.Mutex // guards detector, quiet and dialErr; held for a few instructions, on a failure for a sum of slots
	detector detector
	quiet    int64  // no verdict before, ns
	dialErr  string // the last failure to connect, for status

	// The control plane's; Registry.mu guards them.
	members  []*Peer
	ejection ejection
}

func newEndpoint(address string) *endpoint {
	h := fnv.New64a()
	_, _ = h.Write([]byte(address)) // a hash never fails
	return &endpoint{address: address, hash: h.Sum64()}
}

// configure gives the idle pool the limits of all members: the most connections and the shortest rest. Registry.mu is held.
func (e *endpoint) configure() {
	most, shortest := 0, e.members[0].pool.options.IdleTimeout
	for _, m := range e.members {
		most = max(most, m.pool.options.MaxIdle)
		shortest = min(shortest, m.pool.options.IdleTimeout)
	}
	e.idle.configure(most, shortest)
}

// verdict records an outcome and returns the reason to eject, or "". A reason that stands is given ten times a second at most: a verdict takes
// the control plane's lock, and an ejection that is skipped would otherwise be asked for by every failing request.
func (e *endpoint) verdict(rule *EjectionOptions, now int64, o Outcome) string {
	e.mu.Lock()
	reason := e.detector.observe(rule, now, o)
	if reason != "" {
		if now < e.quiet {
			reason = ""
		} else {
			e.quiet = now + verdictPause
		}
	}
	e.mu.Unlock()
	return reason
}

// record is the last window's outcomes.
func (e *endpoint) record(rule *EjectionOptions, now int64) (total, failed int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.detector.within(rule.Window, now)
}

// absolve forgets the record.
func (e *endpoint) absolve() {
	e.mu.Lock()
	e.detector.reset()
	e.quiet = 0
	e.mu.Unlock()
}
