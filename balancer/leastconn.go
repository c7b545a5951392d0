package balancer

// leastConn is the least in flight per weight of all peers. Peers that tie are
// picked by weight at random: a fixed order would send every request of a quiet
// service to the first one.
type leastConn struct{ roster }

// Pick implements Policy.
func (p *leastConn) Pick(v *View, _ uint64) int {
	ramping := p.ramping(v)
	seed := v.Ticket
	choice, least, total := -1, 0.0, 0.0
	for i := range v.Peers {
		if v.Tried.Has(i) {
			continue
		}
		c := &v.Peers[i]
		w := weight(c, v, ramping)
		load := float64(c.Load.InFlight()) / w
		switch {
		case choice < 0 || load < least:
			choice, least, total = i, load, w
		case load == least:
			total += w
			seed = mix(seed)
			if unit(seed)*total < w {
				choice = i
			}
		}
	}
	return choice
}
