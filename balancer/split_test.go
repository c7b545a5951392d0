package balancer_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/valor-ivx/weir/balancer"
)

var secret = []byte("0123456789abcdef0123456789abcdef")

// drawShares draws n groups in random order whose weights, zeros among them, sum
// to the whole.
func drawShares(t *rapid.T, n int, label string) []balancer.Share {
	unit := rapid.SampledFrom([]int{1, 50, 100}).Draw(t, label+" unit")
	cuts := rapid.SliceOfN(rapid.IntRange(0, balancer.WeightSum/unit), n-1, n-1).Draw(t, label+" cuts")
	slices.Sort(cuts)
	cuts = append(cuts, balancer.WeightSum/unit)
	shares := make([]balancer.Share, n)
	last := 0
	for i, c := range cuts {
		shares[i] = balancer.Share{Name: fmt.Sprintf("group-%d", i), Weight: uint32((c - last) * unit)}
		last = c
	}
	return rapid.Permutation(shares).Draw(t, label+" order")
}

func drawGroups(t *rapid.T) int { return rapid.IntRange(1, 6).Draw(t, "groups") }

func drawEpoch(t *rapid.T) uint64 { return rapid.Uint64().Draw(t, "epoch") }

func client(i uint64) []byte { return binary.BigEndian.AppendUint64(nil, i) }

func TestByTicketIsExactPerBlock(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		shares := drawShares(t, drawGroups(t), "weights")
		s := balancer.NewSplit(secret, drawEpoch(t), shares)
		first := rapid.Uint64Max(math.MaxUint64/balancer.WeightSum-1).Draw(t, "era") * balancer.WeightSum
		total := make([]int, len(shares))
		for block := range uint64(100) {
			count := make([]int, len(shares))
			for slot := range uint64(100) {
				count[s.ByTicket(first+100*block+slot)]++
			}
			for i, share := range shares {
				low, high := int(share.Weight)/100, (int(share.Weight)+99)/100
				if count[i] < low || count[i] > high {
					t.Fatalf("block %d: %s has %d of 100, want %d..%d", block, share.Name, count[i], low, high)
				}
				total[i] += count[i]
			}
		}
		for i, share := range shares {
			if total[i] != int(share.Weight) {
				t.Fatalf("%s has %d of 10000, want %d", share.Name, total[i], share.Weight)
			}
		}
	})
}

// Traffic with a period p meets every p-th ticket: it must see the shares too.
func TestByTicketDoesNotAliasWithPeriodicTraffic(t *testing.T) {
	for _, green := range []uint32{100, 500, 1250, 5000} {
		s := balancer.NewSplit(secret, 1, []balancer.Share{{"blue", balancer.WeightSum - green}, {"green", green}})
		for _, period := range []uint64{2, 3, 4, 5, 7, 10, 20, 25, 50, 100, 200, 10000} {
			const n = 20000
			for _, phase := range []uint64{0, 1, period - 1} {
				got := 0
				for i := range uint64(n) {
					got += s.ByTicket(i*period + phase)
				}
				p := float64(green) / balancer.WeightSum
				if z := (float64(got) - n*p) / math.Sqrt(n*p*(1-p)); math.Abs(z) > 5 {
					t.Errorf("%d/10000, every %dth from %d: share %.4f (z = %.1f)", green, period, phase, float64(got)/n, z)
				}
			}
		}
	}
}

func TestByTicketOrderDependsOnSecretAndEpoch(t *testing.T) {
	shares := []balancer.Share{{"blue", 5000}, {"green", 5000}}
	order := func(secret string, epoch uint64) (bits [4]uint64) {
		s := balancer.NewSplit([]byte(secret), epoch, shares)
		for i := range uint64(256) {
			bits[i/64] |= uint64(s.ByTicket(i)) << (i % 64)
		}
		return bits
	}
	base := order("a", 1)
	if base != order("a", 1) {
		t.Fatal("the same split has two orders")
	}
	if base == order("b", 1) || base == order("a", 2) {
		t.Fatal("another secret or epoch has the same order")
	}
}

