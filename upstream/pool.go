package upstream

import (
	"context"
	"crypto/tls"
	"net"
	"sync/atomic"
	"time"
)

// Pool is one group of one service: the members that its targets name now, and the live set made of them.
type Pool struct {
	registry *Registry
	key      string
	options  PoolOptions // complete; never written after newPool
	secure   *tls.Config // of options.Transport, without a server name that is each target's own; nil: plain TCP

	live        atomic.Pointer[LiveSet] // written under Registry.mu, read by requests
	picks       pickState
	whenLimited atomic.Pointer[func()] // nil: nobody asks

	// The control plane's; Registry.mu guards them.
	refs     int
	retired  bool
	members  []*Peer         // by address
	withheld map[string]bool // addresses that get no requests, whatever their health; never written, only replaced
	leaving  []*Peer         // left with requests in flight, for status
	sources  []*source
	known    chan struct{} // closed while nothing is Unknown
	bornAt   int64         // when the live set last went from nobody to somebody, ns
	wake     *time.Timer   // for the next ejection that ends by time; nil: none
}

func newPool(r *Registry, key string, o PoolOptions) (*Pool, error) {
	secure, err := o.Transport.config()
	if err != nil {
		return nil, err
	}
	return &Pool{registry: r, key: key, options: o, secure: secure, known: make(chan struct{})}, nil
}

// Options is the description, with its defaults filled in. It must not be changed.
func (p *Pool) Options() PoolOptions { return p.options }

// Live is who may get requests now: one atomic load, never nil.
func (p *Pool) Live() *LiveSet { return p.live.Load() }

// Doubt has every member that is checked probed soon: what is known of it may be of the process that was there before.
func (p *Pool) Doubt() {
	p.registry.mu.Lock()
	defer p.registry.mu.Unlock()
	for _, m := range p.members {
		if m.check != nil {
			m.check.hasten()
		}
	}
}

// Proven reports whether every peer that gets requests has passed a probe that began at since (ns, of the registry's clock) or later; without checks there is nothing to prove.
func (p *Pool) Proven(since int64) bool {
	p.registry.mu.Lock()
	defer p.registry.mu.Unlock()
	for _, m := range p.live.Load().peers {
		if m.check != nil && m.check.passed < since {
			return false
		}
	}
	return true
}

// WaitKnown waits until no peer is Unknown any more, every name was looked up once and every Service was answered for, or until ctx ends. A peer is Unknown for one probe at
// most, so a ctx of one probe timeout (and the time of a look-up, where there are names) loses nothing. What is Unknown after that counts as not
// healthy: WhenNoneHealthy decides if nobody else is there.
func (p *Pool) WaitKnown(ctx context.Context) {
	p.registry.mu.Lock()
	known := p.known
	p.registry.mu.Unlock()
	select {
	case <-known:
	case <-ctx.Done():
	}
}

// Release gives one reference back. The last one retires the pool: probes and look-ups that nobody else needs stop, resting connections of addresses
// that nobody else has are closed. Requests that hold its live set finish on it: they may still pick and dial.
func (p *Pool) Release() {
	r := p.registry
	r.mu.Lock()
	defer r.mu.Unlock()
	if p.refs == 0 {
		panic("upstream: pool released more often than acquired")
	}
	if p.refs--; p.refs == 0 {
		p.retire()
	}
}

// open starts the look-ups and publishes the first live set. Registry.mu is held, in all that follows.
func (p *Pool) open() {
	for _, t := range p.options.Targets {
		if k, ok := t.source(); ok {
			p.sources = append(p.sources, p.registry.subscribe(k, p))
		}
	}
	p.reconcile()
}

// retire undoes open. It is safe to call twice: Close may come before the last Release.
func (p *Pool) retire() {
	if p.retired {
		return
	}
	p.retired = true
	p.whenLimited.Store(nil)
	delete(p.registry.pools, p.key)
	if p.wake != nil {
		p.wake.Stop()
	}
	for _, s := range p.sources {
		p.registry.unsubscribe(s, p)
	}
	for _, m := range p.members {
		m.governor.release()
		p.registry.detach(m)
	}
	select {
	case <-p.known:
	default:
		close(p.known) // nobody will find out any more
	}
}

// reconcile makes the members what the targets name now. The new live set is published before anything of those who left is taken down.
func (p *Pool) reconcile() {
	wanted := p.wanted()
	var kept, gone []*Peer
	for _, m := range p.members {
		if w, ok := wanted[m.address]; ok && m.link.transport == p.transport(w) {
			m.weight, m.leaving = w.share, w.leaving
			delete(wanted, m.address)
			kept = append(kept, m)
		} else {
			gone = append(gone, m)
		}
	}
	for address, w := range wanted {
		kept = append(kept, p.registry.attach(p, address, w))
	}
	sortPeers(kept)
	p.members = kept
	p.publish(p.registry.now())
	for _, m := range gone {
		p.registry.detach(m)
		if m.InFlight() > 0 {
			p.leaving = append(p.leaving, m)
		}
	}
}

// claim is what a pool's targets say about one address.
type claim struct {
	share   float64
	name    string // the host that its certificate is to be valid for
	leaving bool   // all that name it say that it is
}

// wanted is the claim on each address. What several targets name has the sum of their shares, and the host of the first.
func (p *Pool) wanted() map[string]claim {
	claims := make(map[string]claim)
	add := func(address string, p place, t Target) {
		c, ok := claims[address]
		if !ok {
			c.name, c.leaving = t.host(), true
		}
		c.share += t.Weight * p.share
		c.leaving = c.leaving && p.leaving
		claims[address] = c
	}
	for _, t := range p.options.Targets {
		k, ok := t.source()
		if !ok {
			add(canonical(t.Address), place{share: 1}, t)
			continue
		}
		for _, place := range p.registry.sources[k].found {
			add(place.at(t), place, t)
		}
	}
	return claims
}

// transport is the pool's way to an address.
func (p *Pool) transport(c claim) Transport {
	t := p.options.Transport
	if t.TLS && t.ServerName == "" {
		t.ServerName = c.name
	}
	return t
}

// host is the target's host as it is written; "" for SRV and Services, see Transport.ServerName.
func (t Target) host() string {
	host, _, _ := net.SplitHostPort(t.Address + t.DNS) // check has seen to it; one of the two is empty
	return plainName(host)
}
