package limit

import (
	"math"
	"time"

	"golang.org/x/time/rate"
)

// Options describe a limit.
type Options struct {
	Name   string
	Rate   float64 // requests per second, greater than 0
	Burst  int     // requests at once, at least 1
	DryRun bool    // decide and tell, refuse nothing
}

// Limit is one limit of one generation of the configuration: a value over buckets that outlive it.
type Limit struct {
	name   string
	rate   rate.Limit
	burst  int
	dryRun bool
	store  *store
}

func newLimit(o Options, s *store) *Limit {
	return &Limit{name: o.Name, rate: rate.Limit(o.Rate), burst: o.Burst, dryRun: o.DryRun, store: s}
}

// Name is the limit's name.
func (l *Limit) Name() string { return l.name }

// Burst is how many requests a bucket holds.
func (l *Limit) Burst() int { return l.burst }

// DryRun reports a limit that refuses nothing.
func (l *Limit) DryRun() bool { return l.dryRun }

// Window is the time in which an empty bucket becomes full, in whole seconds, at least 1: burst per window is the limit's rate.
func (l *Limit) Window() int { return max(1, int(math.Ceil(float64(l.burst)/float64(l.rate)))) }

// Check is a limit that a request has to pass, and the key it is counted by.
type Check struct {
	Limit *Limit
	Key   Key
}

// MaxChecks is how many limits one request can have.
const MaxChecks = 8

// Verdict is what the limits of a request decided together.
type Verdict struct {
	Refused bool          // at least one that is not a dry run was empty; no bucket was touched
	Short   uint8         // those that were empty, dry runs included: bit i for checks[i]
	By      int           // when Refused: the one to wait for longest
	Retry   time.Duration // when Refused: the time until By has a token
}

// Take takes one token of each limit, or none of any when one that is not a dry run has none. An empty dry run is told and changes nothing. checks are at
// most MaxChecks, of different limits, sorted by name: that order is what keeps requests from waiting for each other in a circle. It allocates only for
// keys that are new.
func Take(checks []Check, now time.Time) (v Verdict) {
	var buckets [MaxChecks]*rate.Limiter
	for i := range checks {
		s := checks[i].Limit.store.shard(checks[i].Key)
		s.mu.Lock()
		if now.After(s.last) {
			s.last = now
		}
		buckets[i] = s.bucketLocked(checks[i].Key, checks[i].Limit)
		wait := missing(buckets[i], s.last)
		if wait <= 0 {
			continue
		}
		v.Short |= 1 << i
		if !checks[i].Limit.dryRun && wait > v.Retry {
			v.Refused, v.By, v.Retry = true, i, wait
		}
	}
	for i := range checks {
		s := checks[i].Limit.store.shard(checks[i].Key)
		if !v.Refused && v.Short&(1<<i) == 0 {
			buckets[i].AllowN(s.last, 1)
		}
		s.mu.Unlock()
	}
	return v
}

// missing is the time until a bucket has one token, by the arithmetic that AllowN uses.
func missing(b *rate.Limiter, now time.Time) time.Duration {
	tokens := b.TokensAt(now) - 1
	if tokens >= 0 {
		return 0
	}
	return time.Duration(-tokens / float64(b.Limit()) * float64(time.Second))
}
