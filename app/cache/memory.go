package cache

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// MemoryOptions bound a memory.
type MemoryOptions struct {
	Bytes int64 // > 0, of all answers together
	TTL   time.Duration
	Now   func() time.Time
}

// share is the part of the memory that one answer may have: a few large ones must not drive out all others.
const share = 16

// overhead is about what an entry takes beside its answer: key, list element, map slot.
const overhead = 256

// Memory is a cache in this process, which answers go from by age and, when there is no room, the longest unused first. It is safe for concurrent use.
type Memory struct {
	options                 MemoryOptions
	hits, misses, evictions atomic.Uint64

	mu    sync.Mutex // guards what follows
	bytes int64
	// lru is bounded by bytes, not by its count. golang-lru's expirable has a goroutine that nothing ends (v2.0.7), so answers carry their end themselves.
	lru *simplelru.LRU[Key, kept]
}

type kept struct {
	answer []byte
	until  time.Time
}

// NewMemory makes an empty one. It has nothing to close.
func NewMemory(o MemoryOptions) *Memory {
	m := &Memory{options: o}
	// It fails only for a count below 1: every entry has its overhead, so this count is never the bound.
	m.lru, _ = simplelru.NewLRU(int(max(1, o.Bytes/overhead)), func(_ Key, v kept) { m.bytes -= size(v.answer) })
	return m
}

func size(answer []byte) int64 { return int64(len(answer)) + overhead }

// Get is the answer that is kept under the key. Nobody may change it.
func (m *Memory) Get(_ context.Context, key Key) ([]byte, bool) {
	now := m.options.Now()
	m.mu.Lock()
	v, ok := m.lru.Get(key)
	if ok && !now.Before(v.until) {
		m.lru.Remove(key)
		ok = false
	}
	m.mu.Unlock()
	if !ok {
		m.misses.Add(1)
		return nil, false
	}
	m.hits.Add(1)
	return v.answer, true
}

// Set keeps an answer, unless it is too large.
func (m *Memory) Set(_ context.Context, key Key, answer []byte) {
	if size(answer) > m.options.Bytes/share {
		return
	}
	now := m.options.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lru.Remove(key) // Add would replace it without telling
	m.lru.Add(key, kept{answer, now.Add(m.options.TTL)})
	m.bytes += size(answer)
	for m.bytes > m.options.Bytes {
		_, oldest, _ := m.lru.RemoveOldest()
		if now.Before(oldest.until) {
			m.evictions.Add(1)
		}
	}
}

// Remote is false: a lookup costs less than any computation.
func (m *Memory) Remote() bool { return false }

// Stats are the counts.
func (m *Memory) Stats(context.Context) Stats {
	return Stats{Hits: float64(m.hits.Load()), Misses: float64(m.misses.Load()), Evictions: float64(m.evictions.Load())}
}

// Close does nothing; Redis's ends its connections.
func (m *Memory) Close() error { return nil }
