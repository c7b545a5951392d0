package limit

import (
	"math"
	"time"
)

// terms are what a shared limit's numbers come to, in time: a token is the time in which the shared bucket gains one.
type terms struct {
	sharing *Sharing
	cost    time.Duration // of one token
	full    time.Duration // of a whole bucket
}

func newTerms(o Options) *terms {
	cost := time.Duration(max(1, math.Round(float64(time.Second)/o.Rate)))
	return &terms{sharing: o.Sharing, cost: cost, full: time.Duration(o.Burst) * cost}
}

// lease is what this process may give away without having settled it: its part of the burst, and no less than what the whole rate brings in 10 ms, which
// a settlement may take (settleEvery of package cluster and a round trip), nor than one token.
func (t *terms) lease(replicas int64) time.Duration {
	burst := int64(t.full / t.cost)
	tokens := max(1, (burst+replicas-1)/replicas, int64(10*time.Millisecond/t.cost))
	return time.Duration(tokens) * t.cost
}

// most is how far behind a shared bucket can be: emptied, and each process's lease beyond that. What says more comes from a clock that was set back or a
// rate that was raised since, and is not waited for.
func (t *terms) most(replicas int64) time.Duration {
	return t.full + time.Duration(replicas)*t.lease(replicas)
}

// account is one key of a shared limit: the shared bucket as far as it is known here, and what was taken of it that the others do not know of yet. All
// times are since Sharing.start, all amounts are times (terms). Guarded by its shard's mu.
type account struct {
	full   time.Duration // when the shared bucket will be full, by the last settlement and what was taken here since
	debt   time.Duration // taken and not yet settled
	sent   time.Duration // of debt, what is being settled
	since  time.Duration // when the debt began to wait
	queued bool          // in Sharing.pending, or being settled
}

// missing is the time until a request can be let through; not positive: now. Two things may be missing, a token in the bucket, and room in the lease.
func (a *account) missing(t *terms, at time.Time) time.Duration {
	now, replicas := at.Sub(t.sharing.start), t.sharing.replicas.Load()
	bucket := min(a.full-now, t.most(replicas)) + t.cost - t.full
	room := a.owed(t, now) + t.cost - t.lease(replicas)
	if room <= 0 {
		return bucket
	}
	if answer := a.since + t.sharing.wait() - now; answer > 0 {
		return max(bucket, answer) // by then the settlement has made room
	}
	return max(bucket, room*time.Duration(replicas)) // debt goes down by the share alone
}

// owed is the debt now. One that waits for longer than it should is not being settled: the other processes are as cut off, or as busy, as this one, and
// the share of the rate that is this one's pays it off.
func (a *account) owed(t *terms, now time.Duration) time.Duration {
	late := now - a.since - t.sharing.wait()
	if late <= 0 {
		return a.debt
	}
	return max(0, a.debt-late/time.Duration(t.sharing.replicas.Load()))
}

// pay puts owed in force.
func (a *account) pay(t *terms, now time.Duration) {
	if owed := a.owed(t, now); owed != a.debt {
		a.debt, a.since, a.sent = owed, now-t.sharing.wait(), min(a.sent, owed) // the oldest is paid off first, and that is what was sent
	}
}

// take takes a token.
func (a *account) take(t *terms, at time.Time) {
	now := at.Sub(t.sharing.start)
	if a.debt == 0 {
		a.since = now
	}
	a.pay(t, now) // may leave no debt, but not the state of being late: with the first of them settled, since is now
	a.debt += t.cost
	a.full = max(a.full, now) + t.cost
}

// tell asks for a settlement of what is owed.
func (a *account) tell(l *Limit, k Key) {
	if a.debt > 0 && !a.queued {
		a.queued = l.shared.sharing.push(pendingKey{l, k})
	}
}

// accountLocked is the account of k. Caller holds mu.
func (s *shard) accountLocked(k Key, l *Limit) *account {
	a, ok := s.accounts.Get(k)
	if !ok {
		a = &account{}
		if s.accounts.Add(k, a) {
			l.store.evicted.Add(1)
		}
	}
	return a
}
