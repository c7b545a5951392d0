package cluster

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// lockLife is how long a lock outlives a holder that died: longer than a Redis that restarts is away, short beside what an order takes.
	lockLife  = 30 * time.Second
	lockRenew = lockLife / 4 // three renewals may be lost
	lockPoll  = 250 * time.Millisecond
	// lockAway is how long somebody who wants a lock waits for a Redis that is away before he is told.
	lockAway = time.Minute
)

// Scripts that touch a lock (KEYS[1]) only if it is still this holder's (ARGV[1]): it may have run out, and be another's.
const (
	unlockScript = `
if redis.call('GET', KEYS[1]) == ARGV[1] then
  return redis.call('DEL', KEYS[1])
end
return 0
`
	renewScript = `
if redis.call('GET', KEYS[1]) == ARGV[1] then
  return redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return 0
`
)

// heldLock is a lock of this replica. Its renewal runs on a goroutine of the Client's until Unlock, or until the Client is closed.
type heldLock struct {
	token  string
	cancel context.CancelFunc
	done   chan struct{}
}

// Lock implements certmagic.Locker. It waits for another holder as long as ctx does, and for a Redis that is away for a minute.
func (s *Storage) Lock(ctx context.Context, name string) error {
	var away time.Time
	for {
		ok, err := s.TryLock(ctx, name)
		switch {
		case ok:
			return nil
		case ctx.Err() != nil:
			return fmt.Errorf("lock %s: %w", name, ctx.Err())
		case err == nil:
			away = time.Time{}
		case away.IsZero():
			away = time.Now()
		case time.Since(away) > lockAway:
			return err
		}
		timer := time.NewTimer(lockPoll/2 + mathrand.N(lockPoll))
		select {
		case <-timer.C:
		case <-ctx.Done():
		case <-s.client.ctx.Done():
			timer.Stop()
			return fmt.Errorf("lock %s: %w", name, s.client.ctx.Err())
		}
		timer.Stop()
	}
}

// TryLock implements certmagic.TryLocker.
func (s *Storage) TryLock(ctx context.Context, name string) (bool, error) {
	h := &heldLock{token: rand.Text(), done: make(chan struct{})}
	ok := false
	err := s.do(ctx, func(ctx context.Context) error {
		err := s.client.redis.SetArgs(ctx, s.lockKey(name), h.token, redis.SetArgs{Mode: "NX", TTL: lockLife}).Err()
		ok = err == nil
		return err
	})
	if err != nil && !errors.Is(err, redis.Nil) {
		return false, fmt.Errorf("lock %s: %w", name, err)
	}
	if !ok {
		return false, nil
	}
	var held context.Context
	held, h.cancel = context.WithCancel(s.client.ctx)
	s.mu.Lock()
	s.held[name] = h
	s.mu.Unlock()
	s.client.work.Go(func() { s.renew(held, name, h) })
	return true, nil
}

// Unlock implements certmagic.Locker.
func (s *Storage) Unlock(ctx context.Context, name string) error {
	s.mu.Lock()
	h := s.held[name]
	delete(s.held, name)
	s.mu.Unlock()
	if h == nil {
		return fmt.Errorf("unlock %s: not held by this replica", name)
	}
	h.cancel()
	<-h.done
	gone := 0
	err := s.do(ctx, func(ctx context.Context) (err error) {
		gone, err = redis.NewScript(unlockScript).Run(ctx, s.client.redis, []string{s.lockKey(name)}, h.token).Int()
		return err
	})
	if err == nil && gone == 0 {
		err = errors.New("it had run out")
	}
	if err != nil {
		return fmt.Errorf("unlock %s: %w", name, err)
	}
	return nil
}

// RenewLockLease implements certmagic.LockLeaseRenewer. Locks are renewed as long as they are held, so it only tells one that was lost.
func (s *Storage) RenewLockLease(ctx context.Context, name string, life time.Duration) error {
	s.mu.Lock()
	h := s.held[name]
	s.mu.Unlock()
	if h == nil {
		return fmt.Errorf("renew lock %s: not held by this replica", name)
	}
	return s.prolong(ctx, name, h.token, max(life, lockLife))
}

// renew keeps a lock until ctx ends. While Redis is away there is nothing to do but to try again; what runs out meanwhile is another's.
func (s *Storage) renew(ctx context.Context, name string, h *heldLock) {
	defer close(h.done)
	tick := time.NewTicker(lockRenew)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			_ = s.prolong(ctx, name, h.token, lockLife)
		case <-ctx.Done():
			return
		}
	}
}

func (s *Storage) prolong(ctx context.Context, name, token string, life time.Duration) error {
	kept := 0
	err := s.do(ctx, func(ctx context.Context) (err error) {
		kept, err = redis.NewScript(renewScript).Run(ctx, s.client.redis, []string{s.lockKey(name)}, token, life.Milliseconds()).Int()
		return err
	})
	if err == nil && kept == 0 {
		err = errors.New("it has run out")
	}
	if err != nil {
		return fmt.Errorf("renew lock %s: %w", name, err)
	}
	return nil
}

func (s *Storage) lockKey(name string) string { return s.client.key("lock:" + name) }
