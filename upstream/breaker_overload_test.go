package upstream_test

import (
	"container/heap"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/valor-ivx/weir/upstream"
)

// arrival is a request of the simulation; ending is when it leaves its slot.
type arrival struct {
	at, ending int64
	priority   upstream.Priority
	w          *upstream.Waiter
}

// leaving is a heap of requests in service by when they end.
type leaving []*arrival

func (l leaving) Len() int           { return len(l) }
func (l leaving) Less(i, j int) bool { return l[i].ending < l[j].ending }
func (l leaving) Swap(i, j int)      { l[i], l[j] = l[j], l[i] }
func (l *leaving) Push(x any)        { *l = append(*l, x.(*arrival)) }
func (l *leaving) Pop() any {
	old := *l
	last := old[len(old)-1]
	*l = old[:len(old)-1]
	return last
}

// flood plays Poisson arrivals at a rate against a breaker before as many workers as it has slots, in simulated time.
type flood struct {
	b       *upstream.Breaker
	options upstream.BreakerOptions
	work    int64
	rate    float64 // of the workers' capacity
	draw    *rand.Rand
	mix     func(u float64) upstream.Priority

	now     int64
	serving leaving
	waiting []*arrival // the oldest first
	offered [upstream.Priorities]int
	served  [upstream.Priorities][]int64 // latencies
}

func (f *flood) serve(a *arrival) {
	a.ending = f.now + f.work
	heap.Push(&f.serving, a)
}

// settle takes those out of the line who were called or whose time is over.
func (f *flood) settle() {
	kept := f.waiting[:0]
	for _, a := range f.waiting {
		select {
		case in := <-a.w.Called:
			if in {
				f.serve(a)
			}
			continue
		default:
		}
		if f.now-a.at >= int64(f.options.QueueTimeout) && f.b.Withdraw(a.w, f.now) {
			continue
		}
		kept = append(kept, a)
	}
	f.waiting = kept
}

func (f *flood) run(d time.Duration) {
	f.b = upstream.NewBreaker(f.options)
	capacity := float64(f.options.MaxRequests) / float64(f.work)
	next := 1.0
	for until := float64(d); next < until; {
		if len(f.serving) > 0 && float64(f.serving[0].ending) <= next {
			a := heap.Pop(&f.serving).(*arrival)
			f.now = a.ending
			f.served[a.priority] = append(f.served[a.priority], f.now-a.at)
			if f.b.Leave() {
				f.b.Call(f.now)
			}
			f.settle()
			continue
		}
		f.now = int64(next)
		next += f.draw.ExpFloat64() / (capacity * f.rate)
		a := &arrival{at: f.now, priority: f.mix(f.draw.Float64()), w: upstream.NewWaiter()}
		f.offered[a.priority]++
		if f.b.Enter(a.priority) {
			f.serve(a)
			continue
		}
		switch f.b.Queue(a.w, a.priority, f.now) {
		case upstream.Entered:
			f.serve(a)
		case upstream.Queued:
			f.waiting = append(f.waiting, a)
		}
		f.settle()
	}
}

func p99(latencies []int64) time.Duration {
	slices.Sort(latencies)
	return time.Duration(latencies[int(math.Ceil(0.99*float64(len(latencies))))-1])
}

// TestBreakerAtThreeTimesCapacity is the promise under overload, free of any machine's noise: what is served is what the workers can do, and in little more than their own time.
func TestBreakerAtThreeTimesCapacity(t *testing.T) {
	const seconds = 30
	work := 40 * time.Millisecond
	f := &flood{
		options: upstream.BreakerOptions{MaxRequests: 16, MaxQueue: 256, QueueTimeout: time.Second}, work: int64(work), rate: 3,
		draw: rand.New(rand.NewPCG(1, 2)), mix: func(float64) upstream.Priority { return upstream.Normal },
	}
	f.run(seconds * time.Second)
	share := float64(len(f.served[upstream.Normal])) / (seconds * 16 / work.Seconds())
	tail := p99(f.served[upstream.Normal])
	t.Logf("%.1f %% of capacity, p99 %v for work of %v", 100*share, tail, work)
	if share < 0.98 || tail > 2*work {
		t.Errorf("%.1f %% of capacity, p99 %v", 100*share, tail)
	}
}

// TestBreakerServesTheImportantAtThreeTimesCapacity: the more important are served as if the others were not there.
func TestBreakerServesTheImportantAtThreeTimesCapacity(t *testing.T) {
	work := 40 * time.Millisecond
	f := &flood{
		options: upstream.BreakerOptions{MaxRequests: 40, MaxQueue: 256, QueueTimeout: time.Second, Used: [upstream.Priorities]bool{upstream.Critical: true, upstream.Normal: true, upstream.Low: true}},
		work:    int64(work), rate: 3, draw: rand.New(rand.NewPCG(3, 4)),
		mix: func(u float64) upstream.Priority { // of capacity: 6 % critical, 60 % normal, 234 % low
			switch {
			case u < 0.02:
				return upstream.Critical
			case u < 0.22:
				return upstream.Normal
			}
			return upstream.Low
		},
	}
	f.run(30 * time.Second)
	if all := float64(len(f.served[upstream.Critical])+len(f.served[upstream.Normal])+len(f.served[upstream.Low])) / (30 * 40 / work.Seconds()); all < 0.9 {
		t.Errorf("%.1f %% of capacity", 100*all)
	}
	for p, least := range map[upstream.Priority]float64{upstream.Critical: 0.99, upstream.Normal: 0.99, upstream.Low: 0.05} {
		share, tail := float64(len(f.served[p]))/float64(f.offered[p]), p99(f.served[p])
		t.Logf("%s: %.1f %% of %d served, p99 %v", p, 100*share, f.offered[p], tail)
		if share < least || p != upstream.Low && tail > 2*work {
			t.Errorf("%s: %.1f %% of %d served, p99 %v", p, 100*share, f.offered[p], tail)
		}
	}
}
