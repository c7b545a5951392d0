package rollout_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/valor-ivx/weir/balancer"
	"github.com/valor-ivx/weir/proxy/rollout"
)

// world is simulated traffic in front of a Machine, in virtual time.
type world struct {
	rng *rand.Rand
	m   *rollout.Machine
	now int64

	rps         float64
	blue, green float64             // rates of failure
	slow        float64             // green's rate of slow answers over blue's
	shift       func(i int) float64 // multiplies rates of both groups and the traffic; nil: 1
	greenDead   bool
	bluesDead   bool

	moves []uint32 // weights that were put in force
	ticks int
}

func options() rollout.Options {
	return rollout.Options{
		Steps: []uint32{100, 500, 2500, 5000, 10000}, Hold: 10 * time.Second, Bake: 20 * time.Second,
		Tolerance: 1.5, Alpha: 0.001, MaxHarm: 50, MinEffect: 0.01, Latency: true,
	}
}

func begin(t testing.TB, o rollout.Options) *rollout.Machine {
	t.Helper()
	s, err := rollout.Begin("", "ann", map[string]uint32{"blue": 10000, "green": 0}, o)
	if err != nil {
		t.Fatal(err)
	}
	m, err := rollout.NewMachine(s)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func newWorld(t testing.TB, seed uint64) *world {
	return &world{rng: rand.New(rand.NewPCG(seed, 7)), m: begin(t, options()), now: int64(time.Hour), rps: 1000, blue: 0.001, green: 0.001, slow: 1}
}

const step = 100 * time.Millisecond

// poisson draws a count; where the mean is large, by the normal distribution that it comes to.
func (w *world) poisson(mean float64) (n uint64) {
	if mean > 30 {
		return uint64(max(0, math.Round(mean+math.Sqrt(mean)*w.rng.NormFloat64())))
	}
	for at := w.rng.ExpFloat64(); at < mean; at += w.rng.ExpFloat64() {
		n++
	}
	return n
}

// side draws what a group with a part of the traffic did in one step.
func (w *world) side(requests, rate, slow float64) rollout.Count {
	c := rollout.Count{Requests: w.poisson(requests)}
	c.Errors = min(c.Requests, w.poisson(float64(c.Requests)*rate))
	c.Failed = c.Errors
	c.Slow95 = min(c.Requests, w.poisson(float64(c.Requests)*0.05*slow))
	c.Slow99 = min(c.Slow95, w.poisson(float64(c.Requests)*0.01*slow))
	return c
}

// tick is one step of virtual time. It carries out at once what is due, and reports whether the rollout goes on.
func (w *world) tick() bool {
	w.ticks++
	w.now += int64(step)
	s := w.m.State()
	factor := 1.0
	if w.shift != nil {
		factor = w.shift(w.ticks)
	}
	requests := w.rps * factor * step.Seconds()
	sample := rollout.Sample{GreenLive: !w.greenDead, OthersLive: !w.bluesDead}
	if s.Tally.Limits == (rollout.Limits{}) {
		sample.Latencies = make([]uint64, balancer.LatencyBuckets)
		sample.Latencies[100] = uint64(w.ticks) * 100
	}
	if share := float64(s.Share()) / balancer.WeightSum; s.Step > 0 && requests > 0 {
		sample.Lots = []rollout.Lot{{
			Share: share, Step: s.Step,
			Green:  w.side(requests*share, min(1, w.green*factor), w.slow*factor),
			Others: w.side(requests*(1-share), min(1, w.blue*factor), factor),
		}}
	}
	next, changed := w.m.Step(w.now, sample)
	if changed {
		w.m.Accept(next)
		if now := w.m.State(); len(w.moves) == 0 || w.moves[len(w.moves)-1] != now.Share() {
			w.moves = append(w.moves, now.Share())
		}
	}
	return !next.Phase.Over()
}

// play goes on until the end or a limit of virtual time.
func (w *world) play(limit time.Duration) rollout.State {
	for w.ticks < int(limit/step) && w.tick() {
	}
	return w.m.State()
}
