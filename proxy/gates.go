package proxy

import (
	"time"

	"github.com/valor-ivx/weir/proxy/limit"
	"github.com/valor-ivx/weir/proxy/observe"
)

// RouteGate is one limit of concurrency of a route and what it counts by.
type RouteGate struct {
	Gate    *limit.Gate
	Key     []LimitKeyPart
	Metrics *observe.Limit
	Counts  bool // whom it lets in is counted here, because no rate of the same name does
}

// passage is where an exchange is counted in until it ends.
type passage struct {
	passes [limit.MaxChecks]limit.Pass
	n      int
	held   uint8
}

var errConcurrency = &Error{429, ConcurrencyLimited, nil}

// busyRetry is what a client is told that has too many requests under way: when one of them ends only it can know.
const busyRetry = time.Second

// countIn counts the exchange in at the route's gates. It comes before rates: who has no place takes no token.
func (x *Exchange) countIn(s *Limits) *Error {
	p := &x.passage
	for i := range s.gates {
		x.scratchKey = x.appendLimitKey(x.scratchKey[:0], s.gates[i].Key)
		p.passes[i] = limit.Pass{Gate: s.gates[i].Gate, Key: s.registry.Key(x.scratchKey)}
	}
	p.n = len(s.gates)
	held, full, refused := limit.Enter(p.passes[:p.n])
	p.held = held
	for i := range s.gates {
		switch m := s.gates[i].Metrics; {
		case full&(1<<i) == 0:
			if refused < 0 && s.gates[i].Counts {
				m.Allowed()
			}
		case s.gates[i].Gate.DryRun():
			m.DryRun()
		default:
			m.Limited()
		}
	}
	if refused < 0 {
		return nil
	}
	x.refusal = refusal{retry: busyRetry}
	return errConcurrency
}

// countOut takes the exchange out where countIn counted it in. More than once is once.
func (x *Exchange) countOut() {
	p := &x.passage
	if p.held != 0 {
		limit.Leave(p.passes[:p.n], p.held)
	}
	if p.n > 0 {
		*p = passage{} // a resting exchange keeps no old gate alive
	}
}
