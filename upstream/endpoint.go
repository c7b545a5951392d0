package upstream

import (
	"crypto/tls"
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
	requests atomic.Uint64 // attempts that ended, aborted ones left out
	failures atomic.Uint64 // of those, the ones held against the peer
	latency  atomic.Int64  // ns to the last answer, for status

	mu       sync.Mutex // guards detector, quiet and dialErr; held for a few instructions, on a failure for a sum of slots
	detector detector
	quiet    int64  // no verdict before, ns
	dialErr  string // the last failure to connect, for status

	// The control plane's; Registry.mu guards them.
	members  []*Peer
	links    []*link // a few at most: one per transport
	ejection ejection
}

func newEndpoint(address string) *endpoint {
	h := fnv.New64a()
	_, _ = h.Write([]byte(address)) // a hash never fails
	return &endpoint{address: address, hash: h.Sum64()}
}

// linkOf returns the link of a transport, a new one if need be. Registry.mu is held.
func (e *endpoint) linkOf(t Transport, secure *tls.Config) *link {
	for _, l := range e.links {
		if l.transport == t {
			return l
		}
	}
	l := newLink(e.address, t, secure)
	e.links = append(e.links, l)
	return l
}

// configure gives each link the limits of all its members, the most connections and the shortest rest, and shuts those that have none left.
// Registry.mu is held.
func (e *endpoint) configure() {
	kept := e.links[:0]
	for _, l := range e.links {
		most, shortest := 0, time.Duration(0)
		for _, m := range e.members {
			if m.link != l {
				continue
			}
			o := &m.pool.options
			if most == 0 || o.IdleTimeout < shortest {
				shortest = o.IdleTimeout
			}
			most = max(most, o.MaxIdle)
		}
		if most == 0 { // MaxIdle is at least 1
			l.idle.shut()
			l.mux.shut()
			continue
		}
		l.idle.configure(most, shortest)
		l.mux.configure(shortest)
		kept = append(kept, l)
	}
	clear(e.links[len(kept):])
	e.links = kept
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
