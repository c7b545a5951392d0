package upstream

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/valor-ivx/weir/balancer"
)

// handOver is what another process reads of a registry's memory.
func handOver(t *testing.T, r *Registry, most int) (list []Memory) {
	t.Helper()
	text, err := json.Marshal(r.Remember(most))
	if err == nil {
		err = json.Unmarshal(text, &list)
	}
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// group is a pool of some targets, of which those that fail are ejected for a minute at first.
func group(t *testing.T, r *Registry, addresses ...string) *Pool {
	t.Helper()
	o := PoolOptions{Service: "api", Group: "blue", Ejection: &EjectionOptions{Consecutive: 3, ErrorRatio: 0.5, Window: 30 * time.Second, MinRequests: 10, Base: time.Minute, MaxEjected: 0.5}}
	for _, a := range addresses {
		o.Targets = append(o.Targets, Target{Address: a, Weight: 1})
	}
	p, err := r.Acquire(o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// answer ends an attempt at one of a pool's targets.
func answer(t *testing.T, r *Registry, p *Pool, address string, latency time.Duration, o Outcome) {
	t.Helper()
	for _, m := range p.members {
		if m.address == address {
			m.load.Begin()
			m.Done(r.Now(), latency, o)
			return
		}
	}
	t.Fatalf("there is no %s", address)
}

func live(p *Pool) (list []string) {
	s := p.Live()
	for i := range s.Len() {
		list = append(list, s.At(i).Address())
	}
	return list
}

// TestMemoryOfTargets: a registry goes on with what another knew: who is ejected, for how long and how often, what is about to lead to the next ejection, and what answers take.
func TestMemoryOfTargets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const a, b, c = "127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"
		first := NewRegistry(Options{})
		defer first.Close()
		p := group(t, first, a, b, c)
		for range 3 {
			answer(t, first, p, a, time.Millisecond, Broken)
		}
		for range 2 { // one more of these and it goes too
			answer(t, first, p, b, time.Millisecond, TimedOut)
		}
		for range 20 {
			answer(t, first, p, c, 40*time.Millisecond, Success)
		}
		time.Sleep(20 * time.Second)
		second := NewRegistry(Options{})
		defer second.Close()
		q := group(t, second, a, b, c)
		memory := handOver(t, first, 10)
		time.Sleep(5 * time.Second) // which the hand-over takes
		if n := second.Recall(memory, 5*time.Second); n != 3 {
			t.Errorf("%d targets", n)
		}
		if got := live(q); len(got) != 2 || got[0] != b || got[1] != c {
			t.Fatalf("live: %v", got)
		}
		now := second.Now()
		for i, m := range q.members {
			was := p.members[i].load.Past(first.Now())
			got := m.load.Past(now)
			if got.Latency != was.Latency || got.Failing != was.Failing || (got.Age-was.Age).Abs() > 2 {
				t.Errorf("%s: answers %+v, were %+v", m.address, got, was)
			}
		}
		time.Sleep(34 * time.Second)
		synctest.Wait()
		if got := live(q); len(got) != 2 {
			t.Errorf("a second before its time: %v", got)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if got := live(q); len(got) != 3 {
			t.Errorf("after its time: %v", got)
		}
		for range 3 {
			answer(t, second, q, a, time.Millisecond, Broken)
		}
		if left := q.members[0].ejection.until - second.Now(); left != int64(2*time.Minute) { // it is the second
			t.Errorf("ejected again for %s", time.Duration(left))
		}
		// What had begun against the other one goes on: MaxEjected has room for one at a time.
		answer(t, second, q, b, time.Millisecond, TimedOut)
		if q.members[1].detector.consecutive != 3 {
			t.Errorf("%d in a row", q.members[1].detector.consecutive)
		}
	})
}

// TestMemoryOfRecord: what was counted in the last seconds counts on in the next process, and is forgotten at the same time.
func TestMemoryOfRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const a, b = "127.0.0.1:1", "127.0.0.1:2"
		first := NewRegistry(Options{})
		defer first.Close()
		p := group(t, first, a, b)
		for range 8 {
			answer(t, first, p, a, time.Millisecond, ServerError)
		}
		for range 20 {
			answer(t, first, p, b, time.Millisecond, Success)
		}
		time.Sleep(10 * time.Second)
		memory := handOver(t, first, 10)
		for _, wait := range []time.Duration{0, 21 * time.Second} {
			second := NewRegistry(Options{})
			q := group(t, second, a, b)
			second.Recall(memory, 0)
			time.Sleep(wait)
			answer(t, second, q, a, time.Millisecond, ServerError)
			answer(t, second, q, a, time.Millisecond, ServerError) // the tenth, if the others count
			if got := len(live(q)); (got == 1) != (wait == 0) {
				t.Errorf("after %s %d targets are live", wait, got)
			}
			second.Close()
		}
	})
}

