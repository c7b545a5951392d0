package proxy

import (
	"cmp"
	"slices"
	"time"
)

// MakeRoom closes up to n idle connections, those that have been idle for longest first, of one listener or, if l is nil, of all. It returns how many it told to
// close: they do so on their own goroutines, at once, unless a request has just reached them. It looks at every connection, so it is for when there is no room,
// and for more than one at a time.
func (p *Proxy) MakeRoom(l *Listener, n int) int {
	type resting struct {
		client *client
		since  int64
	}
	var idle []resting
	p.mu.Lock()
	for c := range p.clients {
		if l != nil && c.listener != l {
			continue
		}
		if since := c.idleSince(); since > 0 {
			idle = append(idle, resting{c, since})
		}
	}
	p.mu.Unlock()
	slices.SortFunc(idle, func(a, b resting) int { return cmp.Compare(a.since, b.since) })
	idle = idle[:min(n, len(idle))]
	for _, r := range idle {
		r.client.evict()
	}
	return len(idle)
}

// idleSince is since when nothing happens on the connection, ns; 0: something does, or it was told to close.
func (c *client) idleSince() int64 {
	if c.http2 == nil {
		if c.evicted.Load() {
			return 0
		}
		return c.idle.Load()
	}
	since, idle := c.http2.Idle()
	if !idle {
		return 0
	}
	return max(1, int64(since.Sub(c.proxy.base)/time.Nanosecond))
}

// evict is interrupt for one connection while others stay. evicted comes first: who finds reading stopped knows why, even one that has served a whole request since it was last looked at,
// because lifting it takes mu.
func (c *client) evict() {
	c.listener.Metrics.Evicted()
	if c.http2 != nil {
		c.http2.Drain()
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.evicted.Store(true)
	if c.idle.Load() == 0 { // a request was faster
		c.evicted.Store(false)
		return
	}
	_ = c.conn.StopReading() // fails only when the connection is closed already
}
