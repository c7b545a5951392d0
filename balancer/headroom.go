package balancer

import "math"

// Headroom asks how large the share of a group on trial may become, by what it has shown so far and by how much harm is still allowed.
type Headroom struct {
	// GreenRequests and GreenFailed are what the group has served and failed so far, OthersRequests and OthersFailed what the others have.
	GreenRequests, GreenFailed, OthersRequests, OthersFailed uint64
	// Tolerated is how many times as often as the others it may fail.
	Tolerated float64
	// Budget is how many failed requests beyond the tolerated ones are left.
	Budget float64
	// Coming is how many requests the service will get while the share is in force at least.
	Coming float64
}

// confident is half the normal quantile of 95 %: square roots of Poisson counts have a standard deviation of a half.
const confident = power95 / 2

// Share is the largest share, 0 to 1, at which the group would fail no more than Budget of the coming requests beyond the tolerated ones if it were as bad as what it has
// served can hide: its rate of failures is taken at the upper end of its 95 % interval, that of the others at the lower end of theirs. Nothing served allows nothing.
//
// It is cautious twice: a group that is so bad would as a rule be found out by Evidence before the time is over, and both ends at once are rarer than either. What
// makes it grow is requests of the group that do not fail, and what slows it down is traffic: a share that is harmless at ten requests a second is not at ten thousand.
func (h Headroom) Share() float64 {
	if h.GreenRequests == 0 || h.OthersRequests == 0 || h.Budget <= 0 {
		return 0
	}
	worst := min(1, poissonUpper(h.GreenFailed)/float64(h.GreenRequests))
	tolerated := h.Tolerated * poissonLower(h.OthersFailed) / float64(h.OthersRequests)
	if excess := (worst - tolerated) * h.Coming; excess > h.Budget {
		return h.Budget / excess
	}
	return 1
}

// poissonUpper and poissonLower are the ends of a one-sided 95 % interval for the mean of a Poisson count: Anscombe's transformation, which is within 0.4 of the exact
// ones everywhere and on the safe side of the upper (3.3 for the 3.0 of no events).
func poissonUpper(n uint64) float64 {
	root := math.Sqrt(float64(n)+1) + confident
	return root * root
}

func poissonLower(n uint64) float64 {
	root := max(0, math.Sqrt(float64(n))-confident)
	return root * root
}
