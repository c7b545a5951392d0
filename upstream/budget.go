package upstream

import (
	"sync/atomic"
	"time"
)

const (
	// DefaultRetryRatio is the share of requests that may be retried: at most 20 % more load on peers that are already failing
	// (Envoy's and Finagle's figure; the Gateway API asks for a budget by default, GEP-3388).
	DefaultRetryRatio = 0.2

	// DefaultRetriesPerSecond lets a service retry whose requests are too few to earn anything.
	DefaultRetriesPerSecond = 10

	// token is one retry. Balances are counted in thousandths, so that a request can earn a part of one.
	token = 1000

	// savings bounds what a long quiet time can pile up. A peer that dies takes what it has in flight with it, some hundreds of requests on a
	// busy edge, and all of them deserve one retry; more than that is a storm, not an accident.
	savings = 500 * token
)

// RetryBudget bounds retries to a share of requests plus a floor per second. Every request deposits, every retry withdraws. It consists of
// atomics only and is shared by all requests of a service.
type RetryBudget struct {
	earn    int64 // thousandths of a token per request
	spacing int64 // ns between two retries of the floor; 0: no floor
	burst   int64 // how far ahead of time the floor may be spent, ns

	balance atomic.Int64 // earned tokens, thousandths; may pass savings by one deposit per core
	floorAt atomic.Int64 // when the floor has caught up with what was taken from it, ns (the "theoretical arrival time" of GCRA)
}

// NewRetryBudget returns a budget of ratio retries per request and of minPerSecond whatever the requests. Both at 0 allow no retry.
func NewRetryBudget(ratio float64, minPerSecond int) *RetryBudget {
	b := &RetryBudget{earn: int64(ratio * token)}
	if minPerSecond > 0 {
		b.spacing = int64(time.Second) / int64(minPerSecond)
		b.burst = int64(time.Second)
	}
	return b
}

// Deposit records a request. With full savings, the usual state, it is one load of a line that nobody writes.
func (b *RetryBudget) Deposit() {
	if b.balance.Load() < savings {
		b.balance.Add(b.earn)
	}
}

// Withdraw asks for one retry at now (ns, monotonic).
func (b *RetryBudget) Withdraw(now int64) bool {
	for {
		have := b.balance.Load()
		if have < token {
			return b.withdrawFloor(now)
		}
		if b.balance.CompareAndSwap(have, have-token) {
			return true
		}
	}
}

func (b *RetryBudget) withdrawFloor(now int64) bool {
	if b.spacing == 0 {
		return false
	}
	for {
		at := b.floorAt.Load()
		next := max(at, now-b.burst) + b.spacing
		if next > now {
			return false
		}
		if b.floorAt.CompareAndSwap(at, next) {
			return true
		}
	}
}
