package upstream_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/valor-ivx/weir/upstream"
)

const ms = int64(time.Millisecond)

// party is a request in the model of a breaker.
type party struct {
	w        *upstream.Waiter
	priority upstream.Priority
	since    int64
	holds    bool
}

// called moves those who were called by now: entered, or displaced.
func called(waiting []*party) (entered, displaced, still []*party) {
	for _, p := range waiting {
		select {
		case in := <-p.w.Called:
			if p.holds = in; in {
				entered = append(entered, p)
			} else {
				displaced = append(displaced, p)
			}
		default:
			still = append(still, p)
		}
	}
	return entered, displaced, still
}

// TestBreakerKeepsItsPromises plays random requests, ends, give-ups and reconfigurations against what must hold after each: bounds, order by priority, nobody waits
// while there is room for it, and nothing is lost or counted twice.
func TestBreakerKeepsItsPromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func() upstream.BreakerOptions {
			o := upstream.BreakerOptions{MaxRequests: rapid.IntRange(1, 12).Draw(t, "max"), MaxQueue: rapid.IntRange(0, 6).Draw(t, "queue")}
			for p := range o.Used {
				o.Used[p] = rapid.Bool().Draw(t, "used")
			}
			return o
		}
		o := draw()
		b := upstream.NewBreaker(o)
		now := ms
		var in, waiting []*party
		hold := func(p *party) { p.holds = true; in = append(in, p) }
		settle := func(arriving *party) {
			entered, displaced, still := called(waiting)
			in = append(in, entered...)
			for _, p := range displaced {
				if arriving == nil || p.priority < arriving.priority {
					t.Fatalf("%s displaced by %v", p.priority, arriving)
				}
			}
			waiting = still
		}
		t.Repeat(map[string]func(*rapid.T){
			"arrive": func(t *rapid.T) {
				p := &party{w: upstream.NewWaiter(), priority: upstream.Priority(rapid.IntRange(0, 3).Draw(t, "priority")), since: now}
				if b.Enter(p.priority) {
					if len(waiting) > 0 {
						t.Fatal("passed those who wait")
					}
					hold(p)
					return
				}
				switch b.Queue(p.w, p.priority, now) {
				case upstream.Entered:
					hold(p)
				case upstream.Queued:
					settle(p)
					waiting = append(waiting, p)
				case upstream.QueueFull:
					for _, w := range waiting {
						if w.priority > p.priority && o.MaxQueue > 0 {
							t.Fatalf("%s refused while %s waits", p.priority, w.priority)
						}
					}
					if len(waiting) < o.MaxQueue {
						t.Fatalf("refused with %d of %d waiting", len(waiting), o.MaxQueue)
					}
				}
			},
			"leave": func(t *rapid.T) {
				if len(in) == 0 {
					t.Skip()
				}
				in = in[1:]
				before := waiting
				if b.Leave() {
					b.Call(now)
				}
				settle(nil)
				for _, w := range waiting {
					for _, e := range before {
						if e.holds && e.priority > w.priority {
							t.Fatalf("%s let in before %s", e.priority, w.priority)
						}
					}
				}
			},
			"give up": func(t *rapid.T) {
				if len(waiting) == 0 {
					t.Skip()
				}
				i := rapid.IntRange(0, len(waiting)-1).Draw(t, "who")
				if !b.Withdraw(waiting[i].w, now) {
					t.Fatal("was not waiting")
				}
				if b.Withdraw(waiting[i].w, now) {
					t.Fatal("withdrew twice")
				}
				waiting = append(append([]*party(nil), waiting[:i]...), waiting[i+1:]...)
			},
			"configure": func(t *rapid.T) {
				o = draw()
				b.Configure(o, now)
				settle(nil)
			},
			"time passes": func(t *rapid.T) { now += rapid.Int64Range(0, 300*ms).Draw(t, "time") },
			"": func(t *rapid.T) {
				s := b.Status(now)
				if int(s.InFlight) != len(in) {
					t.Fatalf("%d in flight, want %d", s.InFlight, len(in))
				}
				var queued [upstream.Priorities]int
				for _, w := range waiting {
					queued[w.priority]++
				}
				if s.Queued != queued {
					t.Fatalf("queued %v, want %v", s.Queued, queued)
				}
				if len(waiting) == 0 && s.Overloaded {
					t.Fatal("overloaded with an empty queue")
				}
				if len(in) == 0 && len(waiting) > 0 {
					t.Fatal("somebody waits for nobody")
				}
			},
		})
	})
}

func full(t *testing.T, o upstream.BreakerOptions) *upstream.Breaker {
	t.Helper()
	b := upstream.NewBreaker(o)
	for b.Enter(upstream.Critical) {
	}
	return b
}

func line(t *testing.T, b *upstream.Breaker, p upstream.Priority, at int64) *upstream.Waiter {
	t.Helper()
	w := upstream.NewWaiter()
	if e := b.Queue(w, p, at); e != upstream.Queued {
		t.Fatalf("not queued: %d", e)
	}
	return w
}

// next lets one leave and says which of the waiters was called.
func next(t *testing.T, b *upstream.Breaker, now int64, waiters ...*upstream.Waiter) int {
	t.Helper()
	if !b.Leave() {
		t.Fatal("nobody waits")
	}
	b.Call(now)
	for i, w := range waiters {
		select {
		case in := <-w.Called:
			if !in {
				t.Fatalf("%d was displaced", i)
			}
			return i
		default:
		}
	}
	t.Fatal("nobody was called")
	return -1
}

