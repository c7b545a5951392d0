package balancer_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/valor-ivx/weir/balancer"
)

var kinds = map[string]balancer.Kind{
	"peak_ewma":     balancer.PeakEWMA,
	"least_request": balancer.LeastRequest,
	"round_robin":   balancer.RoundRobin,
	"least_conn":    balancer.LeastConn,
	"hash":          balancer.Hash,
}

// peersOf makes peers that nothing is known about.
func peersOf(weights ...float64) []balancer.Candidate {
	peers := make([]balancer.Candidate, len(weights))
	rng := rand.New(rand.NewPCG(11, 12))
	for i, w := range weights {
		peers[i] = balancer.Candidate{Weight: w, Hash: rng.Uint64(), Load: new(balancer.Load)}
	}
	return peers
}

// sharesOf counts n picks by consecutive tickets and random keys.
func sharesOf(kind balancer.Kind, v balancer.View, n int) []float64 {
	rng := rand.New(rand.NewPCG(13, 14))
	p := balancer.New(kind, v.Peers, balancer.Options{})
	shares := make([]float64, len(v.Peers))
	for range n {
		v.Ticket++
		shares[p.Pick(&v, rng.Uint64())] += 1 / float64(n)
	}
	return shares
}

func TestPickNeverRepeatsAndEndsExactlyWhenExhausted(t *testing.T) {
	for name, kind := range kinds {
		t.Run(name, rapid.MakeCheck(func(t *rapid.T) {
			weights := rapid.SliceOfN(rapid.OneOf(
				rapid.Float64Range(0.01, 10), rapid.Just(1.0), rapid.Just(1e6)), 0, 14).Draw(t, "weights")
			v := balancer.View{
				Peers:     peersOf(weights...),
				Ticket:    rapid.Uint64().Draw(t, "ticket"),
				Now:       rapid.Int64Range(1, 1<<60).Draw(t, "now"),
				SlowStart: time.Duration(rapid.Int64Range(0, 1<<40).Draw(t, "slow start")),
			}
			for i := range v.Peers {
				v.Peers[i].Since = rapid.OneOf(rapid.Just(int64(0)), rapid.Int64Range(0, 1<<60)).Draw(t, "since")
				for range rapid.IntRange(0, 5).Draw(t, "in flight") {
					v.Peers[i].Load.Begin()
				}
				if rapid.Bool().Draw(t, "known") {
					v.Peers[i].Load.End(rapid.Int64Range(1, 1<<60).Draw(t, "end"),
						time.Duration(rapid.Int64Range(-1, 1<<50).Draw(t, "latency")), rapid.Bool().Draw(t, "failed"))
					v.Peers[i].Load.Begin()
				}
			}
			p := balancer.New(kind, v.Peers, balancer.Options{})
			for range min(len(v.Peers), balancer.MaxTried) {
				i := p.Pick(&v, rapid.Uint64().Draw(t, "key"))
				if i < 0 || i >= len(v.Peers) || v.Tried.Has(i) {
					t.Fatalf("picked %d of %d, tried %+v", i, len(v.Peers), v.Tried)
				}
				v.Tried.Add(i)
			}
			if i := p.Pick(&v, 0); len(v.Peers) <= balancer.MaxTried && i != -1 {
				t.Fatalf("picked %d when all were tried", i)
			}
		}))
	}
}

