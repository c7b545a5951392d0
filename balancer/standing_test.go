package balancer_test

import (
	"fmt"
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/valor-ivx/weir/balancer"
)

func drawStandings(t *rapid.T, n int, rounds uint32) []balancer.Standing {
	list := make([]balancer.Standing, n)
	for i := range list {
		switch rapid.IntRange(0, 4).Draw(t, fmt.Sprintf("standing %d", i)) {
		case 0:
			list[i].Evicted = true
		case 1, 2:
			list[i].DrainedIn = rapid.Uint32Range(1, rounds).Draw(t, fmt.Sprintf("round %d", i))
		}
	}
	return list
}

// What is said of groups moves the clients of these groups, and nobody else: a client that was dealt to a group that still takes it stays, whatever the others do.
func TestStandingsMoveOnlyWhomTheyAreAbout(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := drawGroups(t)
		shares := drawShares(t, n, "weights")
		whole := balancer.NewSplit(secret, drawEpoch(t), shares)
		standings := drawStandings(t, n, 5)
		newcomers, earlier := balancer.Deal(whole, standings)
		for i := range uint64(50) {
			round := uint32(i % 7)
			c := client(i)
			at, got := whole.ByKey(c), earlier.Of(round, newcomers).ByKey(c)
			takes := func(g int) bool {
				s := standings[g]
				return shares[g].Weight > 0 && !s.Evicted && (s.DrainedIn == 0 || round < s.DrainedIn)
			}
			switch {
			case takes(at):
				if got != at {
					t.Fatalf("client %d of round %d left group %d (%+v) for %d", i, round, at, standings[at], got)
				}
			case got >= 0 && !takes(got):
				t.Fatalf("client %d of round %d is in group %d: %+v, weight %d", i, round, got, standings[got], shares[got].Weight)
			case got < 0:
				for g := range shares {
					if takes(g) {
						t.Fatalf("client %d of round %d is in no group, but %d takes it", i, round, g)
					}
				}
			}
		}
	})
}

// Between the groups that are left shares are as their weights are to each other, for clients and, in every 10,000 requests, for those without a key.
func TestSharesOfWhatIsLeft(t *testing.T) {
	shares := []balancer.Share{{Name: "blue", Weight: 5000}, {Name: "green", Weight: 3000}, {Name: "red", Weight: 2000}}
	newcomers, earlier := balancer.Deal(balancer.NewSplit(secret, 1, shares), []balancer.Standing{{}, {}, {DrainedIn: 1}})
	want := []float64{0.625, 0.375, 0}
	var byKey, byTicket [3]int
	const n = 20000
	for i := range uint64(n) {
		byKey[newcomers.ByKey(client(i))]++
		byTicket[newcomers.ByTicket(i)]++
	}
	for g, share := range want {
		if byTicket[g] != int(n*share) {
			t.Errorf("group %d: %d of %d by ticket", g, byTicket[g], n)
		}
		if d := math.Abs(float64(byKey[g]) - n*share); d > 5*math.Sqrt(n*share*(1-share)) {
			t.Errorf("group %d: %d of %d by key", g, byKey[g], n)
		}
	}
	if earlier.Of(0, newcomers) == newcomers || earlier.Of(1, newcomers) != newcomers {
		t.Error("incumbents are those of a round before the drain's")
	}
}

