package balancer

import "math"

// Requirement asks how much a group on trial has to serve before its silence means something.
type Requirement struct {
	// Share of the group, 0 to 1.
	Share float64
	// Rate is the others' rate of bad events, 0 to 1.
	Rate float64
	// Effect is the least rise of that rate that must not go unseen.
	Effect float64
	// Tolerated is the Evidence's ratio.
	Tolerated float64
	// Threshold is the logarithm that the Evidence has to reach, ln(1/α) and what the metric's part in a mean costs.
	Threshold float64
}

const (
	// power95 is the normal quantile of 95 %.
	power95 = 1.645

	// visible is the least ratio, over the tolerated one, that is asked to be seen: one that is only just not tolerated takes for ever to tell from one that is.
	visible = 2.0
)

// Green is the number of requests that the group must serve so that, if its bad rate were the others' + Effect (or visible times what is tolerated, where
// that is more), the evidence against it would have reached Threshold with 95 % probability. It is false when no number will do: the others fail so often that
// nothing can be so much worse.
func (r Requirement) Green() (requests float64, ok bool) {
	if r.Share >= 1 {
		// Nobody to compare with. What is left is to have seen one: (1−effect)^n ≤ 5 %.
		return math.Ceil(math.Log(0.05) / math.Log1p(-min(r.Effect, 0.99))), true
	}
	bad := min(1, max(r.Rate+r.Effect, visible*r.Tolerated*r.Rate))
	if r.Share <= 0 || bad <= 1.1*r.Tolerated*r.Rate {
		return 0, false
	}
	events := math.Inf(1)
	for k := range evidenceRates {
		events = min(events, r.events(r.Tolerated*rate(k), bad))
	}
	if math.IsInf(events, 1) {
		return 0, false
	}
	// Of all requests so many are bad; green has its share of them.
	perRequest := r.Share*bad + (1-r.Share)*r.Rate
	return math.Ceil(events / perRequest * r.Share), true
}

// events is how many bad events the component of the mixture with ratio theta needs when green's true rate is bad: the count is Poisson, so the logarithm
// has mean m·mean and variance m·square, and 95 % of it must lie above the threshold and the component's own part of the mixture.
func (r Requirement) events(theta, bad float64) float64 {
	w := r.Share
	p := w * bad / (w*bad + (1-w)*r.Rate)
	change := math.Log((w*theta + 1 - w) / (w*r.Tolerated + 1 - w))
	green, other := math.Log(theta/r.Tolerated)-change, -change
	mean := p*green + (1-p)*other
	if mean <= 0 {
		return math.Inf(1)
	}
	spread := power95 * math.Sqrt(p*green*green+(1-p)*other*other)
	need := r.Threshold + math.Log(evidenceRates)
	root := (spread + math.Sqrt(spread*spread+4*mean*need)) / (2 * mean)
	// Events come whole: with few of them the last one overshoots, which the normal approximation does not know.
	return root*root + 1
}
