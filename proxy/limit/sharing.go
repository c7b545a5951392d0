package limit

import (
	"crypto/sha256"
	"encoding/binary"
	"sync/atomic"
	"time"
)

// maxPending is how many keys wait to be settled: 24 bytes each, and at the 200 batches a second of package cluster far more than a Redis takes in one.
// Where more come, theirs is the share of the rate (account.owed) until there is room.
const maxPending = 16384

// Sharing is what the shared limits of a process have in common. Processes that count together meet in one place (Redis, in package cluster), which
// nobody waits for: a request is decided here, by what is known of its bucket and within a lease, and is settled after. So:
//
//   - Over any time t all processes together admit at most rate·t + burst + (replicas − 1)·lease requests of a key, a lease being burst/replicas, at least
//     1 and at least what the rate brings in 10 ms. What was too much is a debt of the bucket: over long times the rate is exact.
//   - A key whose debt is not settled within Patience gets its share: rate/replicas, after a lease. All processes cut off together admit rate·t + burst
//     and at most one request for each replica.
//   - Whoever asks for more than the rate is given it, less what the bucket overflows by between a request and its settlement, which is nothing unless
//     the burst is less than what the rate brings in that time.
//
// A key that was forgotten here (Stat.Evicted) is still known there.
//
// Sharing has no goroutine: its owner takes what Pending tells with Collect, settles it, and says so with Settle or Fail.
type Sharing struct {
	secret   [sha256.Size]byte
	patience time.Duration
	waits    atomic.Int64 // patience, or 0 while nobody can be reached; written by the owner, read by requests
	start    time.Time
	replicas atomic.Int64    // at least 1; written by the owner, read by requests
	pending  chan pendingKey // from requests to the owner
	dropped  atomic.Uint64   // requests whose key found no room in pending
}

type pendingKey struct {
	limit *Limit
	key   Key
}

// SharingOptions are the terms of counting together.
type SharingOptions struct {
	Secret   [sha256.Size]byte // the same in all processes: keys are hashed under it
	Patience time.Duration     // how long a settlement may take before the share is in force
	Start    time.Time         // now
}

// NewSharing makes a sharing among one process, this one.
func NewSharing(o SharingOptions) *Sharing {
	s := &Sharing{secret: o.Secret, patience: o.Patience, start: o.Start, pending: make(chan pendingKey, maxPending)}
	s.replicas.Store(1)
	s.waits.Store(int64(o.Patience))
	return s
}

// SetAway says whether the place where processes meet is known to be out of reach: then the share is in force at once.
func (s *Sharing) SetAway(away bool) {
	if away {
		s.waits.Store(0)
		return
	}
	s.waits.Store(int64(s.patience))
}

// SetReplicas says how many processes count together, this one included.
func (s *Sharing) SetReplicas(n int) { s.replicas.Store(int64(max(1, n))) }

// wait is how long a debt may wait now.
func (s *Sharing) wait() time.Duration { return time.Duration(s.waits.Load()) }

// Dropped is how many times a key had to wait longer because too many did.
func (s *Sharing) Dropped() uint64 { return s.dropped.Load() }

// Waiting is how many keys wait to be settled.
func (s *Sharing) Waiting() int { return len(s.pending) }

// Debt is what one key has taken and not settled.
type Debt struct {
	Limit string
	Key   [16]byte
	Owed  time.Duration // to be put on top of the time when the bucket will be full
	Most  time.Duration // what that time can be ahead of now, before Owed is added

	pending pendingKey
}

// Collect waits for a key to settle, until done, and appends it and those that wait behind it to list, up to its capacity. now is asked after the wait.
func (s *Sharing) Collect(list []Debt, done <-chan struct{}, now func() time.Time) []Debt {
	select {
	case <-done:
		return list
	case p := <-s.pending:
		for at := now(); ; {
			if d, ok := p.collect(at); ok {
				list = append(list, d)
			}
			if len(list) == cap(list) {
				return list
			}
			select {
			case p = <-s.pending:
			default:
				return list
			}
		}
	}
}

// Settle says that a debt has been put on the bucket, which was ahead time away from being full then. now is a time after that.
func (s *Sharing) Settle(d *Debt, ahead time.Duration, now time.Time) {
	d.pending.with(now, func(a *account, at time.Duration) {
		a.debt -= min(a.debt, a.sent)
		a.sent, a.since, a.full = 0, at, at+ahead+a.debt
		a.queued = a.debt > 0 && s.push(d.pending)
	})
}

// Fail says that nobody knows whether a debt has been put on the bucket. It is told again with the key's next request: twice is safer than never.
func (s *Sharing) Fail(d *Debt, now time.Time) {
	d.pending.with(now, func(a *account, _ time.Duration) { a.sent, a.queued = 0, false })
}

// push reports false when there is no room; the key's next request tries again.
func (s *Sharing) push(p pendingKey) bool {
	select {
	case s.pending <- p:
		return true
	default:
		s.dropped.Add(1)
		return false
	}
}

func (p pendingKey) collect(now time.Time) (d Debt, ok bool) {
	t := p.limit.shared
	p.with(now, func(a *account, at time.Duration) {
		a.pay(t, at)
		a.sent, a.queued = a.debt, a.debt > 0
		ok = a.queued
		d = Debt{Limit: p.limit.name, Owed: a.debt, Most: t.most(t.sharing.replicas.Load()), pending: p}
	})
	binary.BigEndian.PutUint64(d.Key[:8], p.key.high)
	binary.BigEndian.PutUint64(d.Key[8:], p.key.low)
	return d, ok
}

// with calls f with the key's account, unless it has been forgotten, and the time.
func (p pendingKey) with(now time.Time, f func(a *account, at time.Duration)) {
	s := p.limit.store.shard(p.key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.After(s.last) {
		s.last = now
	}
	if a, ok := s.accounts.Peek(p.key); ok {
		f(a, s.last.Sub(p.limit.shared.sharing.start))
	}
}

// key hashes twice: what a request is counted by has any length, and the secret beside it must not make it grow, which would allocate.
func (s *Sharing) key(parts []byte) Key {
	inner := sha256.Sum256(parts)
	var b [2 * sha256.Size]byte
	copy(b[:], s.secret[:])
	copy(b[sha256.Size:], inner[:])
	outer := sha256.Sum256(b[:])
	return Key{binary.BigEndian.Uint64(outer[:8]), binary.BigEndian.Uint64(outer[8:16])}
}
