package upstream

import (
	"context"
	"time"

	"github.com/valor-ivx/weir/proxy/http2"
)

// Peer is one address as a member of one pool. It stays usable after it has left the pool, for the requests that hold it.
type Peer struct {
	*endpoint
	pool     *Pool
	link     *link
	rule     *EjectionOptions // the pool's; nil: none
	check    *checker         // nil: always Healthy
	governor *governor        // nil: as many requests as come

	// The control plane's; Registry.mu guards them.
	weight   float64
	leaving  bool  // its source says that it ends: it gets nothing new
	live     bool  // in the published live set as a healthy peer
	since    int64 // when it joined other live peers, ns; 0: no slow start
	up       bool  // as last announced
	told     bool  // up was announced
	leftOut  bool  // of the published live set, for its ejection
	skipTold int64 // when a skipped ejection was last logged
}

// Address is where the peer is, as "IP:port" or "name:port".
func (p *Peer) Address() string { return p.address }

// InFlight is the number of attempts at this address that have begun and not ended, over all pools.
func (p *Peer) InFlight() int64 { return p.load.InFlight() }

// Conn returns a resting connection that the peer has not closed, as far as one look at the socket can tell, or nil: then Dial.
func (p *Peer) Conn(now int64) *Conn {
	for {
		c := p.link.idle.get(now)
		if c == nil || !c.Readable() {
			return c
		}
		if p.link.idle.size() == 0 {
			p.link.idle.closedAlone(now - c.since)
		}
		_ = c.Close() // the peer closed it, or sent what nobody asked for
	}
}

// Dial opens a new connection, TLS included, within timeout (0: the pool's ConnectTimeout). The error is a *DialError.
func (p *Peer) Dial(timeout time.Duration) (*Conn, error) {
	return p.DialFor(context.Background(), Client{}, timeout)
}

// failedToDial keeps the reason for status.
func (p *Peer) failedToDial(err error) {
	p.mu.Lock()
	p.dialErr = err.Error()
	p.mu.Unlock()
}

// Multiplexed reports that requests share connections to this peer: Stream takes the place of Conn and Dial.
func (p *Peer) Multiplexed() bool { return p.link.transport.HTTP2 }

// Stream takes a stream of a connection that has room, or of a new one, made within timeout (0: the pool's ConnectTimeout). The error is a *DialError.
func (p *Peer) Stream(timeout time.Duration) (*http2.ClientStream, error) {
	if timeout <= 0 {
		timeout = p.pool.options.ConnectTimeout
	}
	s, err := p.link.stream(timeout)
	if err != nil {
		p.failedToDial(err)
	}
	return s, err
}

// Done ends the attempt that Pick began: latency is from Pick to the response head, or to the failure.
func (p *Peer) Done(now int64, latency time.Duration, o Outcome) {
	switch o {
	case Aborted:
		p.load.Abandon()
		return
	case Outrun:
		p.load.Forsake(now, latency)
		return
	}
	failed := o.failed()
	p.load.End(now, latency, failed)
	p.requests.Add(1)
	if failed {
		p.failures.Add(1)
	} else {
		p.latency.Store(int64(latency))
	}
	if p.rule == nil {
		return
	}
	if reason := p.verdict(p.rule, now, o); reason != "" {
		p.pool.registry.eject(p, reason, now)
	}
}

// state is what the pool knows. Registry.mu is held.
func (p *Peer) state() State {
	if p.check == nil {
		return Healthy
	}
	return p.check.health.state
}
