package limit_test

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/time/rate"
	"pgregory.net/rapid"

	"github.com/valor-ivx/weir/proxy/limit"
)

var start = time.Unix(1_800_000_000, 0)

func key(of interface{ Key([]byte) limit.Key }, s string) limit.Key { return of.Key([]byte(s)) }

// One key behaves as one rate.Limiter does, and so never gets more than its burst and what its rate brought.
func TestOneKeyIsOneRateLimiter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		perSecond := rapid.Float64Range(0.01, 1000).Draw(t, "rate")
		burst := rapid.IntRange(1, 20).Draw(t, "burst")
		r := limit.NewRegistry(1000)
		l := r.Acquire(limit.Options{Name: "a", Rate: perSecond, Burst: burst})
		model := rate.NewLimiter(rate.Limit(perSecond), burst)
		now, admitted := start, 0
		for range rapid.IntRange(1, 60).Draw(t, "requests") {
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(2/perSecond*1e9)).Draw(t, "pause")))
			v := limit.Take([]limit.Check{{Limit: l, Key: key(l, "k")}}, now)
			if want := model.AllowN(now, 1); v.Refused == want {
				t.Fatalf("refused %v, rate.Limiter allows %v", v.Refused, want)
			}
			if !v.Refused {
				admitted++
			} else if early := v.Retry - 3*time.Nanosecond; early > 0 { // what is shorter than a nanosecond counts as nothing, twice
				now = now.Add(early)
				if model.AllowN(now, 1) || !limit.Take([]limit.Check{{Limit: l, Key: key(l, "k")}}, now).Refused {
					t.Fatalf("told to retry after %v, admitted before", v.Retry)
				}
			}
			if most := float64(burst) + now.Sub(start).Seconds()*perSecond; float64(admitted) > most+1e-3 {
				t.Fatalf("%d admitted, at most %v", admitted, most)
			}
		}
	})
}

// Whatever the times that requests bring, in whatever order, a key gets no more than its burst and what its rate brought up to the latest of them.
func TestTimeThatStepsBackBringsNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := limit.NewRegistry(1000)
		l := r.Acquire(limit.Options{Name: "a", Rate: 10, Burst: 5})
		latest, admitted := time.Duration(0), 0
		for range rapid.IntRange(1, 300).Draw(t, "requests") {
			at := time.Duration(rapid.Int64Range(0, int64(2*time.Second)).Draw(t, "at"))
			latest = max(latest, at)
			if !limit.Take([]limit.Check{{Limit: l, Key: key(l, "k")}}, start.Add(at)).Refused {
				admitted++
			}
		}
		if most := 5 + latest.Seconds()*10; float64(admitted) > most+1e-6 {
			t.Fatalf("%d admitted within %v, at most %v", admitted, latest, most)
		}
	})
}

func TestKeysDoNotShare(t *testing.T) {
	r := limit.NewRegistry(1000)
	l := r.Acquire(limit.Options{Name: "a", Rate: 1, Burst: 1})
	for i := range 500 {
		if limit.Take([]limit.Check{{Limit: l, Key: key(l, fmt.Sprint(i))}}, start).Refused {
			t.Fatalf("key %d was refused its first request", i)
		}
	}
}

// TestAllOrNone: a request that one limit refuses costs nothing at the others, so that they are still full when it is let through.
func TestAllOrNone(t *testing.T) {
	r := limit.NewRegistry(1000)
	wide := r.Acquire(limit.Options{Name: "a", Rate: 1, Burst: 3})
	tight := r.Acquire(limit.Options{Name: "b", Rate: 0.1, Burst: 1})
	both := []limit.Check{{Limit: wide, Key: key(wide, "k")}, {Limit: tight, Key: key(tight, "k")}}
	if v := limit.Take(both, start); v.Refused || v.Short != 0 {
		t.Fatalf("first: %+v", v)
	}
	for range 10 {
		if v := limit.Take(both, start); !v.Refused || v.By != 1 || v.Short != 0b10 || v.Retry != 10*time.Second {
			t.Fatalf("second: %+v, want refused by b for 10s", v)
		}
	}
	for i := range 2 {
		if limit.Take(both[:1], start).Refused {
			t.Fatalf("request %d of a: refused, though b's refusals took nothing of a", i)
		}
	}
	if v := limit.Take(both, start); v.Short != 0b11 || v.By != 1 {
		t.Fatalf("both empty: %+v, want the longer wait, b's", v)
	}
}

