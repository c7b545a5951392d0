package balancer_test

import (
	"container/heap"
	"math"
	"math/rand/v2"
	"time"

	"github.com/valor-ivx/weir/balancer"
)

// backend is one simulated peer. service draws how long the next request keeps a
// worker busy and whether it fails, given the virtual time.
type backend struct {
	service func(now time.Duration, rng *rand.Rand) (time.Duration, bool)
	// workers bounds what runs at once; the rest queue in order. 0: no bound.
	workers int

	load    balancer.Load
	free    []time.Duration
	picked  int
	recent  []time.Duration
	failed  int
	maxLoad int64
}

// simulation plays Poisson arrivals against backends in virtual time.
type simulation struct {
	kind      balancer.Kind
	backends  []*backend
	weights   []float64
	rate      float64
	length    time.Duration
	warmup    time.Duration
	seed      uint64
	burst     int
	latencies []time.Duration
}

type completion struct {
	at, latency time.Duration
	peer        int
	failed      bool
}

type completions []completion

func (c completions) Len() int           { return len(c) }
func (c completions) Less(i, j int) bool { return c[i].at < c[j].at }
func (c completions) Swap(i, j int)      { c[i], c[j] = c[j], c[i] }
func (c *completions) Push(x any)        { *c = append(*c, x.(completion)) }
func (c *completions) Pop() any {
	last := (*c)[len(*c)-1]
	*c = (*c)[:len(*c)-1]
	return last
}

func (s *simulation) run() *simulation {
	rng := rand.New(rand.NewPCG(s.seed, 1))
	peers := make([]balancer.Candidate, len(s.backends))
	for i, b := range s.backends {
		peers[i] = balancer.Candidate{Weight: 1, Hash: rng.Uint64(), Load: &b.load}
		if s.weights != nil {
			peers[i].Weight = s.weights[i]
		}
		b.free = make([]time.Duration, b.workers)
	}
	policy := balancer.New(s.kind, peers, balancer.Options{})
	view := balancer.View{Peers: peers}
	var pending completions
	for now := time.Duration(0); now < s.length; {
		for len(pending) > 0 && pending[0].at <= now {
			c := heap.Pop(&pending).(completion)
			s.backends[c.peer].load.End(1+int64(c.at), c.latency, c.failed)
		}
		view.Ticket++
		view.Now = 1 + int64(now)
		i := policy.Pick(&view, 0)
		c := s.backends[i].serve(now, rng)
		c.peer = i
		heap.Push(&pending, c)
		if now >= s.warmup {
			s.backends[i].picked++
			s.backends[i].recent = append(s.backends[i].recent, now)
			s.latencies = append(s.latencies, c.latency)
			if c.failed {
				s.backends[i].failed++
			}
		}
		if s.burst > 0 {
			s.burst--
			continue
		}
		now += time.Duration(rng.ExpFloat64() / s.rate * 1e9)
	}
	return s
}

func (b *backend) serve(now time.Duration, rng *rand.Rand) completion {
	b.load.Begin()
	b.maxLoad = max(b.maxLoad, b.load.InFlight())
	busy, failed := b.service(now, rng)
	start := now
	if b.workers > 0 {
		w := 0
		for i := range b.free {
			if b.free[i] < b.free[w] {
				w = i
			}
		}
		start = max(start, b.free[w])
		b.free[w] = start + busy
	}
	end := start + busy
	return completion{at: end, latency: end - now, failed: failed}
}

// share is the part of the measured requests that backend i served.
func (s *simulation) share(i int) float64 {
	return float64(s.backends[i].picked) / float64(len(s.latencies))
}

// shareIn is share over one stretch of virtual time.
func (s *simulation) shareIn(i int, from, to time.Duration) float64 {
	all, own := 0, 0
	for j, b := range s.backends {
		for _, t := range b.recent {
			if t >= from && t < to {
				all++
				if j == i {
					own++
				}
			}
		}
	}
	return float64(own) / float64(all)
}

func (s *simulation) mean() time.Duration {
	sum := time.Duration(0)
	for _, l := range s.latencies {
		sum += l
	}
	return sum / time.Duration(len(s.latencies))
}

func steady(d time.Duration) func(time.Duration, *rand.Rand) (time.Duration, bool) {
	return func(time.Duration, *rand.Rand) (time.Duration, bool) { return d, false }
}

// noisy is log-normal around a median, sigma in natural units.
func noisy(median time.Duration, sigma float64) func(time.Duration, *rand.Rand) (time.Duration, bool) {
	return func(_ time.Duration, rng *rand.Rand) (time.Duration, bool) {
		return time.Duration(float64(median) * math.Exp(sigma*rng.NormFloat64())), false
	}
}

// changing behaves like before until at, like after from then on.
func changing(at time.Duration, before, after func(time.Duration, *rand.Rand) (time.Duration, bool)) func(time.Duration, *rand.Rand) (time.Duration, bool) {
	return func(now time.Duration, rng *rand.Rand) (time.Duration, bool) {
		if now < at {
			return before(now, rng)
		}
		return after(now, rng)
	}
}

// refusing fails fast.
func refusing(time.Duration, *rand.Rand) (time.Duration, bool) { return time.Millisecond, true }
