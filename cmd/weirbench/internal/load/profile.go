// Package load puts an edge under load with vegeta, open loop, and writes a report with a plot. It
// attacks loopback addresses only, every profile is bounded in rate and time, and it is no measure of
// maximum throughput: vegeta's own cost per request is a multiple of the edge's (compare measures that).
package load

import (
	"fmt"
	"math"
	"time"
)

// Bounds of every profile. Two thousand a second is what vegeta can pace well on one core.
const (
	maxRate     = 2000
	maxDuration = 10 * time.Minute
	// An overload attempts twice the capacity found, never more than this, never for longer.
	maxOverload    = 20000
	maxOverloadFor = 30 * time.Second
	spikeFactor    = 5
)

// Step is a constant rate for some time.
type Step struct {
	Name string
	Rate float64 // requests per second
	For  time.Duration
}

// Steady is one step at the rate.
func Steady(rate int, d time.Duration) ([]Step, error) {
	if err := bound(rate, d, maxDuration); err != nil {
		return nil, err
	}
	return []Step{{"steady", float64(rate), d}}, nil
}

// Spike is a third of the time each at the rate, at five times the rate, and at the rate again.
func Spike(rate int, d time.Duration) ([]Step, error) {
	if err := bound(rate, d, maxDuration); err != nil {
		return nil, err
	}
	base, third := float64(rate), d/3
	return []Step{{"before", base, third}, {"spike", base * spikeFactor, third}, {"after", base, third}}, nil
}

// Overload is one step at twice the measured capacity, in requests per second.
func Overload(capacity float64, d time.Duration) ([]Step, error) {
	if err := bound(1, d, maxOverloadFor); err != nil {
		return nil, err
	}
	if !(capacity > 0) {
		return nil, fmt.Errorf("plan overload: capacity of %v requests/s", capacity)
	}
	return []Step{{"overload", math.Min(2*capacity, maxOverload), d}}, nil
}

func bound(rate int, d, most time.Duration) error {
	if rate < 1 || rate > maxRate {
		return fmt.Errorf("plan load: rate %d/s is not between 1 and %d", rate, maxRate)
	}
	if d < time.Second || d > most {
		return fmt.Errorf("plan load: duration %v is not between 1s and %v", d, most)
	}
	return nil
}

// Stairs paces vegeta (vegeta.Pacer) over steps, one after the other.
type Stairs []Step

// Pace says how long to wait before the next hit, or that the last step is over.
func (s Stairs) Pace(elapsed time.Duration, hits uint64) (time.Duration, bool) {
	at, over := s.due(hits)
	if over {
		return 0, true
	}
	return max(0, at-elapsed), false
}

// Rate is the rate at a time, zero after the end.
func (s Stairs) Rate(elapsed time.Duration) float64 {
	if i := s.At(elapsed); i < len(s) {
		return s[i].Rate
	}
	return 0
}

// At is the index of the step at a time, len(s) after the end.
func (s Stairs) At(elapsed time.Duration) int {
	for i, step := range s {
		if elapsed < step.For {
			return i
		}
		elapsed -= step.For
	}
	return len(s)
}

// Total is how long all steps take.
func (s Stairs) Total() time.Duration {
	var d time.Duration
	for _, step := range s {
		d += step.For
	}
	return d
}

// due is when hit number n (from 0) is to be sent: the earliest time by which the steps' area
// reaches n. over says that it lies beyond the end.
func (s Stairs) due(n uint64) (at time.Duration, over bool) {
	left := float64(n)
	for _, step := range s {
		area := step.Rate * step.For.Seconds()
		if left < area {
			return at + time.Duration(left/step.Rate*float64(time.Second)), false
		}
		left -= area
		at += step.For
	}
	return at, true
}