func TestDryRunRefusesNothingAndTellsAll(t *testing.T) {
	r := limit.NewRegistry(1000)
	dry := r.Acquire(limit.Options{Name: "a", Rate: 1, Burst: 1, DryRun: true})
	real := r.Acquire(limit.Options{Name: "b", Rate: 1, Burst: 2})
	both := []limit.Check{{Limit: dry, Key: key(dry, "k")}, {Limit: real, Key: key(real, "k")}}
	var got []limit.Verdict
	for range 3 {
		got = append(got, limit.Take(both, start))
	}
	want := []limit.Verdict{{}, {Short: 0b01}, {Short: 0b11, Refused: true, By: 1, Retry: time.Second}}
	if !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// TestReloadKeepsBuckets: another rate or burst for the same name goes on with the tokens that are left.
func TestReloadKeepsBuckets(t *testing.T) {
	r := limit.NewRegistry(1000)
	old := r.Acquire(limit.Options{Name: "a", Rate: 1, Burst: 5})
	take := func(l *limit.Limit, now time.Time) bool {
		return !limit.Take([]limit.Check{{Limit: l, Key: key(l, "k")}}, now).Refused
	}
	for range 5 {
		if !take(old, start) {
			t.Fatal("burst refused")
		}
	}
	fresh := r.Acquire(limit.Options{Name: "a", Rate: 10, Burst: 50})
	r.Retain([]string{"a"})
	if take(fresh, start) {
		t.Error("a reload filled the bucket")
	}
	if !take(fresh, start.Add(100*time.Millisecond)) {
		t.Error("the new rate is not in force")
	}
	r.Retain(nil)
	if again := r.Acquire(limit.Options{Name: "a", Rate: 1, Burst: 1}); !take(again, start) {
		t.Error("a limit that was removed is remembered")
	}
	if len(r.Stats()) != 1 {
		t.Errorf("stats %+v", r.Stats())
	}
}

// TestConcurrentRequestsShareExactly: many goroutines, two limits in their one order, admit exactly the burst.
func TestConcurrentRequestsShareExactly(t *testing.T) {
	r := limit.NewRegistry(1000)
	a := r.Acquire(limit.Options{Name: "a", Rate: 1e-9, Burst: 1000})
	b := r.Acquire(limit.Options{Name: "b", Rate: 1e-9, Burst: 700})
	checks := []limit.Check{{Limit: a, Key: key(a, "k")}, {Limit: b, Key: key(b, "k")}}
	var admitted atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 500 {
				if !limit.Take(checks, start).Refused {
					admitted.Add(1)
				}
			}
		})
	}
	wg.Wait()
	left := 0
	for !limit.Take(checks[:1], start).Refused {
		left++
	}
	if admitted.Load() != 700 || left != 300 {
		t.Errorf("%d admitted, %d left of a; want 700 and 300", admitted.Load(), left)
	}
}

// TestMemoryIsBounded floods a limit with ten times the keys it remembers and holds the memory to what DefaultKeys promises for each.
func TestMemoryIsBounded(t *testing.T) {
	const keys, flood = 20_000, 400_000
	r := limit.NewRegistry(keys)
	l := r.Acquire(limit.Options{Name: "a", Rate: 1, Burst: 1})
	heap := func() uint64 {
		runtime.GC()
		runtime.GC() // what other tests have left in a sync.Pool takes two
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	name := make([]byte, 0, 32)
	for i := range flood {
		name = fmt.Appendf(name[:0], "%d", i)
		limit.Take([]limit.Check{{Limit: l, Key: l.Key(name)}}, start)
	}
	per := float64(heap()-before) / keys
	stat := r.Stats()[0]
	if stat.Keys > keys || stat.Keys < keys*9/10 || stat.Evicted != uint64(flood-stat.Keys) {
		t.Errorf("%+v after %d keys, at most %d", stat, flood, keys)
	}
	t.Logf("%.0f bytes per key", per)
	if !raceEnabled && per > 300 {
		t.Errorf("%.0f bytes per key, promised 300", per)
	}
}

func TestHitAllocatesNothing(t *testing.T) {
	r := limit.NewRegistry(1000)
	a := r.Acquire(limit.Options{Name: "a", Rate: 1e6, Burst: 10})
	b := r.Acquire(limit.Options{Name: "b", Rate: 1, Burst: 10})
	parts, now := []byte("192.0.2.1"), start
	if n := testing.AllocsPerRun(1000, func() {
		now = now.Add(time.Millisecond)
		checks := [limit.MaxChecks]limit.Check{{Limit: a, Key: a.Key(parts)}, {Limit: b, Key: b.Key(parts)}}
		limit.Take(checks[:2], now)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestWindow(t *testing.T) {
	r := limit.NewRegistry(1)
	for _, c := range []struct {
		rate   float64
		burst  int
		window int
	}{{10, 20, 2}, {5.0 / 60, 5, 60}, {10, 1, 1}, {3, 10, 4}, {1000.0 / 3600, 1000, 3600}} {
		if l := r.Acquire(limit.Options{Name: "a", Rate: c.rate, Burst: c.burst}); l.Window() != c.window {
			t.Errorf("%v/s burst %d: window %d, want %d", c.rate, c.burst, l.Window(), c.window)
		}
	}
}

func BenchmarkTakeHit(b *testing.B) {
	r := limit.NewRegistry(limit.DefaultKeys)
	l := r.Acquire(limit.Options{Name: "a", Rate: 1e6, Burst: 10})
	parts, now := []byte("192.0.2.1"), start
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(time.Microsecond)
		checks := [limit.MaxChecks]limit.Check{{Limit: l, Key: l.Key(parts)}}
		limit.Take(checks[:1], now)
	}
}

func BenchmarkTakeNewKeyWhenFull(b *testing.B) {
	r := limit.NewRegistry(10_000)
	l := r.Acquire(limit.Options{Name: "a", Rate: 1, Burst: 10})
	var parts [8]byte
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		parts[0], parts[1], parts[2], parts[3] = byte(i), byte(i>>8), byte(i>>16), byte(i>>24)
		checks := [limit.MaxChecks]limit.Check{{Limit: l, Key: l.Key(parts[:])}}
		limit.Take(checks[:1], start)
	}
}
