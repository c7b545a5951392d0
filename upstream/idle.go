package upstream

import (
	"sync"
	"time"
)

const (
	// idleMargin is how much earlier than the peer we close: the journey of its FIN and a janitor's round.
	idleMargin = time.Second

	// idleLeast bounds what is learned: under half a second nothing is gained by resting.
	idleLeast = 500 * time.Millisecond

	// suspectLeast is the age from which a close that stands alone is looked at: younger ones are closed by restarts, and their ages are known to a
	// janitor's round only.
	suspectLeast = int64(2 * time.Second)

	// inspected is how many of the oldest connections a janitor's round takes out at once. They are missing from the pool while they are looked
	// at, but the pool is last in, first out, so these are the ones that would be used last.
	inspected = 8
)

// idlePool holds the resting connections of one address, last in, first out: the youngest is the least likely to have been closed, and the
// others get old enough to be let go when the load falls. The list runs through the connections themselves, so that put and get allocate
// nothing. It is sorted by the time of rest.
type idlePool struct {
	mu      sync.Mutex // guards everything below and the list fields of its connections; held for a few instructions, never over a system call
	newest  *Conn
	oldest  *Conn
	count   int
	max     int
	timeout int64 // ns, as configured
	learned int64 // ns, what the peer was seen to allow less idleMargin; 0: nothing
	suspect int64 // ns, the age of the last connection that was closed with no other left to compare it with; 0: none
	closed  bool  // the address left: what comes back is closed
}

// put takes a connection to rest and reports whether it was taken.
func (p *idlePool) put(c *Conn, now int64) bool {
	p.mu.Lock()
	var evicted *Conn
	if p.closed || p.count >= p.max {
		if p.closed || c.client == (Client{}) {
			p.mu.Unlock()
			return false
		}
		evicted = p.popOldest(nil) // its client may have gone, c's is here
	}
	c.reused = true
	c.since = now
	c.newer, c.older = nil, p.newest
	if p.newest != nil {
		p.newest.newer = c
	} else {
		p.oldest = c
	}
	p.newest = c
	p.count++
	p.mu.Unlock()
	closeAll(evicted)
	return true
}

// get returns the youngest connection, or nil if there is none or it has rested too long; then all have, and the janitor, not this request,
// closes them.
func (p *idlePool) get(now int64) *Conn {
	p.mu.Lock()
	c := p.newest
	if c == nil || now-c.since >= p.limit() {
		p.mu.Unlock()
		return nil
	}
	p.newest = c.older
	if c.older != nil {
		c.older.newer = nil
	} else {
		p.oldest = nil
	}
	c.older = nil
	p.count--
	p.mu.Unlock()
	return c
}

// limit is how long a connection may rest. p.mu is held.
func (p *idlePool) limit() int64 {
	if p.learned > 0 && p.learned < p.timeout {
		return p.learned
	}
	return p.timeout
}

// configure sets the limits.
func (p *idlePool) configure(maxIdle int, timeout time.Duration) {
	p.mu.Lock()
	p.max, p.timeout = maxIdle, int64(timeout)
	p.mu.Unlock()
}

// learn lowers the limit below what the peer allows. It never rises again: the price of a wrong lesson is a few connections, the price of the
// opposite is a failed request.
func (p *idlePool) learn(allowed time.Duration) {
	n := int64(max(allowed-idleMargin, idleLeast))
	p.mu.Lock()
	if p.learned == 0 || n < p.learned {
		p.learned = n
	}
	p.mu.Unlock()
}

// size is the number of resting connections.
func (p *idlePool) size() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.count
}

// shut closes what rests and whatever comes back later.
func (p *idlePool) shut() {
	p.mu.Lock()
	p.closed = true
	c := p.newest
	p.newest, p.oldest, p.count = nil, nil, 0
	p.mu.Unlock()
	closeAll(c)
}

