package balancer

import "math"

// Excess is how many bad events the group on trial has had beyond what is tolerated. The zero value is none; its fields are exported for whoever keeps it.
type Excess struct {
	// Events is that number; negative where the group does better than tolerated.
	Events float64 `json:"events"`
	// Variance is that of Events, by the events counted.
	Variance float64 `json:"variance"`
	// Unseen is the most that one event of the others has weighed: those that happened not to come yet are part of the doubt.
	Unseen float64 `json:"unseen"`
}

// Observe adds bad events of one time with equal shares: green's, and the others'. odds is how many requests green had for each of theirs.
//
// While both serve, odds is w/(1−w) and the others' events are those of the same minutes, so a bad hour of everybody is no excess.
func (e *Excess) Observe(tolerated, odds float64, green, others uint64) {
	weight := tolerated * odds
	e.Events += float64(green) - weight*float64(others)
	e.Variance += float64(green) + weight*weight*float64(others)
	e.Unseen = max(e.Unseen, weight)
}

const (
	// sure is how many standard deviations make an excess more than luck at any look. With equal groups it drifts away from there; at exactly the tolerated
	// ratio it is a walk without drift, whose normalized maximum over some hundred thousand events stays below with all but a thousandth of probability.
	sure = 4.5

	// unseen is how many events of the others may be missing by chance where none was seen: e^-3 is 5 %.
	unseen = 3
)

// Beyond reports that the harm is more than the budget, and not by luck.
func (e *Excess) Beyond(budget float64) bool {
	return e.Events > budget && e.Events > sure*math.Sqrt(e.Variance+unseen*e.Unseen*e.Unseen)
}
