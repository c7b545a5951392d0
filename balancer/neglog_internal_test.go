package balancer

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestNegLogIsMinusTheLogarithm(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// Shifting reaches the small u, whose logarithms are large.
		h := rapid.Uint64().Draw(t, "h") >> rapid.IntRange(0, 63).Draw(t, "shift")
		want := -math.Log((float64(h>>12) + 0.5) * 0x1p-52)
		if got := negLog(h); math.Abs(got-want) > 4e-16*math.Max(1, want) {
			t.Fatalf("%#x: %v, want %v", h, got, want)
		}
	})
}

func TestNegLogIsPositiveAndFalls(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.Uint64().Draw(t, "a"), rapid.Uint64().Draw(t, "b")
		if a > b {
			a, b = b, a
		}
		if negLog(a) < negLog(b) {
			t.Fatalf("negLog(%#x) = %v < negLog(%#x) = %v", a, negLog(a), b, negLog(b))
		}
		if negLog(b) <= 0 || math.IsInf(negLog(a), 0) {
			t.Fatalf("out of range: %v, %v", negLog(a), negLog(b))
		}
	})
}

// The bits are the contract between replicas on different machines.
func TestNegLogHasTheSameBitsEverywhere(t *testing.T) {
	for _, v := range []struct{ h, want uint64 }{
		{0, 0x40425e4f7b2737fa},
		{1 << 63, 0x3fe62e42fefa39ed},
		{0x0123456789abcdef, 0x4015aa16394d4834},
		{0xfedcba9876543210, 0x3f723eb991354e4c},
		{math.MaxUint64, 0x3ca0000000000000},
	} {
		if got := math.Float64bits(negLog(v.h)); got != v.want {
			t.Errorf("%#x: %#x, want %#x", v.h, got, v.want)
		}
	}
}
