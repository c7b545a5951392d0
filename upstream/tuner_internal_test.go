package upstream

import (
	"cmp"
	"container/heap"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// station is a peer with some workers and a queue in it, before which edges with tuners admit what arrives, in simulated time (ns). What is above the limit is refused.
type station struct {
	draw    *rand.Rand
	service func() float64 // ns
	workers int
	edges   []*simEdge

	now    int64
	busy   int
	queue  []simEvent
	events simEvents
}

// simEdge is one edge's requests at the station.
type simEdge struct {
	tuner    *tuner
	rate     float64 // arrivals per ns
	inFlight int64
	sum      int64 // of ends less that of beginnings
	ended    uint64
	refused  uint64
	latency  []float64
}

type simEvent struct {
	at    int64
	edge  int
	began int64 // of an ending; -1: an arrival
}

type simEvents []simEvent

func (l simEvents) Len() int           { return len(l) }
func (l simEvents) Less(i, j int) bool { return l[i].at < l[j].at }
func (l simEvents) Swap(i, j int)      { l[i], l[j] = l[j], l[i] }
func (l *simEvents) Push(x any)        { *l = append(*l, x.(simEvent)) }
func (l *simEvents) Pop() any {
	old := *l
	last := old[len(old)-1]
	*l = old[:len(old)-1]
	return last
}

const simWork = 40 * time.Millisecond

// spread is a service time of mean simWork whose standard deviation is cv times the mean, log-normal.
func spread(draw *rand.Rand, cv float64) func() float64 {
	variance := math.Log1p(cv * cv)
	mu := math.Log(float64(simWork)) - variance/2
	return func() float64 { return math.Exp(mu + math.Sqrt(variance)*draw.NormFloat64()) }
}

// newStation has some edges that together bring load times what the workers can do.
func newStation(seed uint64, workers, edges int, load, cv float64) *station {
	s := &station{draw: rand.New(rand.NewPCG(seed, 7)), workers: workers}
	s.service = spread(s.draw, cv)
	for i := range edges {
		s.edges = append(s.edges, &simEdge{tuner: newTuner(1, 1000, uint64(i)), rate: load * float64(workers) / float64(simWork) / float64(edges)})
		heap.Push(&s.events, simEvent{0, i, -1})
	}
	return s
}

func (s *station) serve(e simEvent) {
	s.busy++
	heap.Push(&s.events, simEvent{s.now + int64(s.service()) + 1, e.edge, e.began})
}

// staff changes the number of workers.
func (s *station) staff(workers int) {
	s.workers = workers
	for s.busy < s.workers && len(s.queue) > 0 {
		s.serve(s.queue[0])
		s.queue = s.queue[1:]
	}
}

// run plays until the given time.
func (s *station) run(until time.Duration) {
	for s.events[0].at < int64(until) {
		x := heap.Pop(&s.events).(simEvent)
		s.now = x.at
		e := s.edges[x.edge]
		if x.began < 0 {
			heap.Push(&s.events, simEvent{s.now + int64(s.draw.ExpFloat64()/e.rate) + 1, x.edge, -1})
			if e.inFlight >= e.tuner.limit {
				e.refused++
				continue
			}
			e.inFlight++
			e.sum -= s.now
			admitted := simEvent{0, x.edge, s.now}
			if s.busy < s.workers {
				s.serve(admitted)
			} else {
				s.queue = append(s.queue, admitted)
			}
			continue
		}
		e.inFlight--
		e.sum += s.now
		e.ended++
		e.latency = append(e.latency, float64(s.now-x.began))
		s.busy--
		s.staff(s.workers)
		if e.ended >= e.tuner.wake {
			e.tuner.look(&tally{now: s.now, ended: e.ended, good: e.ended, refused: e.refused, area: e.sum + e.inFlight*s.now})
		}
	}
	s.now = int64(until)
}

// level is the sum of the edges' levels.
func (s *station) level() (sum float64) {
	for _, e := range s.edges {
		sum += e.tuner.level
	}
	return sum
}

// measured plays for d more and tells the share of what the workers can do, and the p99 latency as a multiple of that of their work alone.
func (s *station) measured(d time.Duration) (share, tail float64) {
	for _, e := range s.edges {
		e.latency = e.latency[:0]
	}
	s.run(time.Duration(s.now) + d)
	var latencies []float64
	for _, e := range s.edges {
		latencies = append(latencies, e.latency...)
	}
	work := make([]float64, 50000)
	for i := range work {
		work[i] = s.service()
	}
	return float64(len(latencies)) / (float64(s.workers) * float64(d) / float64(simWork)), percentile99(latencies) / percentile99(work)
}

func percentile99[T cmp.Ordered](list []T) T {
	slices.Sort(list)
	return list[int(math.Ceil(0.99*float64(len(list))))-1]
}

// TestTunerAtThreeTimesCapacity is the promise under overload, for peers of many sizes, alone or shared by two edges, whose service times spread up to three times their mean: what is
// answered is what the peer can do, in little more than its own time, and the limit does not fall below what the peer can work on. Seeds are fixed.
func TestTunerAtThreeTimesCapacity(t *testing.T) {
	for _, c := range []struct {
		edges, workers int
		cv             float64
		share, tail    float64
	}{
		{1, 4, 0, 0.95, 2}, {1, 4, 1, 0.93, 2}, {1, 4, 3, 0.85, 2}, {1, 16, 0, 0.95, 2}, {1, 16, 1, 0.95, 2}, {1, 16, 3, 0.9, 2},
		{1, 64, 0, 0.95, 2}, {1, 64, 1, 0.95, 2}, {1, 64, 3, 0.92, 2}, {2, 16, 0, 0.95, 2}, {2, 16, 1, 0.95, 2}, {2, 16, 3, 0.92, 2}, {2, 64, 1, 0.95, 2},
	} {
		if testing.Short() && (c.cv != 1 || c.workers != 16) {
			continue
		}
		s := newStation(uint64(c.workers), c.workers, c.edges, 3, c.cv)
		s.run(max(90*time.Second, 12*time.Minute/time.Duration(c.workers))) // until it has settled
		low, high, share, tail := math.Inf(1), 0.0, 0.0, 0.0
		const parts, answers = 10, 50000
		for range parts {
			a, b := s.measured(simWork * time.Duration(answers/parts/c.workers))
			share, tail = share+a/parts, tail+b/parts
			low, high = min(low, s.level()/float64(c.workers)), max(high, s.level()/float64(c.workers))
		}
		t.Logf("%d edges, %3d workers, spread %.1f: %.1f %% of capacity, p99 %.2f times the work's; limit %.2f to %.2f per worker", c.edges, c.workers, c.cv, 100*share, tail, low, high)
		if share < c.share || tail > c.tail || low < 0.8 {
			t.Errorf("%d edges, %d workers, spread %.1f: %.1f %% of capacity, p99 %.2f times the work's, limit down to %.2f per worker", c.edges, c.workers, c.cv, 100*share, tail, low)
		}
	}
}

// TestTunerFollows: the limit follows a peer that loses three quarters of its workers, and gets them back, within 30,000 answers.
func TestTunerFollows(t *testing.T) {
	for _, cv := range []float64{0.5, 1} {
		if testing.Short() && cv == 1 {
			continue
		}
		s := newStation(3, 16, 1, 12, cv)
		s.run(time.Minute)
		for _, workers := range []int{4, 16, 64, 16} {
			s.staff(workers)
			before, from := s.edges[0].ended, time.Duration(s.now)
			for {
				s.run(time.Duration(s.now) + time.Second)
				if l := s.level() / float64(workers); l > 0.95 && l < 1.8 {
					break
				}
				if s.edges[0].ended-before > 30000 {
					t.Fatalf("spread %.1f: with %d workers the limit is %.1f after %v", cv, workers, s.level(), time.Duration(s.now)-from)
				}
			}
			t.Logf("spread %.1f: %d workers after %v and %d answers", cv, workers, time.Duration(s.now)-from, s.edges[0].ended-before)
			s.run(time.Duration(s.now) + 2*time.Minute)
		}
	}
}

// TestTunerLeavesLightLoadsAlone: where the peer is not full hardly anybody is refused, also of a peer that is larger than the first limit.
func TestTunerLeavesLightLoadsAlone(t *testing.T) {
	for _, load := range []float64{0.2, 0.5, 0.7} {
		if testing.Short() && load != 0.5 {
			continue
		}
		s := newStation(5, 128, 1, load, 1)
		s.run(time.Minute)
		e := s.edges[0]
		before, ended := e.refused, e.ended
		s.run(2 * time.Minute)
		if share := float64(e.refused-before) / float64(e.ended-ended); share > 0.003 {
			t.Errorf("load %.1f: %.2f %% refused with a limit of %.0f", load, 100*share, e.tuner.level)
		}
	}
}

// TestTunerFallsWhenNothingIsInTime: a peer whose answers are all late gets less and less.
func TestTunerFallsWhenNothingIsInTime(t *testing.T) {
	u := newTuner(2, 1000, 1)
	x := tally{now: 1}
	for range 3000 {
		x.now += int64(time.Millisecond)
		x.ended++
		x.late++
		x.area += int64(time.Millisecond) * u.limit
		if x.ended >= u.wake {
			u.look(&x)
		}
	}
	if u.limit != 2 {
		t.Errorf("limit %d", u.limit)
	}
}

// TestTunerKeepsItsBounds: whatever it is told, the limit is within its bounds and the next look is due.
func TestTunerKeepsItsBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		least := rapid.IntRange(1, 50).Draw(t, "least")
		most := rapid.IntRange(least, 100).Draw(t, "most")
		u := newTuner(least, most, rapid.Uint64().Draw(t, "seed"))
		x := tally{now: rapid.Int64().Draw(t, "now"), area: rapid.Int64().Draw(t, "area")}
		for range rapid.IntRange(1, 400).Draw(t, "steps") {
			n := rapid.Uint64Range(1, 400).Draw(t, "ended")
			step := rapid.Int64Range(0, int64(time.Second)).Draw(t, "time")
			x.now += step
			x.area += step * rapid.Int64Range(0, 2*u.limit).Draw(t, "in flight")
			x.ended += n
			x.good += rapid.Uint64Range(0, n).Draw(t, "good")
			x.late += rapid.Uint64Range(0, n).Draw(t, "late")
			x.refused += rapid.Uint64Range(0, n).Draw(t, "refused")
			if x.ended < u.wake {
				continue
			}
			u.look(&x)
			if u.limit < int64(least) || u.limit > int64(most) || math.IsNaN(u.level) {
				t.Fatalf("limit %d, level %v", u.limit, u.level)
			}
			if u.wake < x.ended || u.wake > x.ended+uint64(2*most+batchSize) {
				t.Fatalf("the next look is at %d, now is %d", u.wake, x.ended)
			}
		}
	})
}