// Every combination of weight, standing, health and when_empty of two groups: where a request of each kind goes, and when nobody may take it. The rules are written out here,
// from the page on weights in docs/operations.md, not taken from the code.
func TestEveryCombination(t *testing.T) {
	type side struct {
		weight   uint32
		standing balancer.Standing
		live     bool
	}
	standings := map[string]balancer.Standing{"open": {}, "drained": {DrainedIn: 1}, "evicted": {Evicted: true}}
	cases := 0
	for _, blueWeight := range []uint32{0, 5000, 10000} {
		for blueName, blueStanding := range standings {
			for greenName, greenStanding := range standings {
				for mask := range 4 {
					for _, when := range []balancer.WhenEmpty{balancer.EmptyOther, balancer.EmptyFail} {
						for _, incumbent := range []bool{false, true} {
							sides := []side{{blueWeight, blueStanding, mask&1 != 0}, {10000 - blueWeight, greenStanding, mask&2 != 0}}
							name := fmt.Sprintf("blue %d %s live=%t, green %d %s live=%t, when_empty %d, incumbent=%t", blueWeight, blueName, sides[0].live, 10000-blueWeight, greenName, sides[1].live, when, incumbent)
							newcomers, earlier := balancer.Deal(balancer.NewSplit(secret, 1, []balancer.Share{{Name: "blue", Weight: sides[0].weight}, {Name: "green", Weight: sides[1].weight}}),
								[]balancer.Standing{blueStanding, greenStanding})
							var live balancer.LiveMask
							for g, s := range sides {
								if s.live {
									live = live.With(g)
								}
							}
							split := newcomers
							if incumbent {
								split = earlier.Of(0, newcomers)
							}
							for i := range uint64(20) {
								cases++
								assigned := split.ByKey(client(i))
								got, failover := newcomers.Choose(assigned, split.Key(client(i)), live, when)
								mine := func(g int) bool { // may be assigned to the client
									s := sides[g]
									return s.weight > 0 && !s.standing.Evicted && (s.standing.DrainedIn == 0 || incumbent)
								}
								spare := func(g int) bool { // may be failed over to
									s := sides[g]
									return s.weight > 0 && s.standing == balancer.Standing{} && s.live
								}
								switch {
								case assigned >= 0 && !mine(assigned), assigned < 0 && (mine(0) || mine(1)):
									t.Fatalf("%s: assigned to %d", name, assigned)
								case assigned < 0:
									if got >= 0 {
										t.Fatalf("%s: no group has it, but %d serves", name, got)
									}
								case sides[assigned].live:
									if got != assigned || failover {
										t.Fatalf("%s: %d is live, but %d serves", name, assigned, got)
									}
								case when == balancer.EmptyFail || !spare(1-assigned):
									if got >= 0 {
										t.Fatalf("%s: %d is dead and nobody may help, but %d serves", name, assigned, got)
									}
								case got != 1-assigned || !failover:
									t.Fatalf("%s: %d is dead and the other may help, but %d serves", name, assigned, got)
								}
							}
						}
					}
				}
			}
		}
	}
	t.Logf("%d cases", cases)
}

// The bugs of a peer's weights that its users reported, each as what must hold here.
func TestPeersBugs(t *testing.T) {
	shares := func(blue uint32) []balancer.Share {
		return []balancer.Share{{Name: "blue", Weight: blue}, {Name: "green", Weight: 10000 - blue}}
	}
	split := func(blue uint32) *balancer.Split { return balancer.NewSplit(secret, 1, shares(blue)) }
	both, onlyBlue := balancer.LiveMask(0).With(0).With(1), balancer.LiveMask(0).With(0)
	t.Run("traefik 8157: weight 0 and stickiness", func(t *testing.T) {
		// A group that gets no newcomers is reachable for those who were there: that is a drain. Weight 0 moves them.
		newcomers, earlier := balancer.Deal(split(5000), []balancer.Standing{{}, {DrainedIn: 1}})
		stayed := 0
		for i := range uint64(1000) {
			if was := split(5000).ByKey(client(i)); was == 1 {
				stayed++
				if got := earlier.Of(0, newcomers).ByKey(client(i)); got != 1 {
					t.Fatalf("an incumbent of green is in %d", got)
				}
			}
			if newcomers.ByKey(client(i)) != 0 || split(10000).ByKey(client(i)) != 0 {
				t.Fatal("a newcomer, or anybody at weight 0, is in green")
			}
		}
		if stayed == 0 {
			t.Error("nobody was in green")
		}
	})
	t.Run("traefik 7693: a dead group keeps its share", func(t *testing.T) {
		for i := range uint64(1000) {
			if got, _ := split(5000).Choose(split(5000).ByTicket(i), i, onlyBlue, balancer.EmptyOther); got != 0 {
				t.Fatalf("request %d goes to %d", i, got)
			}
		}
	})
	t.Run("traefik 2986, 3842: weights lost when health returns", func(t *testing.T) {
		s := split(9000)
		counts := map[int]int{}
		for i := range uint64(300) {
			live := both
			if i/100 == 1 { // the second hundred finds green dead
				live = onlyBlue
			}
			got, _ := s.Choose(s.ByTicket(i), i, live, balancer.EmptyOther)
			if i/100 != 1 {
				counts[got]++
			}
		}
		if counts[0] != 180 || counts[1] != 20 {
			t.Errorf("%v of 200", counts)
		}
	})
	t.Run("traefik 6127, 4771: 0 as a fallback", func(t *testing.T) {
		for i := range uint64(100) {
			if got, _ := split(10000).Choose(0, i, balancer.LiveMask(0).With(1), balancer.EmptyOther); got >= 0 {
				t.Fatalf("a group of weight 0 gets failover: %d", got)
			}
		}
	})
	t.Run("argo-rollouts 4973: traffic during an abort", func(t *testing.T) {
		for i := range uint64(1000) {
			if split(10000).ByKey(client(i)) != 0 || split(10000).ByTicket(i) != 0 {
				t.Fatal("after a rollback somebody is in green")
			}
		}
	})
}
