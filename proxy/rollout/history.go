package rollout

import (
	"math"
	"time"
)

// Moment is a change of a rollout that is told afterwards: its start, a step, a pause, its end.
type Moment struct {
	At     time.Time `json:"at"`
	Phase  Phase     `json:"phase"`
	Step   int       `json:"step"`
	Weight uint32    `json:"weight"` // green's from then on, in hundredths of a percent
	Paused string    `json:"paused,omitempty"`
	Reason string    `json:"reason,omitempty"`
	// Green and Others are all that was counted until then: what a step came to is the difference of two moments.
	Green  Count `json:"green"`
	Others Count `json:"others"`
}

// Point is the evidence at a moment.
type Point struct {
	At time.Time `json:"at"`
	// Log is the natural logarithm of the evidence.
	Log    float64 `json:"log"`
	Weight uint32  `json:"weight"`
	Green  Count   `json:"green"`
	Others Count   `json:"others"`
}

const (
	// mostMoments is more than the steps of a rollout; who pauses it a hundred times is not told of all of them, of the end always.
	mostMoments = MaxSteps + 100

	// mostPoints is as many as a curve on a page can show, and little in the overlay file. When there are so many every other one goes, and the next ones come half as often.
	mostPoints = 120
)

// noted is a state's timeline with what the state is now, if that is news.
func (s *State) noted(at time.Time) []Moment {
	m := Moment{At: at.UTC(), Phase: s.Phase, Step: s.Step, Weight: s.Share(), Paused: s.Paused, Reason: s.Reason, Green: s.Tally.Green, Others: s.Tally.Others}
	n := len(s.Timeline)
	if n > 0 {
		if last := &s.Timeline[n-1]; last.Step == m.Step && last.Paused == m.Paused && last.Phase.Over() == m.Phase.Over() {
			return s.Timeline
		}
	}
	if n >= mostMoments {
		if !m.Phase.Over() {
			return s.Timeline
		}
		n--
	}
	// A new array: views that were given away share the old one.
	return append(append(make([]Moment, 0, n+1), s.Timeline[:n]...), m)
}

// spacing is how far apart the points of a curve are: it doubles with each thinning.
func spacing(c []Point) time.Duration {
	if len(c) < mostPoints/2 {
		return tick
	}
	return max(tick, c[len(c)-1].At.Sub(c[0].At)/time.Duration(len(c)))
}

// trace adds the evidence of now to the curve, if it is time for that or it must be there.
func (m *Machine) trace(at time.Time, must bool) {
	s := &m.state
	if s.Step == 0 {
		return
	}
	n := len(s.Curve)
	if n > 0 && !must && at.Sub(s.Curve[n-1].At) < spacing(s.Curve) {
		return
	}
	curve := make([]Point, 0, n+1) // a new array, as above
	for i, p := range s.Curve {
		if n < mostPoints || i%2 == 0 {
			curve = append(curve, p)
		}
	}
	s.Curve = append(curve, Point{At: at.UTC(), Log: finite(m.judge.log()), Weight: s.Share(), Green: s.Tally.Green, Others: s.Tally.Others})
}

// finite is a logarithm that JSON can hold.
func finite(log float64) float64 { return math.Max(-1e6, math.Min(1e6, log)) }
