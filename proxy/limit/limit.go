package limit

import (
	"math"
	"time"

	"golang.org/x/time/rate"

	"github.com/valor-ivx/weir/proxy/siphash"
)

// Options describe a limit.
type Options struct {
	Name   string
	Rate   float64 // requests per second, greater than 0
	Burst  int     // requests at once, at least 1
	DryRun bool    // decide and tell, refuse nothing

	// Sharing counts the limit together with other processes; nil: this one alone.
	Sharing *Sharing
}

// Limit is one limit of one generation of the configuration: a value over buckets that outlive it.
type Limit struct {
	name   string
	rate   rate.Limit
	burst  int
	dryRun bool
	store  *store
	hash   siphash.Key // of keys that are not shared
	shared *terms      // nil: counted here alone
}

func newLimit(o Options, s *store, hash siphash.Key) *Limit {
	l := &Limit{name: o.Name, rate: rate.Limit(o.Rate), burst: o.Burst, dryRun: o.DryRun, store: s, hash: hash}
	if o.Sharing != nil {
		l.shared = newTerms(o)
	}
	return l
}

// Name is the limit's name.
func (l *Limit) Name() string { return l.name }

// Burst is how many requests a bucket holds.
func (l *Limit) Burst() int { return l.burst }

// DryRun reports a limit that refuses nothing.
func (l *Limit) DryRun() bool { return l.dryRun }

// Shared reports a limit that is counted together with other processes.
func (l *Limit) Shared() bool { return l.shared != nil }

// Key hashes the parts of a composite key, each made distinct from its neighbours by the caller. It allocates nothing.
func (l *Limit) Key(parts []byte) Key {
	if l.shared != nil {
		return l.shared.sharing.key(parts)
	}
	return newKey(l.hash, parts)
}

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
	var buckets [MaxChecks]bucket
	for i := range checks {
		l := checks[i].Limit
		s := l.store.shard(checks[i].Key)
		s.mu.Lock()
		if now.After(s.last) {
			s.last = now
		}
		var wait time.Duration
		if l.shared != nil {
			buckets[i].account = s.accountLocked(checks[i].Key, l)
			wait = buckets[i].account.missing(l.shared, s.last)
		} else {
			buckets[i].local = s.bucketLocked(checks[i].Key, l)
			wait = missing(buckets[i].local, s.last)
		}
		if wait <= 0 {
			continue
		}
		v.Short |= 1 << i
		if !l.dryRun && wait > v.Retry {
			v.Refused, v.By, v.Retry = true, i, wait
		}
	}
	for i := range checks {
		l := checks[i].Limit
		s := l.store.shard(checks[i].Key)
		switch {
		case v.Refused || v.Short&(1<<i) != 0:
			if buckets[i].account != nil {
				buckets[i].account.tell(l, checks[i].Key)
			}
		case l.shared != nil:
			buckets[i].account.take(l.shared, s.last)
			buckets[i].account.tell(l, checks[i].Key)
		default:
			buckets[i].local.AllowN(s.last, 1)
		}
		s.mu.Unlock()
	}
	return v
}

// bucket is one of a Take: local where the limit is counted here alone, else account.
type bucket struct {
	local   *rate.Limiter
	account *account
}

// missing is the time until a bucket has one token, by the arithmetic that AllowN uses.
func missing(b *rate.Limiter, now time.Time) time.Duration {
	tokens := b.TokensAt(now) - 1
	if tokens >= 0 {
		return 0
	}
	return time.Duration(-tokens / float64(b.Limit()) * float64(time.Second))
}
