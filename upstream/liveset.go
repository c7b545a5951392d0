package upstream

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/valor-ivx/weir/balancer"
)

// LiveSet is who may get requests, with the policy that chooses. It is immutable. A request loads it once and keeps it over its attempts, because
// Tried holds positions in it.
type LiveSet struct {
	peers      []*Peer
	candidates []balancer.Candidate
	policy     balancer.Policy
	slowStart  time.Duration
	fallback   bool
	governed   bool // every peer has a governor
	shared     *pickState
}

// pickState is what the live sets of one pool share and write to.
type pickState struct {
	ticket atomic.Uint64 // one per pick: round robin counts by it and goes on over transitions
	_      [56]byte      // every core writes the ticket: keep it off the lines that picks only read

	// views are scratch: a policy is called through an interface, so a View on the stack would move to the heap.
	views sync.Pool
}

func newLiveSet(p *Pool, peers []*Peer, fallback bool) *LiveSet {
	s := &LiveSet{peers: peers, slowStart: p.options.SlowStart, fallback: fallback, governed: p.options.Adaptive != nil, shared: &p.picks}
	for _, m := range peers {
		s.candidates = append(s.candidates, balancer.Candidate{Weight: m.weight, Hash: m.hash, Since: m.since, Load: &m.load})
	}
	s.policy = balancer.New(p.options.Balance, s.candidates, balancer.Options{})
	return s
}

// Len is the number of peers.
func (s *LiveSet) Len() int { return len(s.peers) }

// Fallback says that no peer is healthy: the peers, if there are any, are here because of WhenNoneHealthy. Another group should be preferred.
func (s *LiveSet) Fallback() bool { return s.fallback }

// At returns peer i.
func (s *LiveSet) At(i int) *Peer { return s.peers[i] }

// Pick chooses the peer for one attempt, marks it tried and counts it in flight until Done. It returns nil when every peer was tried or there
// is none. key matters to hash policies only.
func (s *LiveSet) Pick(key uint64, now int64, tried *balancer.Tried) *Peer {
	if len(s.peers) == 0 {
		return nil
	}
	v, _ := s.shared.views.Get().(*balancer.View)
	if v == nil {
		v = new(balancer.View)
	}
	v.Peers, v.Ticket, v.Now, v.SlowStart, v.Tried = s.candidates, s.shared.ticket.Add(1), now, s.slowStart, *tried
	i := s.policy.Pick(v, key)
	if s.governed {
		i = s.admit(v, key, i, tried)
	}
	v.Peers = nil // a resting view must not keep an old live set
	s.shared.views.Put(v)
	if i < 0 || !tried.Add(i) {
		return nil
	}
	p := s.peers[i]
	p.load.Begin()
	return p
}

// admit passes over peers that are at their limit: i or the policy's next choices, then, when those are all that a Tried can hold, whoever has room.
func (s *LiveSet) admit(v *balancer.View, key uint64, i int, tried *balancer.Tried) int {
	if tried.Len() == balancer.MaxTried {
		return -1 // it would not be told
	}
	for i >= 0 {
		if s.peers[i].governor.enter(v.Now) {
			return i
		}
		if !v.Tried.Add(i) {
			break
		}
		i = s.policy.Pick(v, key)
	}
	for i, p := range s.peers {
		if !v.Tried.Has(i) && p.governor.enter(v.Now) {
			return i
		}
	}
	return -1
}

// Full reports, after Pick has returned nil, that peers are left but at their limit.
func (s *LiveSet) Full(tried *balancer.Tried) bool {
	return s.governed && tried.Len() < min(len(s.peers), balancer.MaxTried)
}
