package balancer

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestShuffleIsAPermutation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := shuffle(rapid.Uint64().Draw(t, "key"))
		var seen [100]bool
		for x := range uint64(100) {
			y := s.at(x)
			if y > 99 || seen[y] {
				t.Fatalf("%d goes to %d", x, y)
			}
			seen[y] = true
		}
	})
}

// Chi-square of the images of single places and of pairs of neighbours over many
// keys: at most six standard deviations above its mean.
func TestShuffleIsUniform(t *testing.T) {
	const keys = 500_000
	var single [100][100]int
	pairs := make([]int, 100*100)
	for k := range uint64(keys) {
		s := shuffle(mix(k))
		for _, x := range []uint64{0, 1, 9, 10, 55, 99} {
			single[x][s.at(x)]++
		}
		pairs[s.at(0)*100+s.at(1)]++
	}
	for _, x := range []int{0, 1, 9, 10, 55, 99} {
		if c, limit := chiSquare(single[x][:], keys/100.0), 99+6*math.Sqrt(2*99); c > limit {
			t.Errorf("place %d: chi-square %.0f > %.0f", x, c, limit)
		}
	}
	for i := range 100 {
		if pairs[i*101] != 0 {
			t.Fatalf("two places share image %d", i)
		}
	}
	// The 100 impossible pairs are 0 and add their expectation: take it off.
	const each = keys / 9900.0
	c := chiSquare(pairs, each) - 100*each
	if limit := 9899 + 6*math.Sqrt(2*9899); c > limit {
		t.Errorf("pairs: chi-square %.0f > %.0f", c, limit)
	}
}

func chiSquare(counts []int, each float64) float64 {
	c := 0.0
	for _, n := range counts {
		c += (float64(n) - each) * (float64(n) - each) / each
	}
	return c
}
