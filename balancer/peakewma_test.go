package balancer_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/valor-ivx/weir/balancer"
)

const ms = time.Millisecond

// fleet is n backends that answer in 20 ms, and more.
func fleet(n int, more ...*backend) []*backend {
	for range n {
		more = append(more, &backend{service: steady(20 * ms)})
	}
	return more
}

// The target of issue A, at its rate and at others.
func TestPeakEWMALeavesASlowPeerAlone(t *testing.T) {
	for _, c := range []struct {
		fast  int
		rate  float64
		share float64
		mean  time.Duration
	}{
		{2, 600, 0.01, 23 * ms},
		{2, 60, 0.01, 23 * ms},
		{2, 6000, 0.01, 23 * ms},
		// On a quiet service the trials are few per minute and yet a larger share.
		{2, 10, 0.025, 25 * ms},
		{9, 600, 0.01, 23 * ms},
		{30, 3000, 0.01, 23 * ms},
	} {
		for seed := range uint64(3) {
			s := (&simulation{rate: c.rate, length: 25*time.Second + time.Duration(20000/c.rate*1e9), warmup: 5 * time.Second, seed: seed,
				backends: fleet(c.fast, &backend{service: steady(200 * ms)})}).run()
			t.Logf("%d fast, %v/s: %.2f %% on the slow one, mean %v", c.fast, c.rate, 100*s.share(0), s.mean())
			if s.share(0) > c.share || s.mean() > c.mean {
				t.Errorf("%d fast, %v/s, seed %d: %.2f %% on the slow one, mean %v",
					c.fast, c.rate, seed, 100*s.share(0), s.mean())
			}
		}
	}
}

// From no knowledge at all, first seconds included.
func TestPeakEWMALearnsASlowPeerFast(t *testing.T) {
	for seed := range uint64(5) {
		s := (&simulation{rate: 600, length: 10 * time.Second, seed: seed,
			backends: fleet(2, &backend{service: steady(200 * ms)})}).run()
		t.Logf("first second %.2f %%, ten seconds %.2f %%, mean %v", 100*s.shareIn(0, 0, time.Second), 100*s.share(0), s.mean())
		if s.share(0) > 0.02 || s.shareIn(0, time.Second, 10*time.Second) > 0.012 {
			t.Errorf("seed %d: %.2f %% of ten seconds", seed, 100*s.share(0))
		}
	}
}

func TestPeakEWMADesertsAPeerThatTurnsSlow(t *testing.T) {
	for seed := range uint64(5) {
		s := (&simulation{rate: 600, length: 40 * time.Second, seed: seed,
			backends: fleet(2, &backend{service: changing(30*time.Second, steady(20*ms), steady(200*ms))})}).run()
		before, after := s.shareIn(0, 20*time.Second, 30*time.Second), s.shareIn(0, 30*time.Second, 32*time.Second)
		t.Logf("before %.1f %%, in the first two seconds %.2f %%", 100*before, 100*after)
		if before < 0.3 || after > 0.06 {
			t.Errorf("seed %d: share %.3f, then %.3f", seed, before, after)
		}
	}
}

func TestPeakEWMANoticesARecoveredPeer(t *testing.T) {
	for _, n := range []int{2, 11} {
		for _, rate := range []float64{60, 600, 3000} {
			for seed := range uint64(2) {
				s := (&simulation{rate: rate, length: 60 * time.Second, seed: seed,
					backends: fleet(n, &backend{service: changing(30*time.Second, steady(200*ms), steady(20*ms))})}).run()
				fair := 1 / float64(n+1)
				got := s.shareIn(0, 38*time.Second, 50*time.Second)
				t.Logf("%d peers, %v/s: %.3f of the traffic, fair is %.3f", n+1, rate, got, fair)
				if got < 0.7*fair {
					t.Errorf("%d peers, %v/s, seed %d: %.3f of the traffic, fair is %.3f", n+1, rate, seed, got, fair)
				}
			}
		}
	}
}

// envoy#20907: the peer that refuses at once looks idle and quick.
func TestPeakEWMAIsNotDrawnToFastFailures(t *testing.T) {
	slow := func() []*backend { return []*backend{{service: steady(200 * ms)}, {service: steady(200 * ms)}} }
	healthy := steady(20 * ms)
	for name, c := range map[string]struct {
		others []*backend
		rate   float64
		broken *backend
		limit  float64
	}{
		"from the start, 600/s":     {fleet(2), 600, &backend{service: refusing}, 0.02},
		"from the start, 60/s":      {fleet(2), 60, &backend{service: refusing}, 0.02},
		"from the start, 6000/s":    {fleet(2), 6000, &backend{service: refusing}, 0.02},
		"of twelve":                 {fleet(11), 2000, &backend{service: refusing}, 0.02},
		"others have 100 in flight": {slow(), 1000, &backend{service: refusing}, 0.02},
		"after a healthy second":    {fleet(2), 600, &backend{service: changing(time.Second, healthy, refusing)}, 0.04},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(3) {
				s := (&simulation{rate: c.rate, length: 30 * time.Second, seed: seed, backends: fresh(append(c.others, c.broken))}).run()
				last := len(s.backends) - 1
				failures := float64(s.backends[last].failed) / float64(len(s.latencies))
				t.Logf("%.2f %% of the traffic, %d failures", 100*s.share(last), s.backends[last].failed)
				if s.share(last) > c.limit || failures > 0.02 {
					t.Errorf("seed %d: %.2f %% of the traffic, %.2f %% failed", seed, 100*s.share(last), 100*failures)
				}
			}
		})
	}
}

