package upstream

import (
	"sort"
	"time"
)

// PeerStatus is one peer as an operator sees it, at one moment.
type PeerStatus struct {
	Address string
	State   State
	// Weight is the share relative to the other peers.
	Weight float64
	// Withheld says that it gets none because an operator said so.
	Withheld bool
	// Live says that the peer gets requests now.
	Live bool
	// InFlight, Requests and Failures are over all pools that share the address; Requests and Failures count ended attempts.
	InFlight           int64
	Requests, Failures uint64
	// Idle is the number of resting connections.
	Idle int
	// Shared is the number of connections that requests share, Streams that of their requests; 0 where the target speaks HTTP/1.
	Shared, Streams int
	// Limit is up to how many requests of this pool the peer works on at a time; 0: any number. Working is how many do.
	Limit, Working int64
	// EjectedUntil is zero when the peer is not ejected.
	EjectedUntil time.Time
	// Latency is that of the last answer without error.
	Latency time.Duration
	// LastError is the failure of the last probe if it failed, else of the last attempt to connect that did.
	LastError string
}

// Snapshot lists the peers by address, then those that left and still have requests in flight.
func (p *Pool) Snapshot() []PeerStatus {
	r := p.registry
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	inLive := make(map[*Peer]bool)
	for _, m := range p.live.Load().peers {
		inLive[m] = true
	}
	var list []PeerStatus
	for _, m := range p.members {
		s := m.status(now)
		s.Live, s.Withheld = inLive[m], p.withheld[m.address]
		if m.leaving {
			s.State = Draining
		}
		list = append(list, s)
	}
	kept := p.leaving[:0]
	for _, m := range p.leaving {
		if m.InFlight() > 0 {
			s := m.status(now)
			s.State = Draining
			list = append(list, s)
			kept = append(kept, m)
		}
	}
	p.leaving = kept
	return list
}

// status is everything but Live. Registry.mu is held.
func (p *Peer) status(now int64) PeerStatus {
	s := PeerStatus{
		Address: p.address, State: p.state(), Weight: p.weight, InFlight: p.InFlight(), Idle: p.link.idle.size(),
		Requests: p.requests.Load(), Failures: p.failures.Load(), Latency: time.Duration(p.latency.Load()),
	}
	if p.ejection.active(now) {
		s.EjectedUntil = time.Now().Add(time.Duration(p.ejection.until - now))
	}
	if p.Multiplexed() {
		conns, streams := p.link.mux.size()
		s.Shared, s.Streams = conns, streams
	}
	if g := p.governor; g != nil {
		s.Limit, s.Working = g.limit.Load(), g.inFlight.Load()
	}
	p.mu.Lock()
	s.LastError = p.dialErr
	p.mu.Unlock()
	if p.check != nil && p.check.lastErr != "" {
		s.LastError = p.check.lastErr
	}
	return s
}

func sortPeers(peers []*Peer) {
	sort.Slice(peers, func(a, b int) bool { return peers[a].address < peers[b].address })
}
