package balancer_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/valor-ivx/weir/balancer"
)

// fewer is a number of simulated runs, a fifth of it where time is short: the bounds below hold for either, with the room that chance needs.
func fewer(runs int) int {
	if testing.Short() {
		return runs / 5
	}
	return runs
}

// steps of a usual rollout, as shares.
var ramp = []float64{0.01, 0.05, 0.25, 0.5}

// null plays a rollout whose green is theta times as bad as the rest, through a ramp, with bad events that come in waves: their number at each step has nothing to do
// with the one before. It returns the highest the evidence ever was, looked at after every event.
func null(rng *rand.Rand, theta float64, events int) float64 {
	e := balancer.NewEvidence(1.5)
	highest := 0.0
	for _, w := range ramp {
		p := w * theta / (w*theta + 1 - w)
		others := uint64(0)
		for range rng.IntN(2 * events / len(ramp)) {
			if rng.Float64() >= p {
				others++
				continue
			}
			e.Observe(w, 1, others) // only green's own can raise it: nothing is missed by looking after those
			others = 0
			highest = max(highest, e.Log())
		}
		e.Observe(w, 0, others)
	}
	return highest
}

func TestEvidenceAgainstAnEqualGroupIsRare(t *testing.T) {
	for _, theta := range []float64{1, 1.2, 1.5} { // up to the tolerated ratio
		runs := fewer(2000)
		rng := rand.New(rand.NewPCG(1, uint64(theta*10)))
		var fives, permilles int
		for range runs {
			h := null(rng, theta, 400)
			if h >= math.Log(1/0.05) {
				fives++
			}
			if h >= math.Log(1/0.001) {
				permilles++
			}
		}
		// Ville's bound is on the probability: the counts may pass it by chance, four deviations of theirs.
		n := float64(runs)
		if most := n*0.05 + 4*math.Sqrt(n*0.05); float64(fives) > most {
			t.Errorf("ratio %v: %d of %d reached 1/0.05", theta, fives, runs)
		}
		if most := n*0.001 + 4*math.Sqrt(n*0.001); float64(permilles) > most {
			t.Errorf("ratio %v: %d of %d reached 1/0.001", theta, permilles, runs)
		}
		t.Logf("ratio %v: %d of %d reached 1/0.05, %d reached 1/0.001", theta, fives, runs, permilles)
	}
}

// Shares that are dealt exactly per block are no independent draws. Here nearly every request is bad, the worst case of that, and the rate of errors swings.
func TestEvidenceOnExactShares(t *testing.T) {
	runs := fewer(1000)
	rng := rand.New(rand.NewPCG(2, 2))
	var reached int
	for run := range runs {
		e := balancer.NewEvidence(1)
		highest := 0.0
		var ticket uint64
		for _, percent := range []uint32{1, 5, 25, 50} {
			s := balancer.NewSplit(secret, uint64(run), []balancer.Share{{"blue", balancer.WeightSum - 100*percent}, {"green", 100 * percent}})
			bad := 0.1 + 0.9*rng.Float64()
			others := uint64(0)
			for range 300 {
				ticket++
				switch green := s.ByTicket(ticket) == 1; {
				case rng.Float64() >= bad:
				case green:
					e.Observe(float64(percent)/100, 1, others)
					others = 0
					highest = max(highest, e.Log())
				default:
					others++
				}
			}
			e.Observe(float64(percent)/100, 0, others)
		}
		if highest >= math.Log(1/0.05) {
			reached++
		}
	}
	if reached > runs*5/100 {
		t.Errorf("%d of %d reached 1/0.05", reached, runs)
	}
	t.Logf("%d of %d reached 1/0.05", reached, runs)
}

// detection is one rollout at a constant share: Poisson bad events of both groups, looked at after each. It returns when the evidence had reached the threshold and how
// many requests green had served by then.
func detection(rng *rand.Rand, c trial) (after time.Duration, green float64) {
	e := balancer.NewEvidence(1.5)
	blueRate, greenRate := c.rps*(1-c.share)*c.blue, c.rps*c.share*c.green
	seconds := 0.0
	for e.Log() < math.Log(1/0.001)-math.Log(c.part) && seconds < 3600 {
		seconds += rng.ExpFloat64() / (blueRate + greenRate)
		if rng.Float64()*(blueRate+greenRate) < greenRate {
			e.Observe(c.share, 1, 0)
		} else {
			e.Observe(c.share, 0, 1)
		}
	}
	return time.Duration(seconds * float64(time.Second)), seconds * c.rps * c.share
}

// trial is a line of the simulation table, with a little room; part is the metric's part in the mean of several.
type trial struct {
	share, blue, green, rps, part float64
	median, p95                   time.Duration
}