func TestTheOrderOfGroupsCarriesNoMeaning(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		shares := drawShares(t, drawGroups(t), "weights")
		epoch := drawEpoch(t)
		turned := rapid.Permutation(shares).Draw(t, "turned")
		a, b := balancer.NewSplit(secret, epoch, shares), balancer.NewSplit(secret, epoch, turned)
		dead := rapid.SampledFrom(shares).Draw(t, "dead").Name
		live := func(shares []balancer.Share) (m balancer.LiveMask) {
			for i, s := range shares {
				if s.Name != dead {
					m = m.With(i)
				}
			}
			return m
		}
		name := func(shares []balancer.Share, i int) string {
			if i < 0 {
				return "none"
			}
			return shares[i].Name
		}
		for i := range uint64(200) {
			ka, kb := a.ByKey(client(i)), b.ByKey(client(i))
			if name(shares, ka) != name(turned, kb) {
				t.Fatalf("client %d: %s or %s", i, name(shares, ka), name(turned, kb))
			}
			if x, y := name(shares, a.ByTicket(i)), name(turned, b.ByTicket(i)); x != y {
				t.Fatalf("ticket %d: %s or %s", i, x, y)
			}
			if a.Key(client(i)) != b.Key(client(i)) {
				t.Fatalf("client %d has two keys", i)
			}
			ca, _ := a.Choose(ka, a.Key(client(i)), live(shares), balancer.EmptyOther)
			cb, _ := b.Choose(kb, b.Key(client(i)), live(turned), balancer.EmptyOther)
			if name(shares, ca) != name(turned, cb) {
				t.Fatalf("failover of client %d: %s or %s", i, name(shares, ca), name(turned, cb))
			}
		}
	})
}

// Whatever the two weight vectors, a client only moves to a group that grew by a
// larger factor than the group it leaves.
func TestByKeyMovesClientsOnlyTowardsGrowth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n, epoch := rapid.IntRange(2, 6).Draw(t, "groups"), drawEpoch(t)
		before, after := drawShares(t, n, "before"), drawShares(t, n, "after")
		weights := func(shares []balancer.Share) map[string]float64 {
			m := make(map[string]float64)
			for _, s := range shares {
				m[s.Name] = float64(s.Weight)
			}
			return m
		}
		was, is := weights(before), weights(after)
		a, b := balancer.NewSplit(secret, epoch, before), balancer.NewSplit(secret, epoch, after)
		for i := range uint64(500) {
			from, to := before[a.ByKey(client(i))].Name, after[b.ByKey(client(i))].Name
			if was[from] == 0 || is[to] == 0 {
				t.Fatalf("client %d sits in a group without weight", i)
			}
			// is/was compared without dividing by a zero.
			if from != to && is[to]*was[from] <= is[from]*was[to] {
				t.Fatalf("client %d went from %s (%v→%v) to %s (%v→%v)", i,
					from, was[from], is[from], to, was[to], is[to])
			}
		}
	})
}

// Raising one group at the others' expense in proportion moves clients into it
// alone, and just the share that changed.
func TestByKeyRampMovesOnlyTheShareThatChanged(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		others := rapid.SliceOfN(rapid.IntRange(1, 4), 1, 5).Draw(t, "others")
		parts := 0
		for _, p := range others {
			parts += p
		}
		// What the others hold is a multiple of their parts, so that each scales exactly.
		high := rapid.IntRange(1, balancer.WeightSum/parts).Draw(t, "held before")
		low := rapid.IntRange(0, high-1).Draw(t, "held after")
		vector := func(held int) []balancer.Share {
			shares := []balancer.Share{{"green", uint32(balancer.WeightSum - held*parts)}}
			for i, p := range others {
				shares = append(shares, balancer.Share{Name: fmt.Sprint("other-", i), Weight: uint32(p * held)})
			}
			return shares
		}
		epoch := drawEpoch(t)
		a, b := balancer.NewSplit(secret, epoch, vector(high)), balancer.NewSplit(secret, epoch, vector(low))
		const clients = 1500
		moved := 0
		for i := range uint64(clients) {
			from, to := a.ByKey(client(i)), b.ByKey(client(i))
			if from == to {
				continue
			}
			moved++
			if to != 0 {
				t.Fatalf("client %d moved from %d to %d while green rose", i, from, to)
			}
		}
		p := float64((high-low)*parts) / balancer.WeightSum
		if d := math.Abs(float64(moved) - clients*p); d > 6*math.Sqrt(clients*p*(1-p))+6 {
			t.Fatalf("%d of %d moved, want %.0f", moved, clients, clients*p)
		}
	})
}

