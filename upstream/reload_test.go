package upstream_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valor-ivx/weir/balancer"
	"github.com/valor-ivx/weir/upstream"
)

// Requests go on while pools are replaced, targets come and go, health flaps and peers are ejected: every request finds a peer and a connection,
// and in the end nothing is in flight and nothing rests where nobody is.
func TestReloadsUnderLoad(t *testing.T) {
	var backends []*backend
	for range 4 {
		backends = append(backends, newBackend(t))
	}
	r := newRegistry(t, upstream.Options{})
	first := acquire(t, r, generationOf(backends, 0))
	waitKnown(t, first)
	var current atomic.Pointer[upstream.Pool]
	current.Store(first)

	const workers, each, reloads = 4, 1500, 200
	var wg sync.WaitGroup
	var reused atomic.Int64
	for worker := range workers {
		wg.Go(func() {
			for i := range each {
				outcome := upstream.Success
				if worker == 0 && i/10%2 == 0 {
					outcome = upstream.Broken
				}
				again, err := request(r, current.Load(), uint64(i), outcome)
				if err != nil {
					t.Errorf("lost: %v", err)
				}
				if again {
					reused.Add(1)
				}
			}
		})
	}
	for generation := 1; generation <= reloads; generation++ {
		backends[generation%2].unready.Store(generation%3 == 0)
		next := acquire(t, r, generationOf(backends, generation))
		old := current.Swap(next)
		old.Release()
		_ = next.Snapshot()
	}
	wg.Wait()
	last := current.Load()
	for _, s := range last.Snapshot() {
		if s.InFlight != 0 {
			t.Errorf("%s has %d in flight", s.Address, s.InFlight)
		}
	}
	last.Release()
	for _, s := range last.Snapshot() {
		if s.Idle != 0 {
			t.Errorf("%d connections to %s rest after the last release", s.Idle, s.Address)
		}
	}
	if reused.Load() == 0 {
		t.Error("no connection was reused")
	}
}

// request is one attempt, to the given end; it says whether its connection had rested, or why there was none.
func request(r *upstream.Registry, p *upstream.Pool, key uint64, o upstream.Outcome) (reused bool, err error) {
	var tried balancer.Tried
	peer := p.Live().Pick(key, r.Now(), &tried)
	if peer == nil {
		return false, errors.New("no peer")
	}
	c := peer.Conn(r.Now())
	if reused = c != nil; !reused {
		if c, err = peer.Dial(0); err != nil {
			peer.Done(r.Now(), 0, upstream.ConnectFailed)
			return false, err
		}
	}
	now := r.Now()
	c.Release(o == upstream.Success, now)
	peer.Done(now, time.Millisecond, o)
	return reused, nil
}

// generationOf is the n-th description of one group: another limit, and another backend left out.
func generationOf(backends []*backend, n int) upstream.PoolOptions {
	o := upstream.PoolOptions{
		Service: "api", Group: "blue", SlowStart: time.Second, MaxIdle: 1 + n%7,
		Health:   &upstream.HealthOptions{Path: "/", Interval: 20 * time.Millisecond},
		Ejection: &upstream.EjectionOptions{Consecutive: 5, MaxEjected: 0.5, Base: 10 * time.Millisecond},
	}
	for i, b := range backends {
		if i != n%len(backends) {
			o.Targets = append(o.Targets, upstream.Target{Address: b.address, Weight: float64(1 + i)})
		}
	}
	return o
}
