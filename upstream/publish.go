package upstream

import (
	"time"

	"go.uber.org/zap"
)

// cohort is how far apart peers may join an empty pool and still count as having come together: probes find all that recovered at once within
// a second (see fastInterval). Without it the first to be found would carry everyone's load through the others' slow start.
const cohort = int64(time.Second)

// publish makes a live set of the members' present standing and stores it, tells what changed, and plans the next change that time alone brings.
// Registry.mu is held, in all of this file.
func (p *Pool) publish(now int64) {
	standings := make([]standing, len(p.members))
	for i, m := range p.members {
		standings[i] = standing{state: m.state(), weight: p.shareOf(m), ejection: m.ejection}
	}
	maxEjected := 0.0
	if p.options.Ejection != nil {
		maxEjected = p.options.Ejection.MaxEjected
	}
	chosen, out, fallback := eligible(standings, maxEjected, p.options.WhenNoneHealthy, now)
	peers := make([]*Peer, len(chosen))
	for i, c := range chosen {
		peers[i] = p.members[c]
	}
	p.enlist(peers, fallback, now)
	p.live.Store(newLiveSet(p, peers, fallback))
	for i, m := range p.members {
		p.announce(m, out[i], now)
	}
	p.settle()
	p.plan(now)
	p.limited()
}

// enlist notes who is in the live set for being healthy, and since when. Slow start is for peers that join others: a peer that another pool
// already has in its live set goes on as it was, one that joins with the first of an empty pool starts in full.
func (p *Pool) enlist(peers []*Peer, fallback bool, now int64) {
	empty := true
	for _, m := range p.members {
		empty = empty && !m.live
	}
	member := make(map[*Peer]bool, len(peers))
	for _, m := range peers {
		member[m] = !fallback
	}
	if empty {
		p.bornAt = now
	}
	var joining []*Peer
	for _, m := range p.members {
		switch {
		case !member[m]:
			m.live, m.since = false, 0
		case m.live:
		default:
			if s := m.sibling(); s != nil {
				m.live, m.since = true, s.since
				p.bornAt = min(p.bornAt, now-cohort)
			} else {
				joining = append(joining, m)
			}
		}
	}
	for _, m := range joining {
		m.live, m.since = true, 0
		if now-p.bornAt >= cohort {
			m.since = now
		}
	}
}

// sibling is the same address as a live member of another pool, or nil.
func (p *Peer) sibling() *Peer {
	for _, m := range p.members {
		if m != p && m.live {
			return m
		}
	}
	return nil
}

// announce tells a member's changes.
func (p *Pool) announce(m *Peer, leftOut bool, now int64) {
	o, events, state := &p.options, &p.registry.events, m.state()
	if m.leftOut && !leftOut && state == Healthy {
		how := m.ejection.ending(now)
		if events.Returned != nil {
			events.Returned(o.Service, o.Group, m.address, how)
		}
		p.registry.log.Info("upstream target returned", p.fields(m, zap.String("weir.how", how))...)
	}
	m.leftOut = leftOut
	up := state == Healthy && !leftOut
	if m.told && m.up == up {
		return
	}
	if m.told || up {
		p.registry.log.Info("upstream target changed", p.fields(m, zap.Bool("weir.up", up), zap.String("weir.state", state.String()))...)
	}
	m.told, m.up = true, up
	if events.Up != nil {
		events.Up(o.Service, o.Group, m.address, up)
	}
}

// fields name a member in the log.
func (p *Pool) fields(m *Peer, more ...zap.Field) []zap.Field {
	f := []zap.Field{zap.String("weir.service", p.options.Service), zap.String("weir.group", p.options.Group), zap.String("weir.upstream.address", m.address)}
	if m.check != nil && m.check.lastErr != "" {
		f = append(f, zap.String("error.message", m.check.lastErr))
	}
	return append(f, more...)
}

// settle opens or shuts the gate of WaitKnown.
func (p *Pool) settle() {
	known := true
	for _, m := range p.members {
		known = known && m.state() != Unknown
	}
	for _, s := range p.sources {
		known = known && s.tried
	}
	select {
	case <-p.known:
		if !known {
			p.known = make(chan struct{})
		}
	default:
		if known {
			close(p.known)
		}
	}
}

// plan sets the timer for the first ejection that ends. Its callback runs on a goroutine of the runtime, takes Registry.mu and returns.
func (p *Pool) plan(now int64) {
	if p.wake != nil {
		p.wake.Stop()
		p.wake = nil
	}
	next := int64(0)
	for _, m := range p.members {
		if m.ejection.active(now) && (next == 0 || m.ejection.until < next) {
			next = m.ejection.until
		}
	}
	if next == 0 {
		return
	}
	p.wake = time.AfterFunc(time.Duration(next-now), func() {
		p.registry.mu.Lock()
		defer p.registry.mu.Unlock()
		if !p.retired {
			p.publish(p.registry.now())
		}
	})
}
