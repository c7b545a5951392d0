package balancer_test

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/valor-ivx/weir/balancer"
)

// textbook steps smooth weighted round robin as nginx describes it: every peer
// gains its weight, the largest current weight is chosen and loses the sum.
func textbook(weights []int, n int) []int {
	current := make([]int, len(weights))
	sum := 0
	for _, w := range weights {
		sum += w
	}
	var order []int
	for range n {
		for i := range current {
			current[i] += weights[i]
		}
		best := slices.Index(current, slices.Max(current))
		current[best] -= sum
		order = append(order, best)
	}
	return order
}

func inOrder(weights []float64, first uint64, n int) []int {
	v := balancer.View{Peers: peersOf(weights...)}
	p := balancer.New(balancer.RoundRobin, v.Peers, balancer.Options{})
	var order []int
	for i := range uint64(n) {
		v.Ticket = first + i
		order = append(order, p.Pick(&v, 0))
	}
	return order
}

func TestRoundRobinIsTheKnownSequence(t *testing.T) {
	// The example in nginx's own commit message for {5, 1, 1}.
	if got := inOrder([]float64{5, 1, 1}, 0, 7); !slices.Equal(got, []int{0, 0, 1, 0, 2, 0, 0}) {
		t.Fatal(got)
	}
}

func TestRoundRobinEqualsTheTextbook(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		whole := rapid.SliceOfN(rapid.IntRange(1, 40), 1, 12).Draw(t, "weights")
		scale := rapid.IntRange(1, 1000).Draw(t, "scale")
		weights := make([]float64, len(whole))
		sum := 0
		for i, w := range whole {
			weights[i] = float64(w * scale)
			sum += w
		}
		n := 2*sum + 3
		if got, want := inOrder(weights, 0, n), textbook(whole, n); !slices.Equal(got, want) {
			t.Fatalf("%v:\n%v, want\n%v", weights, got, want)
		}
	})
}

// Weights that no short cycle holds exactly are rounded, and nobody is forgotten.
func TestRoundRobinRoundsWhatItCannotHold(t *testing.T) {
	for _, weights := range [][]float64{{0.001, 1, 1000}, {1e-9, 1}, {99991, 99989, 7}, {1e300, 1e300, 1}} {
		t.Run(fmt.Sprint(weights), func(t *testing.T) {
			order := inOrder(weights, 0, 8200)
			for i := range weights {
				if !slices.Contains(order, i) {
					t.Errorf("peer %d is never picked", i)
				}
			}
		})
	}
}

// A retry goes on to whoever is next in the order.
func TestRoundRobinSkipsTriedPeersForward(t *testing.T) {
	v := balancer.View{Peers: peersOf(1, 1, 1, 1), Ticket: 2}
	p := balancer.New(balancer.RoundRobin, v.Peers, balancer.Options{})
	for _, want := range []int{2, 3, 0, 1, -1} {
		got := p.Pick(&v, 0)
		if got != want {
			t.Fatalf("picked %d, want %d", got, want)
		}
		v.Tried.Add(got)
	}
}
