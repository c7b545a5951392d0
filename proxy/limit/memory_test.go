package limit_test

import (
	"encoding/json"
	"fmt"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/valor-ivx/weir/proxy/limit"
)

// most is how many buckets are handed over here.
const most = 10_000

// over is what a registry remembers, as another process reads it.
func over(t interface{ Fatal(...any) }, r *limit.Registry, now time.Time) (m limit.Memory) {
	text, err := json.Marshal(r.Remember(now, most))
	if err == nil {
		err = json.Unmarshal(text, &m)
	}
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// A limit goes on in another process as if there had been none: whatever was asked before, and however long the change takes, each request is decided as one process would have.
func TestMemoryGoesOn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := limit.Options{Name: "a", Rate: rapid.Float64Range(1e-6, 1000).Draw(t, "rate"), Burst: rapid.IntRange(1, 20).Draw(t, "burst")}
		secret := [16]byte{1}
		one, first := limit.NewRegistry(1000), limit.NewRegistryUnder(secret, 1000)
		whole, part := one.Acquire(o), first.Acquire(o)
		now, handed := start, rapid.IntRange(0, 30).Draw(t, "handed over after")
		for i := range rapid.IntRange(1, 60).Draw(t, "requests") {
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(min(2000/o.Rate, 1e9))).Draw(t, "pause")) * time.Millisecond)
			if i == handed {
				memory := over(t, first, now)
				next := limit.NewRegistryUnder(secret, 1000)
				part = next.Acquire(o)
				if _, err := next.Recall(memory, now); err != nil {
					t.Fatal(err)
				}
				if i > 0 {
					first = next
				}
			}
			k := fmt.Sprint(rapid.IntRange(0, 2).Draw(t, "key"))
			a := limit.Take([]limit.Check{{Limit: whole, Key: key(whole, k)}}, now)
			b := limit.Take([]limit.Check{{Limit: part, Key: key(part, k)}}, now)
			const rounding = 10 * time.Microsecond
			switch {
			case (a.Retry - b.Retry).Abs() > rounding:
				t.Fatalf("request %d: %+v in one process, %+v in two", i, a, b)
			case a.Refused != b.Refused:
				t.Skip("as close as two floats can be: they go on from different buckets")
			}
		}
	})
}

// What cannot be understood leaves the limits as they were, and what is not for them is left out.
func TestMemoryThatIsNotOurs(t *testing.T) {
	secret := [16]byte{1}
	r := limit.NewRegistryUnder(secret, 1000)
	o := limit.Options{Name: "a", Rate: 1e-3, Burst: 2}
	l := r.Acquire(o)
	for range 2 {
		limit.Take([]limit.Check{{Limit: l, Key: key(l, "k")}}, start)
	}
	m := over(t, r, start)
	admits := func(next *limit.Registry, m limit.Memory, keys int, fails bool) (n int) {
		t.Helper()
		l := next.Acquire(o)
		if got, err := next.Recall(m, start); got != keys || (err != nil) != fails {
			t.Errorf("%d keys, %v", got, err)
		}
		for !limit.Take([]limit.Check{{Limit: l, Key: key(l, "k")}}, start).Refused {
			n++
		}
		return n
	}
	if n := admits(limit.NewRegistryUnder(secret, 1000), m, 1, false); n != 0 {
		t.Errorf("%d admitted by what is understood", n)
	}
	if n := admits(limit.NewRegistry(1000), m, 0, true); n != 2 {
		t.Errorf("%d admitted by what another secret hides", n)
	}
	torn := limit.Memory{Check: m.Check, Limits: []limit.LimitMemory{m.Limits[0], {Name: "b", Buckets: []byte("torn")}}}
	if n := admits(limit.NewRegistryUnder(secret, 1000), torn, 0, true); n != 2 {
		t.Errorf("%d admitted by what is torn", n)
	}
	for _, tokens := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), -1, 2, 1e300} {
		odd := limit.Memory{Check: m.Check, Limits: []limit.LimitMemory{{Name: "a", Buckets: append([]byte(nil), m.Limits[0].Buckets...)}}}
		for i, bits := 0, math.Float64bits(tokens); i < 8; i++ {
			odd.Limits[0].Buckets[16+i] = byte(bits >> (56 - 8*i))
		}
		if n := admits(limit.NewRegistryUnder(secret, 1000), odd, 0, false); n != 2 {
			t.Errorf("%d admitted by %v tokens", n, tokens)
		}
	}
	unknown := limit.NewRegistryUnder(secret, 1000)
	if n, err := unknown.Recall(m, start); n != 0 || err != nil || len(unknown.Stats()) != 0 {
		t.Errorf("a limit that nobody has: %d keys, %v", n, err)
	}
	// Counted together now: what was counted alone says nothing about that.
	shared := limit.NewRegistryUnder(secret, 1000)
	o.Sharing = limit.NewSharing(limit.SharingOptions{Patience: time.Second, Start: start})
	shared.Acquire(o)
	if n, err := shared.Recall(m, start); n != 0 || err != nil {
		t.Errorf("shared: %d keys, %v", n, err)
	}
	if m := over(t, shared, start); m.Limits != nil {
		t.Errorf("a shared limit is remembered: %+v", m)
	}
	if m := over(t, r, start.Add(time.Hour)); m.Limits != nil {
		t.Errorf("full buckets are remembered: %+v", m)
	}
}

// However many keys there are, a memory is bounded, and those used last are in it.
func TestMemoryIsNotEndless(t *testing.T) {
	secret := [16]byte{1}
	r := limit.NewRegistryUnder(secret, 2*most)
	const limits = 5
	var last limit.Key
	for i := range limits {
		l := r.Acquire(limit.Options{Name: string(rune('a' + i)), Rate: 1e-3, Burst: 2})
		for n := range most {
			last = key(l, fmt.Sprint(n))
			limit.Take([]limit.Check{{Limit: l, Key: last}}, start)
		}
	}
	m, buckets := over(t, r, start), 0
	for _, l := range m.Limits {
		buckets += len(l.Buckets) / 24
	}
	if buckets > most || buckets < most*9/10 {
		t.Errorf("%d buckets, at most %d", buckets, most)
	}
	next := limit.NewRegistryUnder(secret, 2*most)
	l := next.Acquire(limit.Options{Name: "e", Rate: 1e-3, Burst: 2})
	if n, err := next.Recall(m, start); err != nil || n < most/limits*9/10 {
		t.Errorf("%d keys, %v", n, err)
	}
	for i, refused := range []bool{false, true} { // one of its two was taken before
		if v := limit.Take([]limit.Check{{Limit: l, Key: last}}, start); v.Refused != refused {
			t.Errorf("request %d: %+v", i, v)
		}
	}
}
