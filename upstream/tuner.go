package upstream

import (
	"math"
	"math/rand/v2"
)

// The tuner's figures. They were chosen in the simulation of tuner_internal_test.go, which holds what they promise.
const (
	// firstLimit is where a limit begins: low, since a limit that is used and too low grows within a few windows, and one that is too high makes
	// everybody wait until it has fallen.
	firstLimit = 16
	// probeShare is the part of the limit that is tried now and then. Half would tell more and cost more: with a limit a fifth above the knee, 0.6 of it leaves
	// 28 % of the peer idle for the time of the probe.
	probeShare = 0.6
	// headroom is what the limit has above the knee, and spare in requests on top. Two edges that share a peer see each other's requests in its place: theirs must
	// satisfy headroom × (1 + probeShare) / 2 < 1 to fall when the peer is full, so at most 1.25.
	headroom = 1.15
	spare    = 0.5
	// probePause is how much longer than a probe the time between two is: with 0.28 idle in a thirteenth of the time 2 % of capacity are lost.
	probePause = 12
	// A window is some batches of answers, as many as it takes to know its rate: until the standard error of the batches' durations is below precision.
	batchSize    = 32
	fewBatches   = 8
	manyBatches  = 64
	precision    = 0.06
	jitteredPart = 4 // windows are up to a quarter longer at random, so that two edges do not stay in step
	// free is the ratio of the knee to what was in flight above which nothing seems to have waited.
	free = 0.93
	// used is the part of the limit that must be in flight on average for a window to say anything about it.
	used = 0.8
	// rare is the share of refusals that is put up with while the limit is not in use on average.
	rare = 0.001
	// astray is the logarithm of what the limit should be to what it is from which on that is no noise: the next probe follows at once.
	astray = 0.2
	// shift is the logarithm of a rate's change, since the last probe, that calls for the next one before its time.
	shift = 0.2
)

// tally is what has happened at a peer so far. Differences of two are looked at, so all of it may wrap.
type tally struct {
	now   int64  // ns
	ended uint64 // attempts that ended, however
	good  uint64 // of those, with an answer that is no 5xx
	late  uint64 // of those, without an answer in time
	// refused were not let in.
	refused uint64
	area    int64 // of requests in flight over time, request × ns
}

// rate is what a window told.
type rate struct {
	good     float64 // answers per ns
	inFlight float64 // on average
	late     float64 // share of attempts
	refused  float64 // beside one attempt
	length   int64   // ns
}

func (t *tally) since(from *tally) rate {
	d := max(1, float64(t.now-from.now))
	return rate{
		good: float64(t.good-from.good) / d, inFlight: float64(t.area-from.area) / d,
		late: float64(t.late-from.late) / max(1, float64(t.ended-from.ended)), refused: float64(t.refused-from.refused) / max(1, float64(t.ended-from.ended)),
		length: t.now - from.now,
	}
}

// tuner finds how many requests at a time a peer can work on, pure, with time passed in. By Little's law a peer that gives X answers a second, each after W while none waits
// for another, works on X·W at a time: that is the knee; with more in flight they wait in the peer, with less it idles. So it measures the rate with the limit in
// use, then with a part of it, and the knee is what was in flight then times the ratio of the two rates: all of the limit where the rate fell with it, only
// that part where it stayed the same. It needs no latencies, so it does not matter how widely service times spread, as long as a window holds enough of them.
type tuner struct {
	least, most float64
	level       float64 // the limit that is thought right
	limit       int64   // the one in force: level, or a part of it during a probe
	draw        *rand.PCG

	probing  bool
	settling bool   // what is in flight is not yet what it is to be
	wake     uint64 // tally.ended at which to look again
	start    tally  // of the window
	part     tally  // of the last part of a long window
	batches  batches
	wanted   int  // batches of this window, at least
	hurry    bool // the limit is moving: probe again soon
	calm     int  // probes in a row that hardly moved it

	above rate // the last window at the whole limit
	probe rate // the last probe
	// A limit that grows without the rate growing is not growing for a reason: other edges had paused for their probes.
	grown     int
	from      float64 // the level that growth began at
	fromAbove float64 // the rate there
}

// batches sums up the durations of batches, of which their spread is known.
type batches struct {
	n        int
	sum, sq  float64
	finished int64
}

func (b *batches) add(now int64) {
	d := float64(now - b.finished)
	b.finished = now
	b.n++
	b.sum += d
	b.sq += d * d
}

// precise reports whether enough batches are known.
func (b *batches) precise(wanted int) bool {
	if b.n < wanted {
		return false
	}
	mean := b.sum / float64(b.n)
	variance := max(0, b.sq/float64(b.n)-mean*mean)
	return math.Sqrt(variance/float64(b.n-1)) <= precision*mean || b.n >= manyBatches
}

func newTuner(least, most int, seed uint64) *tuner {
	u := &tuner{draw: rand.NewPCG(seed, 1), hurry: true}
	u.bound(least, most)
	u.level = min(u.most, max(u.least, firstLimit))
	u.begin(&tally{}, 0)
	return u
}

