package trace_test

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/valor-ivx/weir/proxy/trace"
)

// randomID is one of a fixed series.
func randomID(r *rand.Rand) (id trace.ID) {
	for i := range id {
		id[i] = byte(r.Uint32())
	}
	return id
}

// TestShareOfTraces: so many in a hundred are sampled as the ratio says, always the same ones, and those of a smaller ratio are among those of a larger.
func TestShareOfTraces(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	const n = 200_000
	ids := make([]trace.ID, n)
	for i := range ids {
		ids[i] = randomID(r)
	}
	before := map[trace.ID]bool{}
	for _, ratio := range []float64{0, 0.0001, 0.01, 0.1, 0.5, 0.999, 1} {
		s, now := trace.NewSampler(ratio, 0), map[trace.ID]bool{}
		for _, id := range ids {
			if s.Root(id, 1) {
				now[id] = true
			}
		}
		// Four times the standard deviation of the count, which is at most 0.5·√n.
		if got := float64(len(now)) / n; got < ratio-0.0045 || got > ratio+0.0045 || ratio == 0 && got != 0 || ratio == 1 && got != 1 {
			t.Errorf("ratio %v: %v", ratio, got)
		}
		for id := range before {
			if !now[id] {
				t.Fatalf("%x is sampled at a smaller ratio than %v and not at this", id, ratio)
			}
		}
		before = now
	}
}

// TestSharesAreOpenTelemetrys: the traces at the edge of the share are those of its TraceIDRatioBased: the right half of the id, halved, below the ratio of 2⁶³.
func TestSharesAreOpenTelemetrys(t *testing.T) {
	s := trace.NewSampler(0.25, 0)
	in, out := trace.ID{8: 0x3f, 9: 0xff, 10: 0xff, 11: 0xff, 12: 0xff, 13: 0xff, 14: 0xff, 15: 0xff}, trace.ID{8: 0x40}
	if !s.Root(in, 1) || s.Root(out, 1) {
		t.Error("the share ends elsewhere")
	}
}

// TestCallerDecides: the ratio is for traces that begin here.
func TestCallerDecides(t *testing.T) {
	never, always := trace.NewSampler(0, 0), trace.NewSampler(1, 0)
	sampled, not := trace.Context{Flags: trace.FlagSampled}, trace.Context{Flags: trace.FlagRandom}
	if !never.Child(&sampled, 1) || always.Child(&not, 1) {
		t.Error("a caller was not followed")
	}
}

// TestRateOfTraces: whoever asks for how many and when, in no time are there more than a second's worth and what the rate gives.
func TestRateOfTraces(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		rate := rapid.IntRange(1, 1000).Draw(r, "rate")
		s := trace.NewSampler(1, float64(rate))
		c := trace.Context{Flags: trace.FlagSampled}
		begin := int64(rapid.IntRange(1, 1<<40).Draw(r, "begin"))
		now, taken, asked := begin, 0, 0
		for range rapid.IntRange(1, 50).Draw(r, "bursts") {
			now += int64(rapid.IntRange(0, int(2*time.Second)).Draw(r, "pause"))
			for range rapid.IntRange(1, 200).Draw(r, "asked") {
				asked++
				if s.Child(&c, now) {
					taken++
				}
			}
			most := rate + int(float64(now-begin)*float64(rate)/1e9) + 1
			if taken > most {
				r.Fatalf("%d in %v at %d a second", taken, time.Duration(now-begin), rate)
			}
		}
		if least := min(asked, rate); taken < least {
			r.Fatalf("%d of %d at %d a second", taken, asked, rate)
		}
	})
}

// TestRateIsSharedByAll: many at once get no more than one would.
func TestRateIsSharedByAll(t *testing.T) {
	s := trace.NewSampler(1, 100)
	var taken atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			c := trace.Context{Flags: trace.FlagSampled}
			for range 1000 {
				if s.Child(&c, 12345) {
					taken.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if taken.Load() != 100 {
		t.Errorf("%d at one moment, want a second's worth", taken.Load())
	}
}

// TestSamplingAllocatesNothing: it is asked of every request.
func TestSamplingAllocatesNothing(t *testing.T) {
	s := trace.NewSampler(0.5, 100)
	value, state := []byte(good), []byte("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE")
	out := make([]byte, 0, 64)
	if n := testing.AllocsPerRun(1000, func() {
		c, _ := trace.Parse(value)
		var st trace.State
		st.Add(state)
		_ = st.Valid() && s.Child(&c, 5) || s.Root(trace.NewID(), 6)
		c.Span = trace.NewSpanID()
		out = c.Append(out[:0])
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