// TestBreakerOldestFirstThenNewest: a burst is served in its order; a line that stands is served from its end, until it is worked off.
func TestBreakerOldestFirstThenNewest(t *testing.T) {
	b := full(t, upstream.BreakerOptions{MaxRequests: 3, MaxQueue: 10})
	var w []*upstream.Waiter
	for i := range int64(8) {
		w = append(w, line(t, b, upstream.Normal, i*ms))
	}
	for i, want := range []int{0, 1} {
		if got := next(t, b, 50*ms+int64(i), w...); got != want {
			t.Fatalf("in a burst %d was called, want %d", got, want)
		}
	}
	if b.Status(100 * ms).Overloaded {
		t.Error("overloaded after 100 ms of which a part was within the delay")
	}
	for i, want := range []int{7, 6, 5} {
		if got := next(t, b, 200*ms+int64(i), w...); got != want {
			t.Fatalf("standing: %d was called, want %d", got, want)
		}
	}
	if !b.Status(201 * ms).Overloaded {
		t.Error("not overloaded")
	}
	for range 3 { // 4, 3, 2: the line is empty and forgets that it stood
		next(t, b, 210*ms, w...)
	}
	w = []*upstream.Waiter{line(t, b, upstream.Normal, 211*ms), line(t, b, upstream.Normal, 211*ms)}
	if got := next(t, b, 212*ms, w...); got != 0 {
		t.Error("after the overload the newest is still first")
	}
}

// TestBreakerFullQueue: a full queue refuses, unless a less important one or one who waited in vain can go.
func TestBreakerFullQueue(t *testing.T) {
	b := full(t, upstream.BreakerOptions{MaxRequests: 1, MaxQueue: 2})
	low, normal := line(t, b, upstream.Low, 0), line(t, b, upstream.Normal, 0)
	if b.Queue(upstream.NewWaiter(), upstream.Low, ms) != upstream.QueueFull {
		t.Error("low took a place in a full queue")
	}
	high := line(t, b, upstream.High, ms)
	if in := <-low.Called; in {
		t.Error("low was let in")
	}
	if b.Queue(upstream.NewWaiter(), upstream.Normal, 20*ms) != upstream.QueueFull {
		t.Error("normal displaced its equal in a burst")
	}
	late := line(t, b, upstream.Normal, 200*ms)
	if in := <-normal.Called; in {
		t.Error("normal was let in")
	}
	if got := next(t, b, 201*ms, high, late); got != 0 {
		t.Error("high does not go first")
	}
}

// TestBreakerReserve: each more important class in use keeps a twentieth from those below.
func TestBreakerReserve(t *testing.T) {
	all := [upstream.Priorities]bool{true, true, true, true}
	for _, c := range []struct {
		name string
		max  int
		used [upstream.Priorities]bool
		want [upstream.Priorities]int
	}{
		{"one class has everything", 100, [upstream.Priorities]bool{upstream.Normal: true}, [upstream.Priorities]int{100, 100, 100, 95}},
		{"all", 100, all, [upstream.Priorities]int{100, 95, 90, 85}},
		{"few", 20, all, [upstream.Priorities]int{20, 19, 18, 17}}, {"too few", 19, all, [upstream.Priorities]int{19, 19, 19, 19}},
		{"one", 1, all, [upstream.Priorities]int{1, 1, 1, 1}},
	} {
		for p, want := range c.want {
			b := upstream.NewBreaker(upstream.BreakerOptions{MaxRequests: c.max, Used: c.used})
			got := 0
			for b.Enter(upstream.Priority(p)) {
				got++
			}
			if got != want {
				t.Errorf("%s: %s has %d, want %d", c.name, upstream.Priority(p), got, want)
			}
		}
	}
}

// TestBreakerUnderRace: many at once never exceed the bound, nobody is forgotten and the books are even at the end.
func TestBreakerUnderRace(t *testing.T) {
	const most, clients, rounds = 4, 16, 2000
	b := upstream.NewBreaker(upstream.BreakerOptions{MaxRequests: most, MaxQueue: 8})
	var inside, entered, refused, withdrawn atomic.Int64
	var wg sync.WaitGroup
	for c := range clients {
		wg.Go(func() {
			w := upstream.NewWaiter()
			for i := range rounds {
				p := upstream.Priority((c + i) % int(upstream.Priorities))
				in := b.Enter(p)
				if !in {
					switch b.Queue(w, p, int64(i)*ms) {
					case upstream.Entered:
						in = true
					case upstream.Queued:
						if i%7 == 0 && b.Withdraw(w, int64(i)*ms) {
							withdrawn.Add(1)
							continue
						}
						in = <-w.Called
					}
				}
				if !in {
					refused.Add(1)
					continue
				}
				if n := inside.Add(1); n > most {
					t.Errorf("%d inside", n)
				}
				entered.Add(1)
				inside.Add(-1)
				if b.Leave() {
					b.Call(int64(i) * ms)
				}
			}
		})
	}
	wg.Wait()
	if s := b.Status(0); s.InFlight != 0 || s.Queued != [upstream.Priorities]int{} {
		t.Errorf("after the end %+v", s)
	}
	if n := entered.Load() + refused.Load() + withdrawn.Load(); n != clients*rounds || entered.Load() == 0 {
		t.Errorf("%d entered, %d refused, %d withdrawn", entered.Load(), refused.Load(), withdrawn.Load())
	}
}

func BenchmarkBreaker(b *testing.B) {
	br := upstream.NewBreaker(upstream.BreakerOptions{MaxRequests: 1024, MaxQueue: 16384})
	b.ReportAllocs()
	for b.Loop() {
		if !br.Enter(upstream.Normal) || br.Leave() {
			b.Fatal("not alone")
		}
	}
}