// TestMemoryOfPace: a target in its slow start goes on in it, and a limit that was found is where the next process begins, within its own bounds; what cannot be, or comes too late, changes nothing.
func TestMemoryOfPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const a, b = "127.0.0.1:1", "127.0.0.1:2"
		begin := func() (*Registry, *Pool) {
			r := NewRegistry(Options{})
			t.Cleanup(r.Close)
			p, err := r.Acquire(PoolOptions{Service: "api", Group: "blue", Targets: []Target{{Address: a, Weight: 1}, {Address: b, Weight: 1}}, SlowStart: time.Minute, Adaptive: &AdaptiveOptions{Min: 2, Max: 100}})
			if err != nil {
				t.Fatal(err)
			}
			return r, p
		}
		first, p := begin()
		p.members[1].since = first.Now()
		p.members[0].governor.tuner.level = 42.4
		time.Sleep(20 * time.Second)
		memory := handOver(t, first, 10)
		time.Sleep(5 * time.Second)
		second, q := begin()
		second.Recall(memory, 5*time.Second)
		now := second.Now()
		if c := q.Live().candidates; c[0].Since != 0 || c[1].Since != now-int64(25*time.Second) {
			t.Errorf("joined %s and %s ago", time.Duration(now-c[0].Since), time.Duration(now-c[1].Since))
		}
		if got := q.Capacity(); got != 42+firstLimit {
			t.Errorf("capacity %d", got)
		}
		for name, m := range map[string]Memory{
			"long ago":      {Joined: 56 * time.Second},
			"later":         {Joined: -time.Second},
			"ever":          {Joined: math.MaxInt64},
			"another group": {Limits: []Limit{{"api", "green", 50}, {"web", "blue", 50}}},
			"none":          {Limits: []Limit{{"api", "blue", 0}, {"api", "blue", -5}}},
		} {
			r, p := begin()
			m.Address = a
			r.Recall([]Memory{m}, 5*time.Second)
			if p.Live().candidates[0].Since != 0 || p.Capacity() != 2*firstLimit {
				t.Errorf("%s: %+v, capacity %d", name, p.Live().candidates[0], p.Capacity())
			}
		}
		for level, want := range map[float64]int{0.1: 2, 1e300: 100} {
			r, p := begin()
			p.members[1].governor.enter(r.Now()) // too late for this one
			r.Recall([]Memory{{Address: a, Limits: []Limit{{"api", "blue", level}}}, {Address: b, Limits: []Limit{{"api", "blue", level}}}}, 0)
			if got := p.Capacity(); got != want+firstLimit {
				t.Errorf("%g: capacity %d", level, got)
			}
		}
	})
}

// TestMemoryIsJudged: what no process can have known changes nothing, those that failed come first where there are too many, and what is known already is not overwritten.
func TestMemoryIsJudged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const a, b = "127.0.0.1:1", "127.0.0.1:2"
		r := NewRegistry(Options{})
		defer r.Close()
		p := group(t, r, a, b)
		for name, m := range map[string]Memory{
			"nobody":         {Address: "127.0.0.1:9", Level: 1, Left: time.Minute},
			"long ago":       {Address: a, Level: 1, Ejected: 48 * time.Hour, Left: -47 * time.Hour},
			"never begun":    {Address: a, Left: time.Minute},
			"backwards":      {Address: a, Level: 1, Ejected: -time.Hour, Left: -time.Minute},
			"answers":        {Address: a, Answers: &balancer.Past{Age: time.Hour * 2, Latency: 1}},
			"less than none": {Address: a, Answers: &balancer.Past{Age: 1, Latency: -1}},
			"more than all":  {Address: a, Answers: &balancer.Past{Age: 1, Latency: 1, Failing: 2}},
			"record":         {Address: a, Record: [][3]int64{{-1, 1, 1}, {1 << 40, 1, 1}, {1, -1, -1}, {3, 1, -1}}},
		} {
			r.Recall([]Memory{m}, 0)
			m := p.members[0]
			if len(live(p)) != 2 || m.load.Past(r.Now()) != (balancer.Past{}) || !reflect.DeepEqual(m.detector, detector{}) || m.ejection != (ejection{}) {
				t.Fatalf("%s: live %v, %+v, %+v", name, live(p), m.load.Past(r.Now()), m.ejection)
			}
		}
		r.Recall([]Memory{{Address: a, Level: 1000, Ejected: time.Second, Left: 1000 * time.Hour}}, 0)
		if e := p.members[0].ejection; time.Duration(e.until-r.Now()) != maxEjection || e.level != maxLevel+1 {
			t.Errorf("%+v", e)
		}
		answer(t, r, p, b, time.Second, Success)
		known := p.members[1].load.Past(r.Now())
		r.Recall([]Memory{{Address: b, Answers: &balancer.Past{Age: 1, Latency: 1}}}, 0)
		if got := p.members[1].load.Past(r.Now()); got != known {
			t.Errorf("%+v, was %+v", got, known)
		}
		many := make([]string, 50)
		for i := range many {
			many[i] = fmt.Sprintf("127.0.1.%d:1", i)
		}
		q := group(t, r, many...)
		for _, address := range many {
			answer(t, r, q, address, time.Second, Success)
		}
		answer(t, r, q, many[49], time.Second, ServerError)
		list := handOver(t, r, 3)
		if len(list) != 3 || list[0].Address != a || list[1].Address != many[49] || list[2].Record != nil {
			t.Errorf("%+v", list)
		}
	})
}