// bound changes the bounds.
func (u *tuner) bound(least, most int) {
	u.least, u.most = float64(least), float64(most)
	u.level = min(u.most, max(u.least, u.level))
	u.limit = int64(math.Round(u.level))
}

// recall begins at a limit that was found before.
func (u *tuner) recall(level float64, now int64) {
	u.level = min(u.most, max(u.least, level))
	u.begin(&tally{now: now}, 0)
}

// begin starts a window at the level, or a probe, after as many answers as it takes until what is in flight follows.
func (u *tuner) begin(t *tally, settle float64) {
	u.limit = int64(math.Round(u.level))
	if u.probing {
		u.limit = u.lower()
	}
	u.settling = settle > 0
	u.wake = t.ended + uint64(settle)
	if !u.settling {
		u.open(t)
	}
}

// lower is the limit of a probe.
func (u *tuner) lower() int64 { return int64(math.Round(max(1, u.least, probeShare*u.level))) }

// open starts counting.
func (u *tuner) open(t *tally) {
	u.settling = false
	u.start, u.part, u.batches = *t, *t, batches{finished: t.now}
	u.wanted = fewBatches + int(u.draw.Uint64()%(fewBatches/jitteredPart+1))
	u.wake = t.ended + u.batch()
}

// batch is how many answers are one: a round of all that is in flight at least, so that batches know little of each other.
func (u *tuner) batch() uint64 { return uint64(max(batchSize, u.limit)) }

// look is called when tally.ended has reached wake.
func (u *tuner) look(t *tally) {
	if u.settling {
		u.open(t)
		return
	}
	u.wake = t.ended + u.batch()
	u.batches.add(t.now)
	if !u.over(t) {
		return
	}
	if u.resting() && u.shifted(t) { // the window is of before and after: another one
		u.calm, u.hurry = 0, true
		u.open(t)
		return
	}
	w := t.since(&u.start)
	switch {
	case w.late > 0.5: // it works on nothing of use
		u.level = max(u.least, u.level*probeShare)
		u.probing, u.hurry, u.calm, u.grown = false, true, 0, 0
		u.begin(t, u.level)
	case w.inFlight < used*float64(u.limit): // the limit limits nobody, but in bursts: those a peer that is not full can take
		if !u.probing && w.refused > rare {
			u.level = min(u.most, u.level*headroom+spare)
		}
		u.probing, u.grown = false, 0
		u.begin(t, 0)
	case u.probing:
		u.probe = w
		u.settle()
		u.probing = false
		u.begin(t, float64(u.limit))
	case u.lower() >= u.limit:
		u.level = min(u.most, u.level+1)
		u.begin(t, u.level)
	default:
		u.above = w
		u.probing = true
		u.begin(t, 2*float64(u.limit)) // the difference runs off, then a round
	}
}

// resting reports a window between two probes of a limit that has settled.
func (u *tuner) resting() bool { return !u.probing && !u.hurry && u.probe.length > 0 }

// shifted reports that the last part of a long window is not like the one before the last probe.
func (u *tuner) shifted(t *tally) bool {
	return math.Abs(math.Log(t.since(&u.part).good/u.above.good)) > shift
}

// over reports whether the window is long enough, or a part of it that has shifted.
func (u *tuner) over(t *tally) bool {
	if !u.batches.precise(u.wanted) {
		return false
	}
	if !u.resting() {
		return true
	}
	if t.now-u.part.now < u.probe.length {
		return false
	}
	pause := u.probe.length * probePause
	pause += int64(u.draw.Uint64() % uint64(pause/jitteredPart+1))
	if t.now-u.start.now >= pause || u.shifted(t) {
		return true
	}
	u.part = *t
	return false
}

// settle moves the level by what a window and the probe after it have told.
func (u *tuner) settle() {
	knee := u.probe.inFlight * u.above.good / max(u.probe.good, math.SmallestNonzeroFloat64)
	target := knee*headroom + spare
	far := math.Log(target / u.level)
	if u.calm++; math.Abs(far) > astray {
		u.calm = 0
	}
	u.hurry = u.calm < 2
	if knee/u.above.inFlight > free {
		u.grow(target)
	} else {
		if far < 0 {
			u.grown = 0
		}
		if math.Abs(far) < 2*astray { // a part of the way, since most of it is noise; less downwards, where an error costs more
			far *= 0.5
			if far < 0 {
				far *= 0.7
			}
		}
		u.level *= math.Exp(far)
	}
	u.level = min(u.most, max(u.least, u.level))
}

// grow raises a level at which nothing waits, faster the longer that goes on, and takes it back when the rate has not followed.
func (u *tuner) grow(target float64) {
	if u.grown == 0 {
		u.from, u.fromAbove = u.level, u.above.good
	}
	if u.grown >= 2 && u.above.good/u.fromAbove < 1+0.4*(u.level/u.from-1) {
		u.level, u.grown = u.from, 0
		return
	}
	u.grown++
	factor := headroom
	if u.grown > 1 {
		factor = 1.3
	}
	if u.grown > 2 {
		factor = 1.5
	}
	u.level = max(u.level*factor, min(u.level+1, target))
}
