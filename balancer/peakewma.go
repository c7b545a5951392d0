package balancer

import "math"

const (
	// scanLimit is up to how many peers a pick reads all of them. With three peers
	// two draws compare the one slow peer with a fast one in only two picks of
	// three; in simulated queues a scan of ten has 4 to 8 % less mean latency than
	// two draws. Beyond eight the reads cost more than a pick should (17 ns each),
	// and two draws are within a few percent.
	scanLimit = 8

	// tolerance is the factor within which scores count as equal, so that weights
	// and not noise decide between them: on a service with hardly anything in
	// flight the smallest score would otherwise send everything to whichever peer
	// measured a little faster.
	tolerance = 1.25
)

// peakEWMA picks by expected wait: what an answer costs (recent latency, failures
// priced in) times the requests in flight, per weight. An estimate halves for
// every half-life without news, but never below the best estimate of the peers
// compared: so a slow peer gets a trial now and then, and one trial at a time.
// An unknown peer is presumed to be as fast as the best: its requests in flight
// and its failures alone hold it back until its first answer.
type peakEWMA struct{ roster }

// reading is what one pick sees of one peer.
type reading struct {
	peer   int
	weight float64
	// cost is what an answer costs in ns as last known; 0 while the latency is not.
	cost float64
	// penalty is the part of failures in the cost.
	penalty float64
	load    *Load
	// queue is this request and those in flight, per unit of mean weight. The
	// request itself counts in full whatever the weight: between idle peers the
	// draw shares by weight, and would do it twice.
	queue float64
	// score is the expected wait, in ns up to a factor common to all peers.
	score float64
}

// Pick implements Policy.
func (p *peakEWMA) Pick(v *View, _ uint64) int {
	if p.n > scanLimit {
		return p.pickOfTwo(v)
	}
	var all [scanLimit]reading
	n, ramping := 0, p.ramping(v)
	for i := range v.Peers {
		if !v.Tried.Has(i) {
			p.read(&all[n], v, i, ramping)
			n++
		}
	}
	rank(all[:n], v.Now)
	return pickOfAll(all[:n], v.Ticket)
}

// pickOfTwo compares two peers drawn by weight. The first stays unless it is
// clearly worse: it alone was drawn exactly by weight.
func (p *peakEWMA) pickOfTwo(v *View) int {
	a, b := p.drawTwo(v)
	if b < 0 {
		return a
	}
	var two [2]reading
	ramping := p.ramping(v)
	p.read(&two[0], v, a, ramping)
	p.read(&two[1], v, b, ramping)
	rank(two[:], v.Now)
	if two[1].score*tolerance < two[0].score {
		return b
	}
	return a
}

// pickOfAll draws by weight among the peers whose score is within tolerance of
// the best.
func pickOfAll(all []reading, seed uint64) int {
	lowest := math.Inf(1)
	for i := range all {
		lowest = min(lowest, all[i].score)
	}
	choice, total := -1, 0.0
	for i := range all {
		r := &all[i]
		if r.score > lowest*tolerance {
			continue
		}
		total += r.weight
		seed = mix(seed)
		if choice < 0 || unit(seed)*total < r.weight {
			choice = r.peer
		}
	}
	return choice
}

func (p *peakEWMA) read(r *reading, v *View, i int, ramping bool) {
	c := &v.Peers[i]
	r.peer, r.weight = i, weight(c, v, ramping)
	r.load, r.penalty = c.Load, c.Load.penalty()
	r.cost = c.Load.latencyEstimate() * r.penalty
	r.queue = 1 + float64(c.Load.InFlight())*p.mean/r.weight
}

// rank fills in the scores.
func rank(all []reading, now int64) {
	best := math.Inf(1)
	for i := range all {
		if c := all[i].cost; c > 0 {
			best = min(best, c)
		}
	}
	if math.IsInf(best, 1) {
		// Nobody has answered yet: failures and requests in flight decide.
		best = 1
	}
	for i := range all {
		r := &all[i]
		cost := r.cost
		if cost == 0 {
			cost = best * r.penalty
		}
		if cost > best {
			cost = max(best, cost*r.load.trust(now))
		}
		r.score = cost * r.queue
	}
}
