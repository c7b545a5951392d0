package limit

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"golang.org/x/time/rate"
)

// Memory is what the limits of one process remember, for the one that replaces it: every bucket that is not full, which is every one that says something. Limits that are shared are not in it, for
// what they remember is where processes meet; nor are gates, whose requests are with the process that serves them.
type Memory struct {
	Check  uint64        `json:"check"` // of the secret that keys are hashed under
	Limits []LimitMemory `json:"limits,omitempty"`
}

// LimitMemory is one limit's part.
type LimitMemory struct {
	Name    string `json:"name"`
	Buckets []byte `json:"buckets"` // bucketSize bytes each, those used last behind the others of their shard
}

// bucketSize is a key, 16 bytes, and the tokens, the bits of a float64; all of it big-endian.
const bucketSize = 8 + 8 + 8

// check tells secrets apart, and nothing about them.
func (r *Registry) check() uint64 { return newKey(r.key, []byte("weir memory of limits")).high }

// Remember is what the limits remember at now, of each the same part of so many buckets: where there are more, those used last. It holds up a limit's requests for as long as 1/64 of its buckets take.
func (r *Registry) Remember(now time.Time, buckets int) Memory {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := Memory{Check: r.check()}
	for name, s := range r.stores {
		if s.sharing != nil {
			continue
		}
		most := buckets / len(r.stores) / shards
		l := LimitMemory{Name: name}
		for i := range s.shards {
			l.Buckets = s.shards[i].remember(l.Buckets, now, most)
		}
		if l.Buckets != nil {
			m.Limits = append(m.Limits, l)
		}
	}
	slices.SortFunc(m.Limits, func(a, b LimitMemory) int { return strings.Compare(a.Name, b.Name) })
	return m
}

// remember appends the buckets that are not full at now, the most of them used last.
func (s *shard) remember(b []byte, now time.Time, most int) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Before(s.last) {
		now = s.last
	}
	keys := s.buckets.Keys() // those used last are last
	first, left := len(keys), most
	for ; first > 0 && left > 0; first-- {
		if l, _ := s.buckets.Peek(keys[first-1]); l.TokensAt(now) < float64(l.Burst()) {
			left--
		}
	}
	for _, k := range keys[first:] {
		l, _ := s.buckets.Peek(k)
		if tokens := l.TokensAt(now); tokens < float64(l.Burst()) {
			b = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(b, k.high), k.low)
			b = binary.BigEndian.AppendUint64(b, math.Float64bits(tokens))
		}
	}
	return b
}

// Recall makes the limits remember what those of another process did at that time, and says how many keys. A limit of a name that nobody has acquired, or that is shared now, is left out. After an
// error nothing has changed.
func (r *Registry) Recall(m Memory, at time.Time) (keys int, err error) {
	if m.Check != r.check() {
		return 0, errors.New("the buckets of limits are kept under another secret")
	}
	for _, l := range m.Limits {
		if len(l.Buckets)%bucketSize != 0 {
			return 0, fmt.Errorf("the buckets of limit %s are %d bytes", l.Name, len(l.Buckets))
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, l := range m.Limits {
		if s := r.stores[l.Name]; s != nil && s.sharing == nil {
			keys += s.recall(l.Buckets, at)
		}
	}
	return keys, nil
}

func (s *store) recall(buckets []byte, at time.Time) (keys int) {
	for ; len(buckets) > 0; buckets = buckets[bucketSize:] {
		k := Key{binary.BigEndian.Uint64(buckets), binary.BigEndian.Uint64(buckets[8:])}
		tokens := math.Float64frombits(binary.BigEndian.Uint64(buckets[16:]))
		if !(tokens >= 0 && tokens < float64(s.burst)) { // full, or no number
			continue
		}
		h := s.shard(k)
		h.mu.Lock()
		if at.After(h.last) {
			h.last = at
		}
		if !h.buckets.Contains(k) {
			h.buckets.Add(k, filledTo(tokens, s.rate, s.burst, at))
			keys++
		}
		h.mu.Unlock()
	}
	return keys
}

// longest is the longest time that a bucket's past is told by: a limit that takes longer to fill forgets a little of it.
const longest = 100 * 365 * 24 * time.Hour

// filledTo is a bucket that has so many tokens at that time: one that was emptied as long before as they take to come. Limiter has no other way to say it.
func filledTo(tokens float64, perSecond rate.Limit, burst int, at time.Time) *rate.Limiter {
	b := rate.NewLimiter(perSecond, burst)
	b.AllowN(at.Add(-time.Duration(min(tokens/float64(perSecond)*float64(time.Second), float64(longest)))), burst)
	return b
}