// TestGovernorUnderRace: many at once never exceed the limit and the books are even at the end.
func TestGovernorUnderRace(t *testing.T) {
	g := newGovernor(&AdaptiveOptions{Min: 3, Max: 3}, 1)
	var inside, entered atomic.Int64
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			for i := range int64(3000) {
				if !g.enter(i) {
					continue
				}
				entered.Add(1)
				if n := inside.Add(1); n > 3 {
					t.Errorf("%d at once", n)
				}
				inside.Add(-1)
				g.leave(i, Outcome(i%int64(Outrun+1)))
			}
		})
	}
	all.Wait()
	if g.inFlight.Load() != 0 || entered.Load()+int64(g.refused.Load()) != 16*3000 {
		t.Errorf("%d in flight, %d entered, %d refused", g.inFlight.Load(), entered.Load(), g.refused.Load())
	}
	g.release()
	for range 100 {
		if !g.enter(1) {
			t.Fatal("refused after release")
		}
	}
}

func BenchmarkGovernor(b *testing.B) {
	g := newGovernor(&AdaptiveOptions{Min: 1, Max: 1000}, 1)
	b.ReportAllocs()
	now := int64(0)
	for b.Loop() {
		now += 1000
		if !g.enter(now) {
			b.Fatal("full")
		}
		g.leave(now+500, Success)
	}
}
