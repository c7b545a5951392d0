package limit_test

import (
	"container/heap"
	"fmt"
	"math"
	"os"
	"runtime"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/valor-ivx/weir/proxy/limit"
)

// cluster simulates processes that count together through one bucket, in a time of its own: everything that happens is an event.
type cluster struct {
	now    time.Time
	events events
	full   time.Time // of the shared bucket
	limits []*limit.Limit
	shared []*limit.Sharing
	busy   []bool
	cut    func(replica int) bool // from the bucket; nil: nobody
	delay  func() time.Duration   // of one way

	admitted []time.Time
}

type event struct {
	at time.Time
	do func()
}

type events []event

func (e events) Len() int           { return len(e) }
func (e events) Less(i, j int) bool { return e[i].at.Before(e[j].at) }
func (e events) Swap(i, j int)      { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)        { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	last := (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	return last
}

const patience = 100 * time.Millisecond

func newCluster(replicas int, perSecond float64, burst int) *cluster {
	c := &cluster{now: start, busy: make([]bool, replicas)}
	for range replicas {
		s := limit.NewSharing(limit.SharingOptions{Patience: patience, Start: start})
		s.SetReplicas(replicas)
		r := limit.NewRegistry(1000)
		c.shared = append(c.shared, s)
		c.limits = append(c.limits, r.Acquire(limit.Options{Name: "a", Rate: perSecond, Burst: burst, Sharing: s}))
	}
	return c
}

func (c *cluster) after(d time.Duration, do func()) { heap.Push(&c.events, event{c.now.Add(d), do}) }

func (c *cluster) run(until time.Duration) {
	for len(c.events) > 0 && !c.events[0].at.After(start.Add(until)) {
		e := heap.Pop(&c.events).(event)
		c.now = e.at
		e.do()
	}
}

// request makes one at a replica, and settles what that leaves to settle.
func (c *cluster) request(replica int) limit.Verdict {
	l := c.limits[replica]
	v := limit.Take([]limit.Check{{Limit: l, Key: key(l, "k")}}, c.now)
	if !v.Refused {
		c.admitted = append(c.admitted, c.now)
	}
	c.settle(replica)
	return v
}

func (c *cluster) settle(replica int) {
	s := c.shared[replica]
	if c.busy[replica] || s.Waiting() == 0 {
		return
	}
	debts := s.Collect(make([]limit.Debt, 0, 1), nil, func() time.Time { return c.now })
	if len(debts) == 0 {
		return
	}
	c.busy[replica] = true
	cut := c.cut != nil && c.cut(replica)
	c.after(c.delay(), func() {
		var ahead time.Duration
		if !cut {
			ahead = c.charge(debts[0])
		}
		c.after(c.delay(), func() {
			c.busy[replica] = false
			if cut {
				s.Fail(&debts[0], c.now)
			} else {
				s.Settle(&debts[0], ahead, c.now)
				c.settle(replica)
			}
		})
	})
}

// charge is what the script of package cluster does.
func (c *cluster) charge(d limit.Debt) time.Duration {
	if c.full.Before(c.now) {
		c.full = c.now
	}
	if most := c.now.Add(d.Most); c.full.After(most) {
		c.full = most
	}
	c.full = c.full.Add(d.Owed)
	return c.full.Sub(c.now)
}

// excess is the most by which what was admitted in any time was above what the rate brings in it.
func excess(admitted []time.Time, perSecond float64) (most float64) {
	level := 0.0
	for i, at := range admitted {
		if i > 0 {
			level = max(0, level-at.Sub(admitted[i-1]).Seconds()*perSecond)
		}
		level++
		most = max(most, level)
	}
	return most
}

func leaseOf(perSecond float64, burst, replicas int) float64 {
	return max(1, math.Ceil(float64(burst)/float64(replicas)), math.Floor(perSecond/100+1e-9))
}

// traffic makes requests at random moments at each replica, idle times and bursts among them.
func (c *cluster) traffic(t *rapid.T, until time.Duration) {
	for i := range c.limits {
		pauses := rapid.SliceOfN(rapid.Int64Range(0, int64(50*time.Millisecond)), 5, 40).Draw(t, fmt.Sprintf("pauses of %d", i))
		next := 0
		var again func()
		again = func() {
			c.request(i)
			d := time.Duration(pauses[next%len(pauses)])
			if d > 40*time.Millisecond {
				d *= 20 // idle
			} else if d < 20*time.Millisecond {
				d = 0
			}
			next++
			if d == 0 && next%len(pauses) == 0 {
				d = time.Millisecond // time must go on
			}
			c.after(d, again)
		}
		c.after(time.Duration(pauses[0]), again)
	}
	c.run(until)
}

// TestSharedBound: whatever the traffic at whichever replica, however long settlements take (within patience), the cluster admits no more than
// rate·t + burst + (replicas − 1)·lease in any time t.
func TestSharedBound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		replicas, burst := rapid.IntRange(1, 6).Draw(t, "replicas"), rapid.IntRange(1, 40).Draw(t, "burst")
		perSecond := rapid.Float64Range(0.1, 500).Draw(t, "rate")
		c := newCluster(replicas, perSecond, burst)
		delays := rapid.SliceOfN(rapid.Int64Range(0, int64(patience/4)), 1, 20).Draw(t, "delays")
		n := 0
		c.delay = func() time.Duration { n++; return time.Duration(delays[n%len(delays)]) }
		c.traffic(t, time.Second)
		most := float64(burst) + float64(replicas-1)*leaseOf(perSecond, burst, replicas)
		if got := excess(c.admitted, perSecond); got > most+1e-3 {
			t.Fatalf("%v more than the rate brings, at most %v", got, most)
		}
	})
}

