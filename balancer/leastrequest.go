package balancer

// leastRequest is the power of two choices: of two peers drawn by weight, the one
// with less in flight. Two draws hold the longest queue to O(log log n) (Azar et
// al. 1994), and a random pair cannot herd on one idle peer as a scan by many
// proxies does.
type leastRequest struct{ roster }

// Pick implements Policy.
func (p *leastRequest) Pick(v *View, _ uint64) int {
	a, b := p.drawTwo(v)
	if b < 0 {
		return a
	}
	ramping := p.ramping(v)
	// The first draw stays on a tie: it alone was drawn exactly by weight.
	if perWeight(&v.Peers[b], v, ramping) < perWeight(&v.Peers[a], v, ramping) {
		return b
	}
	return a
}

// perWeight is the requests in flight per unit of weight.
func perWeight(c *Candidate, v *View, ramping bool) float64 {
	return float64(c.Load.InFlight()) / weight(c, v, ramping)
}
