package limit

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/time/rate"
)

// shards is a power of two well above the number of cores that meet in one limit, so that they seldom wait for each other.
const shards = 64

// store is the buckets of one limit.
type store struct {
	shards  [shards]shard
	sharing *Sharing      // nil: counted here alone
	evicted atomic.Uint64 // written by requests, read by scrapes

	// rate and burst are those of the limit that was acquired last. Registry.mu guards them.
	rate  rate.Limit
	burst int
}

// shard is the buckets of 1/64 of the keys.
type shard struct {
	// mu guards the rest, including every bucket in the list. Held for a look-up and the arithmetic of a bucket, by at most one request per shard and
	// limit; a request with several limits takes one shard of each, in the order of Take.
	mu       sync.Mutex
	buckets  *simplelru.LRU[Key, *rate.Limiter] // nil where accounts is not
	accounts *simplelru.LRU[Key, *account]
	last     time.Time // latest time seen: rate.Limiter counts a step back in time twice
}

func newStore(keys int, sharing *Sharing) *store {
	s := &store{sharing: sharing}
	for i := range s.shards {
		if sharing != nil {
			s.shards[i].accounts = newLRU[*account](keys)
		} else {
			s.shards[i].buckets = newLRU[*rate.Limiter](keys)
		}
	}
	return s
}

// newLRU is one shard's part of a memory of so many keys.
func newLRU[V any](keys int) *simplelru.LRU[Key, V] {
	l, err := simplelru.NewLRU[Key, V](max(1, keys/shards), nil)
	if err != nil { // only for a size below 1
		panic(fmt.Sprintf("limit: %v", err))
	}
	return l
}

func (s *store) shard(k Key) *shard { return &s.shards[k.high%shards] }

func (s *store) len() (n int) {
	for i := range s.shards {
		s.shards[i].mu.Lock()
		if s.sharing != nil {
			n += s.shards[i].accounts.Len()
		} else {
			n += s.shards[i].buckets.Len()
		}
		s.shards[i].mu.Unlock()
	}
	return n
}

// bucketLocked is the bucket of k with l's rate and burst. One that was made under others keeps its tokens. Caller holds mu.
func (s *shard) bucketLocked(k Key, l *Limit) *rate.Limiter {
	b, ok := s.buckets.Get(k)
	if !ok {
		b = rate.NewLimiter(l.rate, l.burst)
		if s.buckets.Add(k, b) {
			l.store.evicted.Add(1)
		}
		return b
	}
	if b.Limit() != l.rate {
		b.SetLimitAt(s.last, l.rate)
	}
	if b.Burst() != l.burst {
		b.SetBurstAt(s.last, l.burst)
	}
	return b
}
