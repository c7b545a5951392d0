package balancer_test

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/valor-ivx/weir/balancer"
)

func drawMask(t *rapid.T, groups int, label string) balancer.LiveMask {
	return balancer.LiveMask(rapid.Uint64Max(1<<groups-1).Draw(t, label))
}

// Traffic is refused exactly when its group is dead and either the service says
// so or no live group has weight; and a zero group gets nothing by failover.
func TestChooseBlackHolesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		shares := drawShares(t, drawGroups(t), "weights")
		s := balancer.NewSplit(secret, drawEpoch(t), shares)
		live := drawMask(t, len(shares), "live")
		when := rapid.SampledFrom([]balancer.WhenEmpty{balancer.EmptyOther, balancer.EmptyFail}).Draw(t, "when")
		assigned := rapid.IntRange(-1, len(shares)-1).Draw(t, "assigned")
		key := rapid.Uint64().Draw(t, "key")

		other := false
		for i, share := range shares {
			other = other || live.Has(i) && share.Weight > 0
		}
		group, failover := s.Choose(assigned, key, live, when)
		switch {
		case live.Has(assigned):
			if group != assigned || failover {
				t.Fatalf("left its live group: %d, %v", group, failover)
			}
		case assigned < 0 || when == balancer.EmptyFail || !other:
			if group != -1 || failover {
				t.Fatalf("served by %d, %v, want none", group, failover)
			}
		default:
			if group < 0 || !failover || !live.Has(group) || shares[group].Weight == 0 {
				t.Fatalf("failover to %d, %v of %v, live %b", group, failover, shares, live)
			}
		}
	})
}

// Groups die and return in any order: what is assigned never changes, clients of
// live groups never notice, and the same death has the same consequence.
func TestHealthFlapsLoseNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		shares := drawShares(t, rapid.IntRange(2, 6).Draw(t, "groups"), "weights")
		s := balancer.NewSplit(secret, drawEpoch(t), shares)
		const clients = 100
		var home [clients]int
		for i := range home {
			home[i] = s.ByKey(client(uint64(i)))
		}
		seen := make(map[[2]uint64]int)
		flaps := rapid.IntRange(1, 10).Draw(t, "flaps")
		for range flaps {
			live := drawMask(t, len(shares), "live")
			for i := range home {
				key := s.Key(client(uint64(i)))
				assigned := s.ByKey(client(uint64(i)))
				if assigned != home[i] {
					t.Fatalf("client %d is assigned to %d, was to %d", i, assigned, home[i])
				}
				group, _ := s.Choose(assigned, key, live, balancer.EmptyOther)
				if live.Has(home[i]) && group != home[i] {
					t.Fatalf("client %d left its live group", i)
				}
				at := [2]uint64{uint64(i), uint64(live)}
				if last, ok := seen[at]; ok && last != group {
					t.Fatalf("client %d failed over to %d, then to %d", i, last, group)
				}
				seen[at] = group
			}
		}
		all := balancer.LiveMask(1<<len(shares) - 1)
		for i := range home {
			if group, failover := s.Choose(home[i], s.Key(client(uint64(i))), all, balancer.EmptyOther); group != home[i] || failover {
				t.Fatalf("client %d is not back in its group", i)
			}
		}
	})
}

func TestFailoverIsInProportionToWeights(t *testing.T) {
	shares := []balancer.Share{{"dead", 4000}, {"a", 4500}, {"b", 1500}, {"zero", 0}}
	s := balancer.NewSplit(secret, 1, shares)
	live := balancer.LiveMask(0).With(1).With(2).With(3)
	for name, key := range map[string]func(i uint64) (int, uint64){
		"client": func(i uint64) (int, uint64) { return s.ByKey(client(i)), s.Key(client(i)) },
		"ticket": func(i uint64) (int, uint64) { return s.ByTicket(i), i },
	} {
		moved, toA := 0, 0
		for i := range uint64(200_000) {
			assigned, k := key(i)
			if group, failover := s.Choose(assigned, k, live, balancer.EmptyOther); failover {
				moved++
				if group == 1 {
					toA++
				}
			}
		}
		const p = 0.75
		if z := (float64(toA) - float64(moved)*p) / math.Sqrt(float64(moved)*p*(1-p)); math.Abs(z) > 4.5 || moved < 75_000 {
			t.Errorf("by %s: %d of %d went to a, want three of four", name, toA, moved)
		}
	}
}
