package upstream

import "maps"

// Withhold keeps new requests from the given addresses, all at once, and no longer from those it kept them from before. Requests under way, and health checks, go on. An
// address that the pool does not have is remembered: it may come by DNS.
func (p *Pool) Withhold(addresses map[string]bool) {
	r := p.registry
	r.mu.Lock()
	defer r.mu.Unlock()
	if maps.Equal(p.withheld, addresses) {
		return
	}
	p.withheld = maps.Clone(addresses)
	if !p.retired {
		p.publish(r.now())
	}
}

// Member is the address as the pool has it, if it has it.
func (p *Pool) Member(address string) (known string, ok bool) {
	r := p.registry
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range p.members {
		if m.address == canonical(address) {
			return m.address, true
		}
	}
	return "", false
}

// shareOf is a member's weight as the live set sees it. Registry.mu is held.
func (p *Pool) shareOf(m *Peer) float64 {
	if p.withheld[m.address] || m.leaving {
		return 0
	}
	return m.weight
}
