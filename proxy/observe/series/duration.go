package series

import (
	"math"
	"sync/atomic"
	"time"
)

// Duration is a histogram of times, classic and native at once. It is safe for concurrent use; the zero value is empty and exported by nobody.
//
// Its native buckets are a fixed set that takes memory where there is something to count, so that there is never one too many: nothing has to be merged
// or reset, whatever the times are, and what was counted stays countable.
type Duration struct {
	// Written by Observe without a lock: first native, then classic. Scrapes that want both read them the other way round: what they see in a classic
	// bucket they have then seen in the native ones, and the count, which is that of the native ones, is never too small.
	native  [pages]atomic.Pointer[[pageSize]atomic.Uint64]
	zero    atomic.Uint64
	classic [len(bounds) + 1]atomic.Uint64
	sum     atomic.Uint64 // bits of a float64, in seconds. Whole nanoseconds would be cheaper, and overflow within a day of 100,000 open streams.

	exemplars atomic.Pointer[exemplars]
}

// Observe counts one time. It allocates nothing but a page of native buckets, when a time is the first of its magnitude.
func (d *Duration) Observe(t time.Duration) {
	t = max(t, 0)
	seconds := t.Seconds()
	d.bucket(seconds).Add(1)
	for {
		old := d.sum.Load()
		if d.sum.CompareAndSwap(old, math.Float64bits(math.Float64frombits(old)+seconds)) {
			break
		}
	}
	d.classic[classicBucket(int64(t))].Add(1)
}

// bucket is the native bucket for a time.
func (d *Duration) bucket(seconds float64) *atomic.Uint64 {
	at := nativeBucket(seconds) - lowest
	if at < 0 || seconds == 0 {
		return &d.zero
	}
	at = min(at, pages*pageSize-1)
	page := d.native[at/pageSize].Load()
	if page == nil {
		page = new([pageSize]atomic.Uint64)
		if !d.native[at/pageSize].CompareAndSwap(nil, page) {
			page = d.native[at/pageSize].Load() // another was first
		}
	}
	return &page[at%pageSize]
}

// counts reads the classic buckets, each with those below it. The last is how many times there were.
func (d *Duration) counts() (c [len(bounds) + 1]uint64) {
	var n uint64
	for i := range c {
		n += d.classic[i].Load()
		c[i] = n
	}
	return c
}

func (d *Duration) seconds() float64 { return math.Float64frombits(d.sum.Load()) }

// Times are what a Duration has counted until some moment, in its native buckets.
type Times [1 + pages*pageSize]uint64

// Times reads the native buckets.
func (d *Duration) Times() (t Times) {
	t[0] = d.zero.Load()
	for i := range d.native {
		page := d.native[i].Load()
		if page == nil {
			continue
		}
		for j := range page {
			t[1+i*pageSize+j] = page[j].Load()
		}
	}
	return t
}

// Since is what has come to t since before, which may be of another Duration that has since been forgotten: then it is all of t.
func (t *Times) Since(before *Times) (came Times) {
	for i, n := range t {
		if n < before[i] {
			return *t
		}
		came[i] = n - before[i]
	}
	return came
}

// Quantile is the end of the bucket that the part q of the times, 0 to 1, ends in: up to 9 % more than the time itself. 0 without times.
func (t *Times) Quantile(q float64) time.Duration {
	var total, seen uint64
	for _, n := range t {
		total += n
	}
	if total == 0 {
		return 0
	}
	need := max(1, uint64(math.Ceil(q*float64(total))))
	for i, n := range t {
		if seen += n; seen >= need {
			return time.Duration(math.Exp2(float64(lowest+i-1)/perDoubling) * float64(time.Second))
		}
	}
	return 0 // not reached: the sum is total
}