// tend is one round of the janitor: it closes what rested too long and what the peer closed.
func (p *idlePool) tend(now int64) {
	closeAll(p.expire(now))
	for range 1 + defaultMaxIdle/inspected {
		if !p.inspect(now) {
			return
		}
	}
}

// expire takes out all connections that rested too long and returns them as a list by older.
func (p *idlePool) expire(now int64) *Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	limit := p.limit()
	var first *Conn
	for p.oldest != nil && now-p.oldest.since >= limit {
		first = p.popOldest(first)
	}
	return first
}

// inspect looks whether the oldest connections were closed by the peer. It reports whether it is worth looking at younger ones: when all of
// these were closed.
//
// If the older ones were closed and younger ones were not, the peer closes by age: the youngest closed one tells what it allows. If all were
// closed the peer restarted, which says nothing about ages.
func (p *idlePool) inspect(now int64) (again bool) {
	p.mu.Lock()
	var list *Conn // from the youngest to the oldest of those taken
	for range inspected {
		if p.oldest == nil {
			break
		}
		list = p.popOldest(list)
	}
	all := p.oldest == nil
	p.mu.Unlock()

	var dead, alive *Conn
	var age int64
	for c := list; c != nil; {
		next := c.older
		if c.Readable() {
			if dead == nil {
				age = now - c.since
			}
			c.older, dead = dead, c
		} else {
			c.older, alive = alive, c
		}
		c = next
	}
	// A younger one that was closed beside an older one that was not is no sign of a limit by age: only the order "old closed, young open" is.
	if dead != nil && alive != nil && youngest(alive) > now-age && age >= int64(idleLeast) {
		p.learn(time.Duration(age))
	}
	if dead != nil && alive == nil && all {
		p.closedAlone(age)
	}
	p.restore(alive)
	closeAll(dead)
	return dead != nil && alive == nil
}

// closedAlone hears that the peer closed everything that rested, the youngest at this age. Once that may be a restart; twice at the same age, to the
// precision of a janitor's round, it is a limit: a peer with little traffic shows it in no other way.
func (p *idlePool) closedAlone(age int64) {
	if age < suspectLeast {
		return
	}
	p.mu.Lock()
	before := p.suspect
	p.suspect = age
	p.mu.Unlock()
	if before > 0 && max(before, age)-min(before, age) <= int64(janitorRound) {
		p.learn(time.Duration(min(before, age)) - janitorRound) // it was seen late by as much
	}
}

// youngest is the latest time of rest in a list by older.
func youngest(c *Conn) int64 {
	latest := c.since
	for ; c != nil; c = c.older {
		latest = max(latest, c.since)
	}
	return latest
}

// popOldest moves the oldest connection to the front of list. p.mu is held and there is one.
func (p *idlePool) popOldest(list *Conn) *Conn {
	c := p.oldest
	p.oldest = c.newer
	if c.newer != nil {
		c.newer.older = nil
	} else {
		p.newest = nil
	}
	c.newer, c.older = nil, list
	p.count--
	return c
}

// restore puts a list, oldest first, back to the old end, whose place it had.
func (p *idlePool) restore(list *Conn) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		closeAll(list)
		return
	}
	// The list is oldest first by older; prepending each at the old end needs the youngest first.
	var reversed *Conn
	for c := list; c != nil; {
		next := c.older
		c.older, reversed = reversed, c
		c = next
	}
	for c := reversed; c != nil; {
		next := c.older
		c.older, c.newer = nil, p.oldest
		if p.oldest != nil {
			p.oldest.older = c
		} else {
			p.newest = c
		}
		p.oldest = c
		p.count++
		c = next
	}
	p.mu.Unlock()
}

// closeAll closes a list by older.
func closeAll(c *Conn) {
	for c != nil {
		next := c.older
		c.older, c.newer = nil, nil
		_ = c.Close() // it rested: nothing is lost
		c = next
	}
}