// TestSharedRateIsGiven: when requests want more than the rate, at one replica or at all, they are given it.
func TestSharedRateIsGiven(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		replicas := rapid.IntRange(1, 6).Draw(t, "replicas")
		perSecond := rapid.Float64Range(1, 500).Draw(t, "rate")
		burst := max(2, int(perSecond*rapid.Float64Range(0.1, 3).Draw(t, "seconds of burst")))
		c := newCluster(replicas, perSecond, burst)
		delay := time.Duration(rapid.Int64Range(0, int64(3*time.Millisecond)).Draw(t, "delay"))
		c.delay = func() time.Duration { return delay }
		// Weights of the replicas in the traffic: a load balancer spreads it in whichever way.
		loads := rapid.SliceOfN(rapid.IntRange(0, 5), replicas, replicas).Draw(t, "loads")
		loads[rapid.IntRange(0, replicas-1).Draw(t, "one at least")] += 2
		for i, load := range loads {
			if load == 0 {
				continue
			}
			pause := time.Duration(float64(time.Second) / perSecond / float64(load))
			var again func()
			again = func() { c.request(i); c.after(pause, again) }
			c.after(pause, again)
		}
		const length = 10 * time.Second
		c.run(length)
		want := perSecond * length.Seconds()
		if got := float64(len(c.admitted)); got < want*0.97 {
			t.Fatalf("%v admitted, the rate brings %v", got, want)
		}
	})
}

