package proxy

import (
	"hash/maphash"
	"sync/atomic"
	"time"

	"github.com/valor-ivx/weir/balancer"
	"github.com/valor-ivx/weir/upstream"
)

// Trial is what is counted of the requests that are assigned under one set of weights while a group is on trial. A request keeps the Trial of the Service that it was
// assigned by, so what it comes to is held against the share that was in force then.
type Trial struct {
	// Green is the index of the group on trial.
	Green int
	// Watch is what the trials of one rollout share.
	Watch *Watch
	// Round is not 0 where clients stay with their group: then each has one bad event at most in a round, else in a second.
	Round int

	others, green tally
}

// Watch is what outlives a change of weights.
type Watch struct {
	// limit95 and limit99 are the latencies from which an answer is slow, ns; 0 until Freeze.
	limit95, limit99 atomic.Int64
	latencies        [balancer.LatencyBuckets]atomic.Uint64 // of the others, until Freeze
	failing, slow    clientSeconds
}

// tally is one side's counts: written by requests, read by whoever watches. A request writes one word of it, a bad one up to five.
type tally struct {
	requests, errors, failed, slow95, slow99 atomic.Uint64
	_                                        [88]byte // two cache lines: the sides, and what lies beside them, share none
}

// TrialCounts is a reading of one side. Errors and the slow ones are bounded to one per client and second, Failed is all that failed.
type TrialCounts struct{ Requests, Errors, Failed, Slow95, Slow99 uint64 }

// Counts is what was counted until now.
func (t *Trial) Counts() (green, others TrialCounts) { return t.green.read(), t.others.read() }

func (t *tally) read() (c TrialCounts) {
	c.Slow99, c.Slow95, c.Errors, c.Failed = t.slow99.Load(), t.slow95.Load(), t.errors.Load(), t.failed.Load()
	c.Requests = t.requests.Load()
	return c
}

// Latencies is the histogram of the others' answers, by balancer.LatencyBucket.
func (w *Watch) Latencies() []uint64 {
	counts := make([]uint64, len(w.latencies))
	for i := range counts {
		counts[i] = w.latencies[i].Load()
	}
	return counts
}

// Freeze sets from which latencies on an answer is slow. Until then none is.
func (w *Watch) Freeze(p95, p99 time.Duration) {
	w.limit99.Store(int64(p99))
	w.limit95.Store(int64(p95)) // last: who sees it sees both
}

// Frozen reports that Freeze was called.
func (w *Watch) Frozen() bool { return w.limit95.Load() > 0 }

// hearing is what a trial learns of an exchange.
type hearing struct {
	counted bool  // its first attempt was in the group that it was assigned to
	failed  bool  // an attempt in that group failed
	moved   bool  // it was given to another group for that
	latency int64 // of the first answer of that group, or of what came instead, ns
}

// opened notes where the first attempt goes: a request whose group had nobody to serve it says nothing about how it would have, and one whose client asked for its group was not dealt.
func (x *Exchange) opened() {
	if x.service.Trial != nil && x.attempts == 0 {
		x.hearing = hearing{counted: x.choice.group == x.choice.assigned && !x.choice.Forced}
	}
}

// heard notes what an attempt came to. Only those in the assigned group count: what another one made of the request is no merit of it.
func (x *Exchange) heard(outcome upstream.Outcome, latency time.Duration) {
	if x.service.Trial == nil || x.choice.group != x.choice.assigned || outcome == upstream.Aborted {
		return
	}
	x.hearing.failed = x.hearing.failed || outcome != upstream.Success && outcome != upstream.Outrun
	if x.hearing.latency == 0 {
		x.hearing.latency = max(1, int64(latency))
	}
}

// credit closes the trial's books of the exchange.
func (x *Exchange) credit(now int64) {
	t, v := x.service.Trial, &x.hearing
	if x.attempts == 0 || !v.counted || x.status == 499 {
		return
	}
	if x.rpc.call && x.choice.group == x.choice.assigned && serverFault(x.rpc.status) {
		v.failed = true
	}
	side := &t.others
	if x.choice.assigned == t.Green {
		side = &t.green
	}
	side.requests.Add(1) // first, and read last: no request is seen to fail that is not seen to be made
	w, client := t.Watch, uint64(0)
	limit := w.limit95.Load()
	slow := limit > 0 && v.latency >= limit
	if v.failed || slow {
		client = x.unit()
	}
	if v.failed {
		side.failed.Add(1)
		if w.failing.first(client, t.turn(now)) {
			side.errors.Add(1)
		}
	}
	if slow && w.slow.first(client, t.turn(now)) {
		side.slow95.Add(1)
		if v.latency >= w.limit99.Load() {
			side.slow99.Add(1)
		}
	}
	if limit == 0 && side == &t.others && v.latency > 0 {
		w.latencies[balancer.LatencyBucket(time.Duration(v.latency))].Add(1)
	}
}

// unit is whose bad event it is: the client that was dealt to a group where clients are, who may come from many addresses and share each with others; else, and for
// one that is met for the first time, the address.
func (x *Exchange) unit() uint64 {
	if x.service.Trial.Round > 0 && x.choice.Known {
		return x.choice.Client
	}
	return maphash.Bytes(hashSeed, x.who.address)
}

// serverFault reports a gRPC status that stands for what a 5xx is elsewhere.
func serverFault(status string) bool {
	switch status {
	case "UNKNOWN", "INTERNAL", "UNAVAILABLE", "DATA_LOSS":
		return true
	}
	return false
}

// clientSeconds remembers who had a bad event in the current second, so that one broken client is no evidence against a group that it was dealt to. A client whose place another
// one has in that second counts as having had one: which group the event falls on has no part in that, so evidence stays as valid as without it, and
// only grows more slowly where thousands of clients fail at a time.
type clientSeconds struct{ places [4096]atomic.Int64 }

// turn is that in which a client may have one bad event: never 0, which is an empty place.
func (t *Trial) turn(now int64) int64 {
	if t.Round > 0 {
		return int64(t.Round) | rounds
	}
	return now/int64(time.Second) + 1
}

// rounds marks turns that are rounds: a reload may change from one kind to the other in the middle of a rollout.
const rounds = 1 << 62

// first reports the client's first event in a turn. What is told late, of a turn that is over, is none: it would clear the place for a second event in the present one.
func (c *clientSeconds) first(client uint64, turn int64) bool {
	place := &c.places[client%uint64(len(c.places))]
	was := place.Load()
	if was != 0 && (was^turn)&rounds == 0 && turn <= was {
		return false
	}
	return place.CompareAndSwap(was, turn)
}
