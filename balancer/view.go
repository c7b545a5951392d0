package balancer

import "time"

// slowStartFloor is the share of its weight that a peer gets on its first moment
// of slow start: enough that it is seen at all, one in twenty of its equals.
const slowStartFloor = 0.05

// Candidate is one live peer as a policy sees it. It is immutable.
type Candidate struct {
	// Weight is the share of traffic relative to the other candidates, > 0.
	Weight float64
	// Hash is a stable hash of the address; Hash policies place keys by it.
	Hash uint64
	// Since is when the peer became healthy, in ns on the clock of View.Now; 0 means
	// it always was, and exempts it from slow start.
	Since int64
	// Load is the peer's shared record of work.
	Load *Load
}

// View is what one pick looks at. A caller keeps it in its request state and
// passes a pointer: the call goes through an interface, so a View on the stack
// would move to the heap.
type View struct {
	// Peers is the slice that the policy was made with: the live set.
	Peers []Candidate
	// Ticket is fresh for every request: a counter of the live set (RoundRobin needs
	// one) or a random number.
	Ticket uint64
	// Now is the time in ns on a monotonic clock.
	Now int64
	// SlowStart is how long a peer takes from its first request to its full weight;
	// 0 turns that off.
	SlowStart time.Duration
	// Tried holds the peers this request has been to.
	Tried Tried
}

// roster is what every policy precomputes about its live set.
type roster struct {
	n int
	// mean is the mean weight; uniform says that all are equal.
	mean    float64
	uniform bool
	// eldest and youngest are the least and the greatest Since.
	eldest, youngest int64
	draws            alias
}

func newRoster(peers []Candidate) roster {
	r := roster{n: len(peers), uniform: true, draws: newAlias(peers)}
	if r.n == 0 {
		return r
	}
	r.eldest, r.youngest = peers[0].Since, peers[0].Since
	for _, c := range peers {
		r.mean += c.Weight / float64(r.n)
		r.uniform = r.uniform && c.Weight == peers[0].Weight
		r.eldest, r.youngest = min(r.eldest, c.Since), max(r.youngest, c.Since)
	}
	return r
}

// ramping reports whether slow start changes any weight at this pick. When every
// peer is in slow start there is nobody to shield them: all weigh in full.
func (r *roster) ramping(v *View) bool {
	if v.SlowStart <= 0 || r.youngest == 0 {
		return false
	}
	since := v.Now - int64(v.SlowStart)
	return r.youngest > since && (r.eldest == 0 || r.eldest <= since)
}

// ramp is the share of its weight that c has at this pick: rising linearly over
// the slow start.
func ramp(c *Candidate, v *View) float64 {
	if c.Since == 0 {
		return 1
	}
	share := float64(v.Now-c.Since) / float64(v.SlowStart)
	return min(1, max(slowStartFloor, share))
}

// weight is what c weighs at this pick.
func weight(c *Candidate, v *View, ramping bool) float64 {
	if !ramping {
		return c.Weight
	}
	return c.Weight * ramp(c, v)
}

// drawLimit bounds the draws that hit a peer already tried or lose against slow
// start. After it the exact way costs one pass over the peers, so a live set
// where one peer holds nearly all the weight stays cheap.
const drawLimit = 4

// draw returns a peer that was not tried and is not the given one (-1: any),
// each with probability proportional to its weight at this pick; -1 when there
// is none. seed is random.
func (r *roster) draw(v *View, seed uint64, not int) int {
	ramping := r.ramping(v)
	for range drawLimit {
		seed = mix(seed)
		i := r.draws.at(seed)
		if i < 0 {
			return -1
		}
		if i == not || v.Tried.Has(i) {
			continue
		}
		if ramping && unit(mix(seed)) >= ramp(&v.Peers[i], v) {
			continue
		}
		return i
	}
	return r.drawExact(v, mix(seed), not)
}

// drawTwo draws two different peers, -1 in place of what there is not. Only the
// first is drawn exactly by weight.
func (r *roster) drawTwo(v *View) (a, b int) {
	if a = r.draw(v, v.Ticket, -1); a < 0 {
		return -1, -1
	}
	return a, r.draw(v, ^v.Ticket, a)
}

// drawExact is draw by one pass: the candidate so far is replaced by the next one
// with probability weight over the weight seen, which leaves each with its share.
func (r *roster) drawExact(v *View, seed uint64, not int) int {
	ramping := r.ramping(v)
	choice, total := -1, 0.0
	for i := range v.Peers {
		if i == not || v.Tried.Has(i) {
			continue
		}
		w := weight(&v.Peers[i], v, ramping)
		total += w
		seed = mix(seed)
		if choice < 0 || unit(seed)*total < w {
			choice = i
		}
	}
	return choice
}
