package rollout_test

import (
	"math"
	"testing"
	"time"

	"github.com/valor-ivx/weir/balancer"
	"github.com/valor-ivx/weir/proxy/rollout"
)

// divided is a rollout that sees the same traffic as one edge would, by the reports of several: the one that leads counts its own part at once, the others' parts come together, so
// many ticks late.
type divided struct {
	m     *rollout.Machine
	out   [][]rollout.Lot // of the followers
	every int
}

// cut divides a count among n replicas, each request to one of them; the rest is the last one's.
func cut(w *world, c rollout.Count, n int) []rollout.Count {
	parts := make([]rollout.Count, n)
	take := func(total uint64, of func(*rollout.Count) *uint64) {
		for range total {
			*of(&parts[w.rng.IntN(n)])++
		}
	}
	take(c.Requests, func(c *rollout.Count) *uint64 { return &c.Requests })
	take(c.Errors, func(c *rollout.Count) *uint64 { return &c.Errors })
	take(c.Failed, func(c *rollout.Count) *uint64 { return &c.Failed })
	take(c.Slow95, func(c *rollout.Count) *uint64 { return &c.Slow95 })
	take(c.Slow99, func(c *rollout.Count) *uint64 { return &c.Slow99 })
	return parts
}

// sample is what the leader gets of a tick whose whole is given.
func (d *divided) sample(w *world, whole rollout.Sample, tick int) rollout.Sample {
	s := whole
	s.Lots = nil
	for _, l := range whole.Lots {
		green, others := cut(w, l.Green, len(d.out)+1), cut(w, l.Others, len(d.out)+1)
		s.Lots = append(s.Lots, rollout.Lot{Share: l.Share, Step: l.Step, Green: green[0], Others: others[0]})
		for i := range d.out {
			d.out[i] = rollout.Gather(d.out[i], rollout.Lot{Share: l.Share, Step: l.Step, Green: green[i+1], Others: others[i+1]})
		}
	}
	if tick%d.every == 0 {
		for i := range d.out {
			s.Lots = append(s.Lots, d.out[i]...)
			d.out[i] = nil
			s.Heard++
		}
	}
	return s
}

// verdict plays one traffic twice, for a rollout that sees it whole and for one that sees it by parts, both at the first weight.
func verdict(t *testing.T, seed uint64, green float64) (whole, parts rollout.State, late int) {
	w := newWorld(t, seed)
	w.green, w.rps = green, 300
	o := options()
	o.Steps, o.Hold, o.Latency = []uint32{500, 10000}, time.Hour, true
	w.m = begin(t, o)
	d := &divided{m: begin(t, o), out: make([][]rollout.Lot, 2), every: 4}
	endWhole, endParts := 0, 0
	for tick := 1; tick <= 3000 && (endWhole == 0 || endParts == 0); tick++ {
		w.now += int64(step)
		s := rollout.Sample{GreenLive: true, OthersLive: true, Latencies: make([]uint64, balancer.LatencyBuckets)}
		s.Latencies[100] = uint64(tick) * 100
		if tick > 1 {
			const share = 0.05
			n := w.rps * step.Seconds()
			s.Lots = []rollout.Lot{{Share: share, Step: 1, Green: w.side(n*share, green, 1), Others: w.side(n*(1-share), w.blue, 1)}}
		}
		part := d.sample(w, s, tick)
		for _, m := range []struct {
			m   *rollout.Machine
			s   rollout.Sample
			end *int
		}{{w.m, s, &endWhole}, {d.m, part, &endParts}} {
			if next, changed := m.m.Step(w.now, m.s); changed {
				m.m.Accept(next)
				if next.Phase.Over() && *m.end == 0 {
					*m.end = tick
				}
			}
		}
	}
	return w.m.State(), d.m.State(), endParts - endWhole
}

// Evidence that comes by the reports of three replicas leads to the verdict that all of it in one place leads to, later by no more than a report takes; of a good green to none.
func TestEvidenceOfSeveralReplicas(t *testing.T) {
	for seed := range uint64(15) {
		rate, bad := 0.05, seed%3 != 0
		if !bad {
			rate = 0.001
		}
		whole, parts, late := verdict(t, seed, rate)
		if whole.Phase.Over() != bad || parts.Phase.Over() != bad || whole.Cause != parts.Cause {
			t.Errorf("seed %d, rate %v: whole %s (%s), by parts %s (%s)", seed, rate, whole.Phase, whole.Cause, parts.Phase, parts.Cause)
		}
		if bad && (late < 0 || late > 4) {
			t.Errorf("seed %d: %d ticks late", seed, late)
		}
		if !bad {
			g, o := parts.Tally.Green, parts.Tally.Others
			if whole.Tally.Green != g || whole.Tally.Others != o {
				t.Errorf("seed %d: whole %+v %+v, by parts %+v %+v", seed, whole.Tally.Green, whole.Tally.Others, g, o)
			}
			for i, e := range whole.Tally.Errors {
				if math.Abs(e-parts.Tally.Errors[i]) > 1e-6*(1+math.Abs(e)) {
					t.Errorf("seed %d: evidence %v, by parts %v", seed, e, parts.Tally.Errors[i])
				}
			}
			if parts.Heard != 2*750 {
				t.Errorf("seed %d: %d reports heard", seed, parts.Heard)
			}
		}
	}
}