// fresh copies backends, without what they remember.
func fresh(backends []*backend) []*backend {
	var all []*backend
	for _, b := range backends {
		all = append(all, &backend{service: b.service, workers: b.workers})
	}
	return all
}

func TestPeakEWMATakesBackAPeerThatFailed(t *testing.T) {
	for _, rate := range []float64{30, 600} {
		s := (&simulation{rate: rate, length: 90 * time.Second, seed: 1,
			backends: fleet(2, &backend{service: changing(30*time.Second, refusing, steady(20*ms))})}).run()
		got := s.shareIn(0, 60*time.Second, 90*time.Second)
		if got < 0.25 {
			t.Errorf("%v/s: %.3f of the traffic half a minute after it recovered", rate, got)
		}
	}
}

// A restart under load: nobody has answered yet, and a thousand requests wait.
func TestPeakEWMASpreadsABurstOverUnknownPeers(t *testing.T) {
	for _, c := range []struct {
		peers int
		limit float64
	}{{2, 1.15}, {3, 1.15}, {8, 1.15}, {12, 1.5}, {50, 2}} {
		t.Run(fmt.Sprint(c.peers), func(t *testing.T) {
			s := (&simulation{rate: 1000, burst: 1000, length: 5 * time.Millisecond, seed: 1, backends: fleet(c.peers)}).run()
			for i, b := range s.backends {
				if most := c.limit * 1010 / float64(c.peers); float64(b.maxLoad) > most+1 {
					t.Errorf("peer %d of %d had %d in flight, want at most %.0f", i, c.peers, b.maxLoad, most)
				}
			}
		})
	}
}

// A peer that joins a warm set, unknown: neither starved nor flooded.
func TestPeakEWMAWelcomesANewPeer(t *testing.T) {
	for _, latency := range []time.Duration{20 * ms, 200 * ms} {
		s := &simulation{rate: 600, length: 10 * time.Second, seed: 3,
			backends: fleet(2, &backend{service: steady(latency)})}
		for _, b := range s.backends[1:] {
			b.load.Begin()
			b.load.End(1, 20*ms, false)
		}
		s.run()
		others := max(s.backends[1].maxLoad, s.backends[2].maxLoad)
		if got := s.backends[0].maxLoad; got > others+2 {
			t.Errorf("%v: %d in flight on the new peer, %d on the others", latency, got, others)
		}
		if got := s.shareIn(0, 0, time.Second); latency == 20*ms && (got < 0.28 || got > 0.39) {
			t.Errorf("an equal has %.3f of the traffic in its first second", got)
		}
	}
}

// What the policy is chosen for: in real queues with scattered service times it
// is about as good as least connections among equals, and better with a slow one.
func TestPeakEWMAInQueues(t *testing.T) {
	mean := func(kind balancer.Kind, peers, slow int) time.Duration {
		total := time.Duration(0)
		for seed := range uint64(2) {
			s := &simulation{kind: kind, length: 20 * time.Second, warmup: 2 * time.Second, seed: seed}
			capacity := 0.0
			for i := range peers {
				median := 5 * ms
				if i < slow {
					median = 15 * ms
				}
				// A log-normal of sigma 1 has e^½ times its median as mean.
				s.backends = append(s.backends, &backend{workers: 4, service: noisy(median, 1)})
				capacity += 4 / (1.6487 * median.Seconds())
			}
			s.rate = 0.7 * capacity
			total += s.run().mean() / 2
		}
		return total
	}
	for _, c := range []struct {
		peers, slow int
		limit       float64
	}{{3, 0, 1.1}, {3, 1, 1}, {10, 0, 1.1}, {10, 2, 1}} {
		ours, requests, conns := mean(balancer.PeakEWMA, c.peers, c.slow),
			mean(balancer.LeastRequest, c.peers, c.slow), mean(balancer.LeastConn, c.peers, c.slow)
		t.Logf("%d peers, %d slow: peak_ewma %v, least_request %v, least_conn %v", c.peers, c.slow, ours, requests, conns)
		if float64(ours) > c.limit*float64(requests) {
			t.Errorf("%d peers, %d slow: mean %v, least_request %v", c.peers, c.slow, ours, requests)
		}
	}
}

// Forgetting makes nobody better than the best: on a service with a request
// every five seconds, the peer not heard of for longest would otherwise always
// be next, whatever the weights.
func TestPeakEWMAKeepsWeightsOnAQuietService(t *testing.T) {
	s := (&simulation{rate: 0.2, length: 6 * time.Hour, seed: 1, weights: []float64{1, 3}, backends: fleet(2)}).run()
	if got := s.share(0); got < 0.22 || got > 0.28 {
		t.Errorf("weight 1 of 4 has %.3f of the traffic", got)
	}
}