// TestSharedCutOff: when nobody reaches the bucket, all together are given the rate, and no more but a lease each; a time with both in it has both bounds, and
// what was given while the bucket was away is not taken back.
func TestSharedCutOff(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		replicas, burst := rapid.IntRange(1, 6).Draw(t, "replicas"), rapid.IntRange(1, 40).Draw(t, "burst")
		perSecond := rapid.Float64Range(1, 20).Draw(t, "rate")
		c := newCluster(replicas, perSecond, burst)
		c.delay = func() time.Duration { return time.Millisecond }
		away, back := 3*time.Second, 9*time.Second
		c.cut = func(int) bool { return c.now.After(start.Add(away)) && c.now.Before(start.Add(back)) }
		for i := range replicas {
			var again func()
			pause := time.Duration(float64(time.Second) / perSecond / 20) // a token waits for no more than 1/20 of its time for somebody who takes it
			again = func() { c.request(i); c.after(pause, again) }
			c.after(time.Duration(i)*pause/10, again)
		}
		c.run(15 * time.Second)
		lease := leaseOf(perSecond, burst, replicas)
		if got, most := excess(c.admitted, perSecond), 2*(float64(burst)+float64(replicas-1)*lease)+float64(replicas)*lease; got > most+1e-3 {
			t.Fatalf("%v more than the rate brings, at most %v", got, most)
		}
		during, first := 0, 0
		away += time.Second
		for i, at := range c.admitted {
			if at.After(start.Add(away)) && at.Before(start.Add(back)) {
				during++
				if first == 0 {
					first = i
				}
			}
		}
		if got, most := excess(c.admitted[first:first+during], perSecond), float64(replicas)*(lease+1); got > most+1e-3 {
			t.Fatalf("%v more than the rate brings while cut off, at most %v", got, most)
		}
		if want := perSecond * 5; float64(during) < want*0.9-float64(replicas) {
			t.Fatalf("%d admitted while cut off, the shares bring %v", during, want)
		}
		// Of a burst of 1 the 2 ms of a settlement overflow.
		if got, want := float64(len(c.admitted)), perSecond*15/(1+perSecond*0.003); got < want*0.9 {
			t.Fatalf("%v admitted in all, the rate brings %v", got, want)
		}
	})
}

// TestSharedAlone: one process that shares with nobody decides as a limit that is not shared does.
func TestSharedAlone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		perSecond, burst := float64(rapid.IntRange(1, 200).Draw(t, "rate")), rapid.IntRange(1, 20).Draw(t, "burst")
		c := newCluster(1, perSecond, burst)
		c.delay = func() time.Duration { return 0 }
		r := limit.NewRegistry(1000)
		alone := r.Acquire(limit.Options{Name: "a", Rate: perSecond, Burst: burst})
		for range rapid.IntRange(1, 100).Draw(t, "requests") {
			c.run(c.now.Sub(start) + time.Duration(rapid.Int64Range(1, int64(30*time.Millisecond)).Draw(t, "pause")))
			c.now = c.now.Add(time.Duration(rapid.Int64Range(0, int64(30*time.Millisecond)).Draw(t, "pause")))
			v, w := c.request(0), limit.Take([]limit.Check{{Limit: alone, Key: key(alone, "k")}}, c.now)
			if v.Refused != w.Refused && math.Abs(float64(v.Retry-w.Retry)) > float64(100*time.Nanosecond) { // rounding of a token's price
				t.Fatalf("shared %+v, alone %+v", v, w)
			}
		}
	})
}

// TestSharedKeysAreTheSameEverywhere: two processes with one secret count a key as one, with two as two; and a limit's own keys are secret.
func TestSharedKeysAreTheSameEverywhere(t *testing.T) {
	of := func(secret byte) limit.Key {
		s := limit.NewSharing(limit.SharingOptions{Secret: [32]byte{secret}, Start: start})
		return limit.NewRegistry(1).Acquire(limit.Options{Name: "a", Rate: 1, Burst: 1, Sharing: s}).Key([]byte("192.0.2.1"))
	}
	here, there := of(1), of(1)
	if here != there {
		t.Error("the same secret gives two keys")
	}
	if here == of(2) {
		t.Error("two secrets give the same key")
	}
}

// TestSharedChoiceStartsOver: a limit that begins to be shared, or ends, begins with full buckets; one that stays as it was does not.
func TestSharedChoiceStartsOver(t *testing.T) {
	s := limit.NewSharing(limit.SharingOptions{Start: start})
	r := limit.NewRegistry(1000)
	for i, c := range []struct {
		sharing *limit.Sharing
		refused bool
	}{{nil, false}, {nil, true}, {s, false}, {s, true}, {nil, false}} {
		l := r.Acquire(limit.Options{Name: "a", Rate: 1, Burst: 1, Sharing: c.sharing})
		if v := limit.Take([]limit.Check{{Limit: l, Key: key(l, "k")}}, start); v.Refused != c.refused {
			t.Errorf("step %d: refused %v", i, v.Refused)
		}
	}
}

