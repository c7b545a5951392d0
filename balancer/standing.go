package balancer

import (
	"math/bits"
	"slices"
)

// Standing is what an operator has said about a group, beside its weight. The zero
// value is a group that is as its weight says.
type Standing struct {
	// Evicted says that nobody is assigned to the group any more.
	Evicted bool
	// DrainedIn is the round in which the group began to drain: clients that were
	// dealt in an earlier one stay, newcomers go elsewhere. 0: it does not drain.
	DrainedIn uint32
}

// Open reports a group that newcomers and failover may go to, weight given.
func (s Standing) Open() bool { return !s.Evicted && s.DrainedIn == 0 }

// Incumbents are the splits of clients that were there before a group began to
// drain. Nil while none drains.
type Incumbents []incumbents

// incumbents are those who were first dealt before a round.
type incumbents struct {
	before uint32
	split  *Split
}

// Deal divides one split by what operators have said about its groups: the split
// for newcomers, for requests without a key and for failover, which holds only
// open groups, and those for incumbents.
//
// It needs no memory of clients: who was there before is told by the round that
// their cookie carries. Between groups that are open nobody moves, whatever
// happens to the others.
func Deal(whole *Split, standings []Standing) (newcomers *Split, earlier Incumbents) {
	var closed, evicted LiveMask
	var rounds []uint32
	for i, s := range standings {
		if !s.Open() {
			closed = closed.With(i)
		}
		switch {
		case s.Evicted:
			evicted = evicted.With(i)
		case s.DrainedIn > 0:
			rounds = append(rounds, s.DrainedIn)
		}
	}
	if closed == 0 {
		return whole, nil
	}
	slices.Sort(rounds)
	for _, round := range slices.Compact(rounds) {
		// For those dealt before this round, and in or after the one before it.
		out := evicted
		for i, s := range standings {
			if s.DrainedIn > 0 && s.DrainedIn < round {
				out = out.With(i)
			}
		}
		earlier = append(earlier, incumbents{round, whole.Without(out)})
	}
	return whole.Without(closed), earlier
}

// Of is the split of a client that was first dealt in a round.
func (e Incumbents) Of(round uint32, newcomers *Split) *Split {
	for i := range e {
		if round < e[i].before {
			return e[i].split
		}
	}
	return newcomers
}

// Without is the split of the same clients over the groups that are not in out.
// Those keep their weights relative to each other, client for client; with none
// left every assignment is -1.
func (s *Split) Without(out LiveMask) *Split {
	rest := &Split{client: s.client, ticket: s.ticket}
	for _, m := range s.members {
		if !out.Has(m.index) {
			rest.members = append(rest.members, m)
		}
	}
	rest.stretch()
	return rest
}

// Members are the groups with weight in this split.
func (s *Split) Members() (set LiveMask) {
	for i := range s.members {
		set = set.With(s.members[i].index)
	}
	return set
}

// Len is how many groups are in the set.
func (m LiveMask) Len() int { return bits.OnesCount64(uint64(m)) }

// stretch lays the members over 0..9999 for ByTicket. Weights that sum to less,
// because groups were left out, are scaled up; the ends are rounded, so that no
// part is off by more than one in 10,000.
func (s *Split) stretch() {
	var sum uint64
	for i := range s.members {
		sum += uint64(s.members[i].weight)
	}
	s.whole = true
	var part uint64
	for i := range s.members {
		part += uint64(s.members[i].weight)
		s.members[i].until = (part*WeightSum + sum/2) / sum
		s.whole = s.whole && s.members[i].until%100 == 0
	}
}
