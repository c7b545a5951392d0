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