func TestEvidenceDetects(t *testing.T) {
	const runs = 2000
	for i, c := range []trial{
		{0.05, 0.001, 0.05, 1000, 1, 1600 * time.Millisecond, 4200 * time.Millisecond},
		{0.05, 0.001, 0.05, 1000, 0.8, 2 * time.Second, 4600 * time.Millisecond},
		{0.05, 0.001, 0.05, 100, 1, 16 * time.Second, 42 * time.Second},
		{0.05, 0.0001, 1, 100, 1, 800 * time.Millisecond, 1600 * time.Millisecond},
		{0.05, 0.001, 0.01, 1000, 1, 20 * time.Second, 45 * time.Second},
		{0.50, 0.001, 0.01, 1000, 1, 6 * time.Second, 12 * time.Second},
		{0.05, 0.001, 0.005, 1000, 1, 80 * time.Second, 170 * time.Second},
	} {
		rng := rand.New(rand.NewPCG(3, uint64(i)))
		times, served := make([]time.Duration, runs), make([]float64, runs)
		for j := range runs {
			times[j], served[j] = detection(rng, c)
		}
		slices.Sort(times)
		slices.Sort(served)
		median, p95 := times[runs/2], times[runs*95/100]
		t.Logf("share %v, %v %% → %v %%, %v/s, part %v: median %v, p95 %v, %.0f green requests", c.share, 100*c.blue, 100*c.green, c.rps, c.part,
			median.Round(10*time.Millisecond), p95.Round(10*time.Millisecond), served[runs/2])
		if median > c.median || p95 > c.p95 {
			t.Errorf("share %v, %v → %v: median %v, p95 %v, at most %v, %v", c.share, c.blue, c.green, median, p95, c.median, c.p95)
		}
	}
}

func TestEvidenceOrderAndState(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tolerated := rapid.Float64Range(1, 5).Draw(t, "tolerated")
		type lot struct {
			w             float64
			green, others uint64
		}
		lots := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) lot {
			return lot{rapid.Float64Range(0, 1).Draw(t, "w"), rapid.Uint64Max(50).Draw(t, "green"), rapid.Uint64Max(50).Draw(t, "others")}
		}), 1, 20).Draw(t, "lots")
		whole, back := balancer.NewEvidence(tolerated), balancer.NewEvidence(tolerated)
		first, second := balancer.NewEvidence(tolerated), balancer.NewEvidence(tolerated)
		for i, l := range lots {
			whole.Observe(l.w, l.green, l.others)
			r := lots[len(lots)-1-i]
			back.Observe(r.w, r.green, 0)
			back.Observe(r.w, 0, r.others)
			if i%2 == 0 {
				first.Observe(l.w, l.green, l.others)
			} else {
				second.Observe(l.w, l.green, l.others)
			}
		}
		near := func(what string, a, b float64) {
			if math.IsNaN(a) || math.Abs(a-b) > 1e-6*(1+math.Abs(a)) {
				t.Fatalf("%s: %v and %v", what, a, b)
			}
		}
		near("another order", whole.Log(), back.Log())
		first.Add(second)
		near("two edges", whole.Log(), first.Log())
		again, err := balancer.RestoreEvidence(tolerated, whole.State())
		if err != nil || again.Log() != whole.Log() {
			t.Fatalf("restored %v, %v", again.Log(), err)
		}
		before := whole.Log()
		whole.Observe(0.5, 1, 0)
		if whole.Log() <= before {
			t.Fatal("a bad event of green is no evidence against it")
		}
	})
	for _, state := range [][]float64{nil, {1}, make([]float64, 11), append(make([]float64, 9), math.NaN()), append(make([]float64, 9), math.Inf(1))} {
		if _, err := balancer.RestoreEvidence(1.5, state); err == nil {
			t.Errorf("%v was restored", state)
		}
	}
}

func TestEvidenceOfNobodyToCompareWith(t *testing.T) {
	e := balancer.NewEvidence(1.5)
	e.Observe(0, 5, 5)
	e.Observe(1, 1000, 0)
	if e.Log() != 0 {
		t.Errorf("%v", e.Log())
	}
}

func TestMeanLog(t *testing.T) {
	for _, c := range []struct{ weights, logs []float64 }{
		{[]float64{1}, []float64{3}}, {[]float64{0.5, 0.5}, []float64{0, 0}}, {[]float64{0.8, 0.1, 0.1}, []float64{5, -3, 2}}, {[]float64{0.5, 0.5}, []float64{900, -900}},
	} {
		want := 0.0
		for i, l := range c.logs {
			want += c.weights[i] * math.Exp(l-c.logs[0])
		}
		if got := balancer.MeanLog(c.weights, c.logs); math.Abs(got-math.Log(want)-c.logs[0]) > 1e-9 {
			t.Errorf("%v of %v: %v", c.weights, c.logs, got)
		}
	}
}
