package balancer

import "math"

// rendezvous keeps a key on the peer with the best score (Thaler and Ravishankar
// 1998; weights as in Schindelhauer and Schomaker 2005), passing over peers that
// have more than factor times their fair share in flight (arXiv 1608.01350).
// When a peer leaves, only its own keys move, and they spread by weight.
type rendezvous struct {
	roster
	factor float64
}

// Pick implements Policy.
func (p *rendezvous) Pick(v *View, key uint64) int {
	ramping := p.ramping(v)
	inFlight, weights := 0.0, 0.0
	for i := range v.Peers {
		if !v.Tried.Has(i) {
			c := &v.Peers[i]
			inFlight += float64(c.Load.InFlight())
			weights += weight(c, v, ramping)
		}
	}
	// The request being placed counts, and bounds are rounded up, so their sum
	// exceeds what is in flight: some peer always has room.
	perWeight := p.factor * (inFlight + 1) / weights
	key = mix(key)
	choice, best := -1, math.Inf(1)
	for i := range v.Peers {
		if v.Tried.Has(i) {
			continue
		}
		c := &v.Peers[i]
		w := weight(c, v, ramping)
		if float64(c.Load.InFlight()) >= math.Ceil(perWeight*w) {
			continue
		}
		if s := p.score(mix(key^c.Hash), w, ramping); s < best {
			choice, best = i, s
		}
	}
	if choice < 0 {
		// Loads moved between the two passes: any peer will do for one request.
		return p.draw(v, key, -1)
	}
	return choice
}

// score ranks a peer for a key, least first. Between equal weights the logarithm
// changes no order, and is left out.
func (p *rendezvous) score(h uint64, weight float64, ramping bool) float64 {
	if p.uniform && !ramping {
		return float64(^h >> 12)
	}
	return negLog(h) / weight
}
