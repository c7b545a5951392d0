package balancer

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/valor-ivx/weir/proxy/siphash"
)

// WeightSum is what the weights of a service sum to: hundredths of a percent.
const WeightSum = 10000

// MaxGroups is how many groups a service can have: a LiveMask is one word.
const MaxGroups = 64

// Share is one group's part of a service's traffic.
type Share struct {
	Name string
	// Weight is in hundredths of a percent.
	Weight uint32
}

// WhenEmpty says what becomes of a request whose group has no live peer.
type WhenEmpty uint8

// What to do when a group is empty.
const (
	// EmptyOther sends it to a live group with weight.
	EmptyOther WhenEmpty = iota
	// EmptyFail refuses it.
	EmptyFail
)

// LiveMask is the set of groups that have a live peer, by index of the share.
type LiveMask uint64

// With returns the set with group i in it.
func (m LiveMask) With(i int) LiveMask { return m | 1<<uint(i) }

// Has reports whether group i is in the set.
func (m LiveMask) Has(i int) bool { return i >= 0 && m>>uint(i)&1 == 1 }

// Split assigns the traffic of one service to its groups: one generation of
// weights, immutable. Groups are identified by name; their order carries no
// meaning, only the indices that are returned.
//
// Health is no part of it. A group that dies and returns has, client for client,
// what it had: Choose diverts single requests and remembers nothing.
type Split struct {
	// members are the groups with weight, ordered by name.
	members []member
	// whole says that every weight is a whole percentage.
	whole bool
	// client keys Key, ticket keys the order of ByTicket.
	client, ticket siphash.Key
}

// member is one group with weight > 0.
type member struct {
	index  int
	weight float64
	// until is where this group's part of 0..9999 ends.
	until uint64
	// key keys the group's draw for each client, failover the one for Choose.
	key, failover siphash.Key
}

// NewSplit makes the split for shares, whose weights sum to WeightSum. Assignment
// depends on secret, epoch and the names: a new epoch deals all clients anew, so
// it changes only at a rollback or a reset, never with the weights.
//
// Shares that no checked configuration holds (another sum, a name twice, more
// than MaxGroups) are a bug of the caller, and panic. No shares at all are a
// service without groups: every assignment is -1.
func NewSplit(secret []byte, epoch uint64, shares []Share) *Split {
	s := &Split{
		client: deriveKey(secret, epoch, "client", ""),
		ticket: deriveKey(secret, epoch, "ticket", ""),
	}
	if len(shares) == 0 {
		return s
	}
	if len(shares) > MaxGroups {
		panic(fmt.Sprintf("balancer: %d groups, more than %d", len(shares), MaxGroups))
	}
	sum := uint64(0)
	names := make(map[string]bool, len(shares))
	for i, share := range shares {
		if names[share.Name] {
			panic(fmt.Sprintf("balancer: group %q twice", share.Name))
		}
		names[share.Name] = true
		sum += uint64(share.Weight)
		if share.Weight > 0 {
			s.members = append(s.members, member{
				index:    i,
				weight:   float64(share.Weight),
				key:      deriveKey(secret, epoch, "group", share.Name),
				failover: deriveKey(secret, epoch, "failover", share.Name),
			})
		}
	}
	if sum != WeightSum {
		panic(fmt.Sprintf("balancer: weights sum to %d, not %d", sum, WeightSum))
	}
	slices.SortFunc(s.members, func(a, b member) int {
		return cmp.Compare(shares[a.index].Name, shares[b.index].Name)
	})
	s.stretch()
	return s
}

// ByKey returns the group of a client, -1 when no group has weight. It is
// weighted rendezvous: the least -ln(u)/weight, u drawn per group and client. A
// client changes groups only towards one whose weight grew by a larger factor
// than its own group's, so a ramp moves the share that changed and nobody back
// and forth.
func (s *Split) ByKey(client []byte) int {
	if len(s.members) == 1 {
		return s.members[0].index
	}
	choice, best := -1, math.Inf(1)
	for i := range s.members {
		m := &s.members[i]
		if score := negLog(m.key.Sum64(client)) / m.weight; score < best {
			choice, best = m.index, score
		}
	}
	return choice
}

// ByTicket returns the group of a request without a client key, -1 when no group
// has weight. Tickets are consecutive numbers. Every aligned block of 100 holds
// each group's percentage, the fraction rounded up or down, and every aligned
// block of 10,000 holds it exactly. The order within is shuffled by a keyed
// permutation per block: a fixed one would alias with periodic traffic.
func (s *Split) ByTicket(ticket uint64) int {
	switch len(s.members) {
	case 0:
		return -1
	case 1:
		return s.members[0].index
	}
	// Stretch 0..9999 between the groups by weight. The fraction, 0..99, belongs to
	// the block and is shuffled per 100 blocks; the hundred, 0..99, belongs to the
	// request and is shuffled per block. A block thus meets one place in every
	// hundred, and 100 blocks meet every place once.
	block, slot := ticket/100, ticket%100
	place := 100 * shuffle(s.ticket.Sum64Word(block<<1)).at(slot)
	if !s.whole {
		// Between whole percentages the fraction decides nothing.
		era, inEra := block/100, block%100
		place += shuffle(s.ticket.Sum64Word(era<<1 | 1)).at(inEra)
	}
	for i := range s.members {
		if place < s.members[i].until {
			return s.members[i].index
		}
	}
	return -1
}

// Key condenses a client's key material for Choose.
func (s *Split) Key(client []byte) uint64 { return s.client.Sum64(client) }

// Choose returns the group that serves a request assigned to a group, and
// whether that is a failover; -1 means none may, which is a 503. key is Key of the
// client, or the ticket.
//
// A live group serves what was assigned to it, whatever its weight: sticky
// clients of a group that drains stay. Failover goes to live groups with weight,
// in proportion to it and the same way for the same key; a group with weight 0
// never receives any.
func (s *Split) Choose(assigned int, key uint64, live LiveMask, when WhenEmpty) (group int, failover bool) {
	if live.Has(assigned) {
		return assigned, false
	}
	if assigned < 0 || when == EmptyFail {
		return -1, false
	}
	group = -1
	best := math.Inf(1)
	for i := range s.members {
		m := &s.members[i]
		if !live.Has(m.index) {
			continue
		}
		if score := negLog(m.failover.Sum64Word(key)) / m.weight; score < best {
			group, best = m.index, score
		}
	}
	return group, group >= 0
}

// deriveKey makes an independent key per purpose and group. The fields are
// length-prefixed, so that no two different lists look alike.
func deriveKey(secret []byte, epoch uint64, purpose, name string) siphash.Key {
	mac := hmac.New(sha256.New, secret)
	buf := binary.LittleEndian.AppendUint64([]byte("weir split 1\x00"), epoch)
	buf = binary.LittleEndian.AppendUint64(buf, uint64(len(purpose)))
	buf = append(buf, purpose...)
	buf = append(buf, name...)
	mac.Write(buf)
	return siphash.NewKey([16]byte(mac.Sum(nil)))
}
