package upstream_test

import (
	"testing"
	"time"

	"github.com/valor-ivx/weir/balancer"
	"github.com/valor-ivx/weir/upstream"
)

// hotPool has three peers at real listeners, with everything on that requests pay for.
func hotPool(t testing.TB) (*upstream.Registry, *upstream.Pool) {
	var addresses []string
	for range 3 {
		a, _ := silentServer(t)
		addresses = append(addresses, a)
	}
	r := newRegistry(t, upstream.Options{})
	p := acquire(t, r, upstream.PoolOptions{
		Targets: targets(addresses...), SlowStart: time.Minute,
		Ejection: &upstream.EjectionOptions{Consecutive: 5, ErrorRatio: 0.5, MaxEjected: 0.5},
	})
	t.Cleanup(p.Release)
	return r, p
}

// exchange is what a request does here: choose, take a connection, give both back.
func exchange(t testing.TB, p *upstream.Pool, now int64) {
	var tried balancer.Tried
	peer := p.Live().Pick(1, now, &tried)
	c := peer.Conn(now)
	if c == nil {
		var err error
		if c, err = peer.Dial(0); err != nil {
			t.Fatal(err)
		}
	}
	c.Release(true, now)
	peer.Done(now, time.Millisecond, upstream.Success)
}

// The whole of it, with the failures that are not verdicts, allocates nothing.
func TestHotPathAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("skipped: sync.Pool drops at random under the race detector")
	}
	r, p := hotPool(t)
	budget := upstream.NewRetryBudget(0.2, 10)
	now := r.Now()
	for range 1000 { // every peer gets its connection
		now += int64(time.Millisecond)
		exchange(t, p, now)
	}
	outcome := upstream.Success
	allocs := testing.AllocsPerRun(2000, func() {
		now += int64(time.Millisecond) / 10
		exchange(t, p, now)
		var tried balancer.Tried
		peer := p.Live().Pick(2, now, &tried)
		peer.Done(now, time.Millisecond, outcome)
		peer = p.Live().Pick(2, now, &tried)
		peer.Done(now, time.Millisecond, upstream.Aborted)
		budget.Deposit()
		budget.Withdraw(now)
		outcome = (outcome + 1) % 2 // success and 5xx in turns
	})
	if allocs != 0 {
		t.Errorf("%v allocations per exchange", allocs)
	}
}

func BenchmarkPickDone(b *testing.B) {
	r, p := hotPool(b)
	now := r.Now()
	b.ReportAllocs()
	for b.Loop() {
		now += 20_000
		var tried balancer.Tried
		p.Live().Pick(1, now, &tried).Done(now, time.Millisecond, upstream.Success)
	}
}

func BenchmarkPickDoneParallel(b *testing.B) {
	r, p := hotPool(b)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		now := r.Now()
		for pb.Next() {
			now += 20_000
			var tried balancer.Tried
			p.Live().Pick(1, now, &tried).Done(now, time.Millisecond, upstream.Success)
		}
	})
}

// One get and put of a resting connection, the look at its socket (one system call) included.
func BenchmarkConnRelease(b *testing.B) {
	r, p := hotPool(b)
	peer := pick(b, p, r.Now())
	dial(b, peer).Release(true, r.Now())
	now := r.Now()
	b.ReportAllocs()
	for b.Loop() {
		peer.Conn(now).Release(true, now)
	}
	peer.Done(now, 0, upstream.Aborted)
}

func BenchmarkDone(b *testing.B) {
	r, p := hotPool(b)
	now := r.Now()
	peer := pick(b, p, now)
	b.ReportAllocs()
	for b.Loop() {
		now += 20_000
		peer.Done(now, time.Millisecond, upstream.Success)
	}
}

func BenchmarkRetryBudgetDeposit(b *testing.B) {
	budget := upstream.NewRetryBudget(upstream.DefaultRetryRatio, upstream.DefaultRetriesPerSecond)
	for b.Loop() {
		budget.Deposit()
	}
}

// A whole pool of a hundred targets, acquired and released: what a reload pays per group with the control plane's lock held.
func BenchmarkAcquireRelease100(b *testing.B) {
	r := newRegistry(b, upstream.Options{})
	var list []upstream.Target
	for i := range 100 {
		list = append(list, upstream.Target{Address: "127.0.0.1:" + string([]byte{'1', byte('0' + i/10), byte('0' + i%10)}), Weight: 1})
	}
	b.ReportAllocs()
	for b.Loop() {
		p := acquire(b, r, upstream.PoolOptions{Targets: list, MaxIdle: 7})
		p.Release()
	}
}