// TestSharedMemoryIsBounded: a flood of keys (in CI ten million), and nobody who settles them, costs what DefaultKeys promises, and no more.
func TestSharedMemoryIsBounded(t *testing.T) {
	flood := 1_000_000
	if raceEnabled { // a take costs it thirty times as much, and what it says of memory is not looked at
		flood = 100_000
	}
	if os.Getenv("WEIR_TEST_ALL") == "1" && !raceEnabled {
		flood = 10_000_000
	}
	const keys = 20_000
	s := limit.NewSharing(limit.SharingOptions{Start: start})
	r := limit.NewRegistry(keys)
	l := r.Acquire(limit.Options{Name: "a", Rate: 1, Burst: 1, Sharing: s})
	used := func() uint64 {
		runtime.GC()
		runtime.GC() // what other tests have left in a sync.Pool takes two
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := used()
	name := make([]byte, 0, 32)
	for i := range flood {
		name = fmt.Appendf(name[:0], "%d", i)
		limit.Take([]limit.Check{{Limit: l, Key: l.Key(name)}}, start)
	}
	per := float64(used()-before) / keys
	stat := r.Stats()[0]
	if stat.Keys > keys || stat.Evicted != uint64(flood-stat.Keys) || s.Dropped() == 0 || s.Waiting() == 0 {
		t.Errorf("%+v, %d waiting, %d dropped", stat, s.Waiting(), s.Dropped())
	}
	t.Logf("%.0f bytes per key", per)
	if !raceEnabled && per > 400 {
		t.Errorf("%.0f bytes per key, promised 400", per)
	}
}

func TestSharedHitAllocatesNothing(t *testing.T) {
	s := limit.NewSharing(limit.SharingOptions{Patience: patience, Start: start})
	r := limit.NewRegistry(1000)
	a := r.Acquire(limit.Options{Name: "a", Rate: 1e4, Burst: 10, Sharing: s})
	b := r.Acquire(limit.Options{Name: "b", Rate: 1, Burst: 10, Sharing: s})
	parts, now := make([]byte, 300), start
	if n := testing.AllocsPerRun(1000, func() {
		now = now.Add(time.Millisecond)
		checks := [limit.MaxChecks]limit.Check{{Limit: a, Key: a.Key(parts)}, {Limit: b, Key: b.Key(parts)}}
		limit.Take(checks[:2], now)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkTakeSharedHit(b *testing.B) {
	s := limit.NewSharing(limit.SharingOptions{Patience: patience, Start: start})
	r := limit.NewRegistry(limit.DefaultKeys)
	l := r.Acquire(limit.Options{Name: "a", Rate: 1e6, Burst: 10, Sharing: s})
	parts, now := []byte("192.0.2.1"), start
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(time.Microsecond)
		checks := [limit.MaxChecks]limit.Check{{Limit: l, Key: l.Key(parts)}}
		limit.Take(checks[:1], now)
	}
}

// TestSharedDryRun: a shared limit that only tells refuses nothing, and beside one that does refuse it is not charged for what that one refused.
func TestSharedDryRun(t *testing.T) {
	s := limit.NewSharing(limit.SharingOptions{Patience: patience, Start: start})
	r := limit.NewRegistry(1000)
	dry := r.Acquire(limit.Options{Name: "a", Rate: 1, Burst: 3, DryRun: true, Sharing: s})
	real := r.Acquire(limit.Options{Name: "b", Rate: 1, Burst: 2, Sharing: s})
	both := []limit.Check{{Limit: dry, Key: key(dry, "k")}, {Limit: real, Key: key(real, "k")}}
	for i, want := range []limit.Verdict{{}, {}, {Short: 0b10, Refused: true, By: 1, Retry: time.Second}, {Short: 0b10, Refused: true, By: 1, Retry: time.Second}} {
		if got := limit.Take(both, start); got != want {
			t.Errorf("request %d: %+v, want %+v", i, got, want)
		}
	}
	for i, want := range []limit.Verdict{{}, {Short: 0b1}} {
		if got := limit.Take(both[:1], start); got != want {
			t.Errorf("the dry run alone, request %d: %+v, want %+v", i, got, want)
		}
	}
}