// With two groups every client has one threshold: blue below it, green from there
// on. Steps of a quarter percent.
func TestByKeyGivesEachClientOneThreshold(t *testing.T) {
	splits := make([]*balancer.Split, 0, 401)
	for w := uint32(0); w <= balancer.WeightSum; w += 25 {
		splits = append(splits, balancer.NewSplit(secret, 7, []balancer.Share{
			{"blue", balancer.WeightSum - w}, {"green", w}}))
	}
	for i := range uint64(500) {
		green := false
		for w, s := range splits {
			now := s.ByKey(client(i)) == 1
			if green && !now {
				t.Fatalf("client %d went back to blue at %d", i, w*25)
			}
			green = now
		}
		if !green {
			t.Fatalf("client %d is not green at 100 %%", i)
		}
	}
}

func TestByKeyIsUniformOverClients(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, weights := range [][]uint32{{5000, 5000}, {9900, 100}, {9999, 1}, {3334, 3333, 3333}, {1000, 2000, 3000, 3900, 50, 50}} {
		shares := make([]balancer.Share, len(weights))
		for i, w := range weights {
			shares[i] = balancer.Share{Name: fmt.Sprint("g", i), Weight: w}
		}
		for epoch := range uint64(2) {
			s := balancer.NewSplit(secret, epoch, shares)
			for _, kind := range []string{"counted", "random"} {
				const clients = 50_000
				count := make([]int, len(weights))
				for i := range uint64(clients) {
					if kind == "random" {
						i = rng.Uint64()
					}
					count[s.ByKey(client(i))]++
				}
				c := 0.0
				for i, w := range weights {
					e := clients * float64(w) / balancer.WeightSum
					c += (float64(count[i]) - e) * (float64(count[i]) - e) / e
				}
				// 32 is beyond the 0.99999 quantile for up to five degrees of freedom.
				if c > 32 {
					t.Errorf("%v epoch %d, %s clients: chi-square %.1f: %v", weights, epoch, kind, c, count)
				}
			}
		}
	}
}

// A new epoch deals anew: a client is where it was as often as chance has it.
func TestANewEpochIsIndependentOfTheOld(t *testing.T) {
	shares := []balancer.Share{{"blue", 7000}, {"green", 3000}}
	a, b := balancer.NewSplit(secret, 1, shares), balancer.NewSplit(secret, 2, shares)
	c := balancer.NewSplit([]byte("another"), 1, shares)
	const clients = 100_000
	for name, other := range map[string]*balancer.Split{"epoch": b, "secret": c} {
		same := 0
		for i := range uint64(clients) {
			if a.ByKey(client(i)) == other.ByKey(client(i)) {
				same++
			}
		}
		const p = 0.7*0.7 + 0.3*0.3
		if z := (float64(same) - clients*p) / math.Sqrt(clients*p*(1-p)); math.Abs(z) > 4.5 {
			t.Errorf("another %s: %d of %d stayed, want %.0f", name, same, clients, clients*p)
		}
	}
}

// Replicas on other machines and later releases must agree: these are recorded.
func TestAssignmentsAreStable(t *testing.T) {
	s := balancer.NewSplit(secret, 3, []balancer.Share{{"blue", 5000}, {"green", 3000}, {"red", 2000}})
	keys, tickets := "", ""
	for i := range uint64(40) {
		keys += fmt.Sprint(s.ByKey(client(i)))
		tickets += fmt.Sprint(s.ByTicket(i))
	}
	if want := "0110212010121001201000020000201120010110"; keys != want {
		t.Errorf("by key: %s, want %s", keys, want)
	}
	if want := "0112210202120120010110000011011210010000"; tickets != want {
		t.Errorf("by ticket: %s, want %s", tickets, want)
	}
}

func TestNewSplitRefusesWhatNoConfigurationHolds(t *testing.T) {
	many := make([]balancer.Share, balancer.MaxGroups+1)
	for i := range many {
		many[i].Name = fmt.Sprint(i)
	}
	many[0].Weight = balancer.WeightSum
	for name, shares := range map[string][]balancer.Share{
		"sum":   {{"blue", 9999}},
		"zero":  {{"blue", 0}},
		"twice": {{"blue", 5000}, {"blue", 5000}},
		"many":  many,
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("accepted")
				}
			}()
			balancer.NewSplit(secret, 0, shares)
		})
	}
	s := balancer.NewSplit(secret, 0, nil)
	if s.ByKey(nil) != -1 || s.ByTicket(1) != -1 {
		t.Error("a split without groups assigned one")
	}
}
