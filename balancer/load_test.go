package balancer_test

import (
	"sync"
	"testing"
	"time"

	"github.com/valor-ivx/weir/balancer"
)

// Requests end on every core at once: nothing is lost and the race detector has
// nothing to say.
func TestLoadIsSafeForConcurrentUse(t *testing.T) {
	v := balancer.View{Peers: peersOf(1, 1, 1)}
	p := balancer.New(balancer.PeakEWMA, v.Peers, balancer.Options{})
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			v := v
			for i := range 2000 {
				v.Ticket, v.Now = uint64(8*i+g), int64(i+1)*int64(time.Millisecond)
				l := v.Peers[p.Pick(&v, 0)].Load
				l.Begin()
				if i%10 == 9 {
					l.Abandon()
					continue
				}
				l.End(v.Now, time.Duration(g+1)*time.Millisecond, i%7 == 0)
			}
		})
	}
	all.Wait()
	for i := range v.Peers {
		if n := v.Peers[i].Load.InFlight(); n != 0 {
			t.Errorf("peer %d: %d in flight after the last one ended", i, n)
		}
	}
}

// Time that stands still or runs back (another core's reading) is no disaster.
func TestLoadToleratesDisorderedTime(t *testing.T) {
	v := balancer.View{Peers: peersOf(1, 1), Now: 5}
	p := balancer.New(balancer.PeakEWMA, v.Peers, balancer.Options{})
	for i, at := range []int64{100, 50, 100, 1, 200} {
		for j := range v.Peers {
			v.Peers[j].Load.Begin()
			v.Peers[j].Load.End(at, time.Duration(1+199*j)*time.Millisecond, false)
		}
		v.Ticket = uint64(i)
		if got := p.Pick(&v, 0); got != 0 {
			t.Errorf("after time %d: picked the slow peer", at)
		}
	}
}

// answers ends n requests, a microsecond apart: no time to speak of passes.
func answers(l *balancer.Load, now *int64, n int, latency time.Duration, failed bool) {
	for range n {
		*now += int64(time.Microsecond)
		l.Begin()
		l.End(*now, latency, failed)
	}
}

// A crowd of answers replaces the picture at once, however little time passed; a
// single one does not, however long nothing was heard before.
func TestLoadLearnsByAnswersAsWellAsByTime(t *testing.T) {
	const (
		none = iota
		half
	)
	quiet := int64(time.Minute)
	for name, c := range map[string]struct {
		story func(l *balancer.Load, now *int64)
		want  int
	}{
		"equal":         {func(*balancer.Load, *int64) {}, half},
		"turned slow":   {func(l *balancer.Load, now *int64) { answers(l, now, 40, 200*ms, false) }, none},
		"one slow":      {func(l *balancer.Load, now *int64) { answers(l, now, 1, 60*ms, false) }, half},
		"turned broken": {func(l *balancer.Load, now *int64) { answers(l, now, 6, ms, true) }, none},
		"slow, then well": {func(l *balancer.Load, now *int64) {
			answers(l, now, 40, 200*ms, false)
			answers(l, now, 300, 20*ms, false)
		}, half},
		"broken, then well": {func(l *balancer.Load, now *int64) {
			answers(l, now, 40, ms, true)
			answers(l, now, 100, 20*ms, false)
		}, half},
		"one failure after silence": {func(l *balancer.Load, now *int64) {
			*now += quiet
			answers(l, now, 1, ms, true)
		}, none},
		"one failure after silence, forgotten in seven seconds": {func(l *balancer.Load, now *int64) {
			*now += quiet
			answers(l, now, 1, ms, true)
			*now += int64(7 * time.Second)
		}, half},
		"always broken, not forgotten in seven seconds": {func(l *balancer.Load, now *int64) {
			answers(l, now, 100, ms, true)
			*now += int64(7 * time.Second)
		}, none},
	} {
		t.Run(name, func(t *testing.T) {
			v := balancer.View{Peers: peersOf(1, 1), Now: int64(time.Hour)}
			p := balancer.New(balancer.PeakEWMA, v.Peers, balancer.Options{})
			for i := range v.Peers {
				answers(v.Peers[i].Load, &v.Now, 5, 20*ms, false)
			}
			c.story(v.Peers[1].Load, &v.Now)
			picked := 0
			for range 1000 {
				v.Ticket++
				picked += p.Pick(&v, 0)
			}
			if c.want == none && picked != 0 || c.want == half && (picked < 400 || picked > 600) {
				t.Errorf("picked %d times of 1000", picked)
			}
		})
	}
}
