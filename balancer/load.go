package balancer

import (
	"math"
	"sync/atomic"
	"time"
)

const (
	// halfLife is how long an observation takes to lose half its say when no
	// newer one comes. Both bounds come from a peer ten times as slow as the rest,
	// which is tried again after log2(10) = 3.3 half-lives at the latest: two seconds
	// keep such trials near 1 % of the traffic from 20 requests a second on, and
	// let a peer that recovered be noticed within seven seconds on a quiet service,
	// within two on a busy one.
	halfLife = float64(2 * time.Second)

	// riseGain is the least say of a latency above the estimate, fallGain of one
	// below: "peak" means that bad news travels faster. Both replace the picture
	// within a number of answers where a half-life would take too long (a peer that
	// is given one request at a time). They are not larger, as in Finagle's original
	// where one bad answer is the new estimate, because service times have tails: in
	// simulated queues with log-normal times a rise gain of 1 costs a third of mean
	// latency over 1/16, since a peer is shut out for one long answer.
	riseGain = 1.0 / 16
	fallGain = 1.0 / 64

	// outcomeGain is the least say of one outcome: five failures in a row make 0.28
	// of failing, ten times the cost, so a peer that starts to fail fast is
	// deserted after a handful of requests and not after a part of a half-life.
	outcomeGain = 1.0 / 16

	// failGain is the most that one failure says, however long nothing was heard
	// before it: on a quiet service a single 500 must not shut a peer out for twelve
	// half-lives. Four in a row still do (a share of 0.68, 300 times).
	failGain = 1.0 / 4

	// negligible is the share of failures that is forgotten, so that a peer without
	// failures costs no store per answer: the penalty there is 1.0012.
	negligible = 1e-4

	// errorDoublings says what failures cost: a peer with failing share e is as
	// unattractive as one 2^(12e) times as slow: 1.6 times at 5 %, 64 times at 50 %,
	// 4096 times at 100 %. The factor must exceed the requests in flight on the good
	// peers, for a peer that refuses in a millisecond never has any itself (the
	// black hole of envoy#20907); and its logarithm is the number of half-lives until
	// the peer is tried again.
	errorDoublings = 12

	// minLatency keeps the estimate off zero, where a product no longer ranks.
	minLatency = float64(time.Microsecond)
)

// Load is one peer's record of work: what is in flight, how long answers take,
// and how many fail. It is keyed by address and survives reloads, so every live
// set that holds the peer shares one Load. It consists of atomics only and has
// no owner: any request may Begin and End at any time. The zero value is a peer
// about which nothing is known. It must not be copied.
type Load struct {
	// inFlight counts Begin without End or Abandon.
	inFlight atomic.Int64
	// stamp is the latest time passed to End; 0 before the first.
	stamp atomic.Int64
	// latency holds the bits of a float64, the estimate in ns; 0 while unknown.
	latency atomic.Uint64
	// failing holds the bits of a float64, the recent share of failures in [0,1].
	failing atomic.Uint64

	// Loads of different peers are written from all cores; one per cache line.
	_ [32]byte
}

// Begin records that a request was handed to the peer.
func (l *Load) Begin() { l.inFlight.Add(1) }

// End records that a request is over at now (ns on a monotonic clock, > 0),
// having taken latency from hand-over to the response head. failed means that
// the peer is to blame: a gateway error, a timeout, a 5xx. A failure never makes
// the peer look faster.
func (l *Load) End(now int64, latency time.Duration, failed bool) {
	l.inFlight.Add(-1)
	gain := 1.0
	if first, age := l.advance(now); !first {
		gain = 1 - math.Exp2(-float64(age)/halfLife)
	}
	l.observeOutcome(gain, failed)
	l.observeLatency(max(float64(latency), minLatency), gain, failed)
}

// Abandon records that a request is over without saying anything about the peer:
// the client went away, or the connection became a tunnel that ended.
func (l *Load) Abandon() { l.inFlight.Add(-1) }

// Forsake records that a request was given up after atLeast because another peer
// was faster. It would have taken longer, so the estimate rises to that if it is
// lower; it never falls, and no outcome is known.
func (l *Load) Forsake(now int64, atLeast time.Duration) {
	l.inFlight.Add(-1)
	if float64(atLeast) <= l.latencyEstimate() {
		return
	}
	gain := 1.0
	if first, age := l.advance(now); !first {
		gain = 1 - math.Exp2(-float64(age)/halfLife)
	}
	l.observeLatency(float64(atLeast), gain, true)
}

// InFlight is the number of requests the peer is working on.
func (l *Load) InFlight() int64 { return l.inFlight.Load() }

// latencyEstimate is the recent latency in ns, 0 while unknown.
func (l *Load) latencyEstimate() float64 {
	return math.Float64frombits(l.latency.Load())
}

// penalty is the factor that failures put on the cost of an answer, ≥ 1.
func (l *Load) penalty() float64 {
	e := math.Float64frombits(l.failing.Load())
	if e == 0 {
		return 1
	}
	return double(errorDoublings * e)
}

// trust is what is left of the last observation at now, in (0,1].
func (l *Load) trust(now int64) float64 {
	age := now - l.stamp.Load()
	if age <= 0 {
		return 1
	}
	return double(-float64(age) / halfLife)
}

// double is 2^x, exact at whole x and straight in between: at most 6 % too much,
// monotone, continuous, and a tenth of the price of math.Exp2, which every pick
// would pay twice per peer. The exponent field of a float64 is x itself.
func double(x float64) float64 {
	return math.Float64frombits(uint64((max(x, -1000) + 1023) * (1 << 52)))
}

// advance moves the stamp forward to now and returns the time that this caller
// alone accounts for: of several concurrent Ends only one is given each interval.
// The stamp and the estimates are separate words; a reader between two stores
// sees an estimate that is one answer old, which no choice depends on.
func (l *Load) advance(now int64) (first bool, age int64) {
	for {
		last := l.stamp.Load()
		if now <= last {
			return false, 0
		}
		if l.stamp.CompareAndSwap(last, now) {
			return last == 0, now - last
		}
	}
}

func (l *Load) observeOutcome(gain float64, failed bool) {
	for {
		old := l.failing.Load()
		e := math.Float64frombits(old)
		switch {
		case failed:
			e += min(max(gain, outcomeGain), failGain) * (1 - e)
		case e == 0:
			return
		case e < negligible:
			e = 0
		default:
			e -= max(gain, outcomeGain) * e
		}
		if l.failing.CompareAndSwap(old, math.Float64bits(e)) {
			return
		}
	}
}

func (l *Load) observeLatency(sample, gain float64, failed bool) {
	for {
		old := l.latency.Load()
		est := math.Float64frombits(old)
		switch {
		case failed && sample <= est, failed && est == 0:
			return
		case est == 0:
			est = sample
		case sample > est:
			est += max(gain, riseGain) * (sample - est)
		default:
			est += max(gain, fallGain) * (sample - est)
		}
		if l.latency.CompareAndSwap(old, math.Float64bits(est)) {
			return
		}
	}
}
