package upstream

import (
	"context"
	"time"

	"go.uber.org/zap"
)

// This file is what happens to members: joining, leaving, probe results, verdicts. Registry.mu is held where a comment does not say that it is
// taken.

// attach makes a member of an address, and starts what nobody else has started.
func (r *Registry) attach(p *Pool, address string, c claim) *Peer {
	e := r.endpoints[address]
	if e == nil {
		e = newEndpoint(address)
		r.endpoints[address] = e
	}
	m := &Peer{endpoint: e, pool: p, link: e.linkOf(p.transport(c), p.secure), rule: p.options.Ejection, weight: c.share, leaving: c.leaving, governor: newGovernor(p.options.Adaptive, e.hash)}
	e.members = append(e.members, m)
	e.configure()
	if h := p.options.Health; h != nil {
		m.check = r.checkerOf(e, m.link, *h)
		m.check.refs++
	}
	return m
}

// checkerOf returns the checker of an address, a new one if need be. A check that asks the same question in another rhythm passes its answer on.
func (r *Registry) checkerOf(e *endpoint, l *link, h HealthOptions) *checker {
	key := checkKey{address: e.address, transport: l.transport, options: h}
	if c := r.checkers[key]; c != nil {
		return c
	}
	c := &checker{key: key, home: e, ask: r.probe, hurry: make(chan struct{}, 1), health: hysteresis{rise: h.Rise, fall: h.Fall}}
	if c.ask == nil {
		c.ask = l.probe
	}
	for _, m := range e.members {
		if m.check != nil && m.link == l && m.check.key.options.Path == h.Path && m.check.key.options.Host == h.Host {
			c.health.state, c.lastErr = m.check.health.state, m.check.lastErr
		}
	}
	r.checkers[key] = c
	ctx, cancel := context.WithCancel(r.ctx)
	c.cancel = cancel
	r.running.Add(1)
	go c.run(ctx, r)
	return c
}

// detach undoes attach.
func (r *Registry) detach(m *Peer) {
	e, o := m.endpoint, &m.pool.options
	kept := e.members[:0]
	named := false
	for _, other := range e.members {
		if other != m {
			kept = append(kept, other)
			named = named || other.pool.options.Service == o.Service && other.pool.options.Group == o.Group
		}
	}
	clear(e.members[len(kept):])
	e.members = kept
	m.live = false
	if c := m.check; c != nil {
		if c.refs--; c.refs == 0 {
			c.cancel()
			delete(r.checkers, c.key)
		}
	}
	e.configure()
	if len(e.members) == 0 {
		delete(r.endpoints, e.address)
	}
	if !named && r.events.Gone != nil {
		r.events.Gone(o.Service, o.Group, m.address)
	}
}

// probed takes a probe's result and returns the pause until the next probe. It takes Registry.mu.
func (r *Registry) probed(c *checker, started int64, err error) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c.refs == 0 {
		return c.key.options.Interval // run is about to see its end
	}
	now, pass := r.now(), err == nil
	c.lastErr = ""
	if pass {
		c.passed = started
	} else {
		c.lastErr = err.Error()
	}
	changed := c.health.observe(pass)
	freed := c.home.ejection.probed(pass, started, now)
	if freed {
		c.home.absolve()
	}
	if changed || freed {
		r.republish(c.home, now)
	}
	if c.health.settled() && !c.home.ejection.active(now) {
		return c.key.options.Interval
	}
	return fastInterval(&c.key.options)
}

// republish renews the live sets that an address is a member of.
func (r *Registry) republish(e *endpoint, now int64) {
	for _, m := range e.members {
		m.pool.publish(now)
	}
}

// eject carries a verdict out, or says why not. It takes Registry.mu: the one place where a request does, once per several failures of one peer.
func (r *Registry) eject(m *Peer, reason string, now int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := m.pool
	if p.retired || m.state() != Healthy || m.ejection.active(now) || !m.present() {
		return // it gets no requests for its own sake as it is
	}
	o, events := &p.options, &r.events
	if why := p.mustKeep(m, reason, now); why != "" {
		if events.EjectionSkipped != nil {
			events.EjectionSkipped(o.Service, o.Group, m.address, reason, why)
		}
		if m.skipTold == 0 || now-m.skipTold >= int64(m.rule.Window) {
			m.skipTold = now
			r.log.Warn("upstream ejection skipped", p.fields(m, zap.String("weir.reason", reason), zap.String("weir.why", why))...)
		}
		return
	}
	m.ejection.begin(now, m.rule)
	m.absolve()
	if events.Ejected != nil {
		events.Ejected(o.Service, o.Group, m.address, reason)
	}
	length := time.Duration(m.ejection.until - now)
	r.log.Warn("upstream target ejected", p.fields(m, zap.String("weir.reason", reason), zap.Duration("weir.duration", length))...)
	for _, other := range m.endpoint.members {
		if other.check != nil {
			other.check.hasten()
		}
	}
	r.republish(m.endpoint, now)
}

// present reports a member that has not left.
func (p *Peer) present() bool {
	for _, m := range p.endpoint.members {
		if m == p {
			return true
		}
	}
	return false
}

// mustKeep says why a member may not be ejected, or "".
func (p *Pool) mustKeep(m *Peer, reason string, now int64) string {
	group, left, ejected := 0, 0, 0
	total, failed := 0, 0
	for _, other := range p.members {
		if p.shareOf(other) <= 0 {
			continue
		}
		group++
		switch {
		case other == m || other.state() != Healthy:
			continue
		case other.ejection.active(now):
			ejected++
			continue
		}
		left++
		t, f := other.record(m.rule, now)
		total, failed = total+t, failed+f
	}
	switch {
	case left == 0:
		return skippedLastPeer
	case ejected+1 > ejectable(group, m.rule.MaxEjected):
		return skippedMaxEjected
	case reason == reasonErrorRatio && 2*total >= m.rule.MinRequests && float64(failed) >= m.rule.ErrorRatio*float64(total):
		// What all of them do is the application's or the release's doing; fewer peers would only fail faster. Half as many requests as speak
		// against m will do: of peers that fail alike one is the first to have enough.
		return skippedGroupFailing
	default:
		return ""
	}
}
