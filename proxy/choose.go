package proxy

import (
	"hash/maphash"

	"github.com/valor-ivx/weir/balancer"
	"github.com/valor-ivx/weir/upstream"
)

// choice is where the attempts of one exchange go: a group, its live set as it was when the group was chosen, and what was tried in it.
type choice struct {
	Placement
	assigned int // group by weight, or that a tester asked for; what evidence and shares are counted on
	group    int
	live     *upstream.LiveSet
	tried    balancer.Tried
	spent    balancer.LiveMask // groups of which nothing is left to try
	key      uint64            // for the policy within the group
}

// choose assigns the request to a group, then to the group that can serve it.
func (x *Exchange) choose(c *choice) *Error {
	s := x.service
	*c = choice{}
	x.place(c)
	if s.HashKey.Source != HashNone {
		c.key = x.hashKey(s.HashKey)
	}
	switch {
	case c.assigned < 0:
		return errNoGroup
	case c.Forced && s.Evicted.Has(c.assigned):
		return errEvicted
	case !x.enter(c):
		return errNoPeer
	}
	return nil
}

var (
	errNoPeer      = &Error{503, NoPeer, nil}
	errNoGroup     = &Error{503, NoGroup, nil}
	errEvicted     = &Error{503, GroupEvicted, nil}
	errTargetsFull = &Error{503, TargetsFull, nil}
)

// enter picks the group for the next attempt: the assigned one while it has a live peer left, else what WhenEmpty allows. A group is live when a peer of it
// is healthy; only when no group with weight is live does a group whose policy is "any" get its unhealthy peers tried. Failover is to the groups of Split: to none that has
// no weight, drains or is evicted. Who asked for a group gets that one or none.
func (x *Exchange) enter(c *choice) bool {
	s, when := x.service, x.service.WhenEmpty
	if c.Forced {
		when = balancer.EmptyFail
	}
	var healthy, willing balancer.LiveMask
	for i := range s.Groups {
		if c.spent.Has(i) {
			continue
		}
		live := s.Groups[i].Pool.Live()
		if live.Len() == 0 {
			continue
		}
		willing = willing.With(i)
		if !live.Fallback() {
			healthy = healthy.With(i)
		}
	}
	g, _ := s.Split.Choose(c.assigned, c.Client, healthy, when)
	if g < 0 {
		g, _ = s.Split.Choose(c.assigned, c.Client, willing, when)
	}
	if g < 0 {
		return false
	}
	c.group, c.live, c.tried = g, s.Groups[g].Pool.Live(), balancer.Tried{}
	x.group = &s.Groups[g]
	return c.live.Len() > 0
}

// pick is the peer of the next attempt, nil when there is none left in any group that may serve the request.
func (x *Exchange) pick(c *choice, now int64) *upstream.Peer {
	for {
		if p := c.live.Pick(c.key, now, &c.tried); p != nil {
			return p
		}
		if c.live.Full(&c.tried) { // another group has its own clients
			return nil
		}
		c.spent = c.spent.With(c.group)
		if !x.enter(c) {
			return nil
		}
	}
}

// hashSeed is fixed per process: hashing policies need the same key for the same client only as long as the live set lives.
var hashSeed = maphash.MakeSeed()

func (x *Exchange) hashKey(k HashKey) uint64 {
	var value []byte
	switch k.Source {
	case HashClientIP:
		value = x.who.address
	case HashPath:
		value = x.path
	case HashHeader:
		value, _ = x.req.Header.Get(k.Name)
	case HashCookie:
		value = x.req.Header.CookieValue(k.Name)
	}
	if len(value) == 0 {
		value = x.who.address // a request without the key still sticks to one peer
	}
	return maphash.Bytes(hashSeed, value)
}