func TestIdlePeersShareByWeight(t *testing.T) {
	for name, kind := range kinds {
		for _, weights := range [][]float64{
			{1}, {1, 1}, {3, 1}, {1, 1, 1}, {5, 1, 1}, {0.5, 0.25, 0.25}, {7, 2.5, 0.3},
			{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, {100, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1},
		} {
			t.Run(fmt.Sprint(name, weights), func(t *testing.T) {
				total := 0.0
				for _, w := range weights {
					total += w
				}
				const n = 60_000
				for i, got := range sharesOf(kind, balancer.View{Peers: peersOf(weights...)}, n) {
					p := weights[i] / total
					// Five deviations of a fair draw, and the rounding of an order of 4096.
					if limit := 5*math.Sqrt(p*(1-p)/n) + 1.0/4096; math.Abs(got-p) > limit {
						t.Errorf("peer %d: share %.4f, want %.4f ± %.4f", i, got, p, limit)
					}
				}
			})
		}
	}
}

// Weights hold under load as well, for equal peers, whatever the fill.
func TestBusyPeersShareByWeight(t *testing.T) {
	for _, name := range []string{"peak_ewma", "least_request", "least_conn", "round_robin"} {
		for _, n := range []int{3, 12} {
			for _, rate := range []float64{2000, 6000} {
				s := &simulation{kind: kinds[name], rate: rate, length: 8 * time.Second, warmup: 2 * time.Second, seed: 5}
				for i := range n {
					s.backends = append(s.backends, &backend{service: noisy(20*time.Millisecond, 0.1)})
					s.weights = append(s.weights, float64(1+i%2))
				}
				s.run()
				total := 0.0
				for _, w := range s.weights {
					total += w
				}
				for i := range n {
					want := s.weights[i] / total
					if got := s.share(i); math.Abs(got/want-1) > 0.1 {
						t.Errorf("%s, %d peers, %v/s: peer %d has %.3f, want %.3f", name, n, rate, i, got, want)
					}
				}
			}
		}
	}
}

func TestSlowStartRaisesAPeerLinearly(t *testing.T) {
	const length = 10 * time.Second
	start := int64(time.Hour)
	for name, kind := range kinds {
		for _, n := range []int{3, 12} {
			for _, step := range []struct {
				at    time.Duration
				share float64
			}{{-time.Second, 0.05}, {0, 0.05}, {time.Second / 5, 0.05}, {length / 4, 0.25}, {length / 2, 0.5}, {length, 1}, {2 * length, 1}} {
				v := balancer.View{Peers: peersOf(make([]float64, n)...), Now: start + int64(step.at), SlowStart: length}
				for i := range v.Peers {
					v.Peers[i].Weight = 2
				}
				v.Peers[1].Since = start
				got := sharesOf(kind, v, 30_000)[1]
				want := step.share / (step.share + float64(n) - 1)
				if math.Abs(got-want) > 0.012+want*0.05 {
					t.Errorf("%s, %d peers, after %v: share %.4f, want %.4f", name, n, step.at, got, want)
				}
			}
		}
	}
}

func TestSlowStartSparesNobodyWhenAllAreNew(t *testing.T) {
	for name, kind := range kinds {
		v := balancer.View{Peers: peersOf(1, 1, 1, 1), Now: 1000e9, SlowStart: 100 * time.Second}
		for i := range v.Peers {
			// From one second to 91 in: their ramps differ by ninety times.
			v.Peers[i].Since = 909e9 + int64(i)*30e9
		}
		for i, got := range sharesOf(kind, v, 100_000) {
			if math.Abs(got-0.25) > 0.01 {
				t.Errorf("%s: peer %d has %.3f, want a quarter", name, i, got)
			}
		}
	}
}

func TestPickDoesNotAllocate(t *testing.T) {
	for name, kind := range kinds {
		for _, n := range []int{1, 3, 12} {
			v := busyView(n)
			v.SlowStart, v.Peers[0].Since = time.Minute, v.Now-1
			if n > 1 {
				v.Tried.Add(0)
			}
			p := balancer.New(kind, v.Peers, balancer.Options{})
			if got := testing.AllocsPerRun(1000, func() {
				v.Ticket++
				sink += p.Pick(v, v.Ticket)
			}); got != 0 {
				t.Errorf("%s of %d: %v allocations per pick", name, n, got)
			}
		}
	}
}

func TestLoadAndSplitDoNotAllocate(t *testing.T) {
	s := balancer.NewSplit(secret, 1, []balancer.Share{{"blue", 9950}, {"green", 50}})
	var load balancer.Load
	key, now := []byte("203.0.113.7"), int64(0)
	for name, f := range map[string]func(){
		"load":   func() { now += 1000; load.Begin(); load.End(now, time.Millisecond, now%3000 == 0) },
		"key":    func() { sink += s.ByKey(key) },
		"ticket": func() { now++; sink += s.ByTicket(uint64(now)) },
		"choose": func() {
			group, _ := s.Choose(0, s.Key(key), balancer.LiveMask(0).With(1), balancer.EmptyOther)
			sink += group
		},
	} {
		if got := testing.AllocsPerRun(1000, f); got != 0 {
			t.Errorf("%s: %v allocations", name, got)
		}
	}
}

// sink keeps results alive, so that no call is optimised away.
var sink int

// busyView is a live set of n peers with different latencies and requests in
// flight, a millisecond after the last answer.
func busyView(n int) *balancer.View {
	v := &balancer.View{Now: int64(time.Hour), SlowStart: 30 * time.Second, Peers: make([]balancer.Candidate, n)}
	rng := rand.New(rand.NewPCG(17, 18))
	for i := range v.Peers {
		l := new(balancer.Load)
		for range 1 + i%5 {
			l.Begin()
		}
		l.Begin()
		l.End(v.Now-int64(time.Millisecond), time.Duration(10+i)*time.Millisecond, false)
		v.Peers[i] = balancer.Candidate{Weight: float64(1 + i%2), Hash: rng.Uint64(), Load: l}
	}
	return v
}
