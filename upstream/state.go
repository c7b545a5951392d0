package upstream

// State is what the registry knows about a peer of a pool.
type State uint8

// The states. Unknown is neither healthy nor unhealthy: no probe has answered yet. A pool without a health check holds its peers Healthy from
// the start. Draining is a peer that left the pool and still has requests in flight, or whose source says that it is about to leave.
const (
	Unknown State = iota
	Healthy
	Unhealthy
	Draining
)

// String is the word that status, logs and metrics use.
func (s State) String() string {
	switch s {
	case Healthy:
		return "healthy"
	case Unhealthy:
		return "unhealthy"
	case Draining:
		return "draining"
	default:
		return "unknown"
	}
}

// hysteresis turns probe results into a state. The first result decides at once, because a peer that nobody knows helps nobody; from then on it
// takes rise passes in a row to become Healthy and fall failures in a row to become Unhealthy.
type hysteresis struct {
	rise, fall int
	state      State
	against    int // results in a row that contradict state
}

// observe reports whether the result changed the state.
func (h *hysteresis) observe(pass bool) bool {
	next, need := Unhealthy, h.fall
	if pass {
		next, need = Healthy, h.rise
	}
	if h.state == next {
		h.against = 0
		return false
	}
	h.against++
	if h.state != Unknown && h.against < need {
		return false
	}
	h.state, h.against = next, 0
	return true
}

// settled reports a healthy peer whose last probe passed: the only standing that is probed at leisure.
func (h *hysteresis) settled() bool { return h.state == Healthy && h.against == 0 }
