package montecarlo

import (
	"math"
	"unicode/utf16"
)

// The original's generator is mulberry32: a counter that a step adds to, and a mix of it. So a stream can be entered anywhere.
const step = 0x6D2B79F5

// seedOf hashes a text by its UTF-16 code units, as the original's JavaScript sees it.
func seedOf(text string) uint32 {
	h := uint32(0xDEADBEEF)
	for _, unit := range utf16.Encode([]rune(text)) {
		h = (h ^ uint32(unit)) * 2654435761
	}
	return h
}

// stream is a position in the sequence of one seed.
type stream struct {
	counter uint32
	// zeros counts draws that were drawn again, after which the stream is one further than its draws say.
	zeros int
}

// at is the stream after n draws.
func at(seed uint32, n int) stream { return stream{counter: seed + uint32(n)*step} }

// uniform is in [0, 1).
func (s *stream) uniform() float64 {
	s.counter += step
	t := s.counter
	t = (t ^ t>>15) * (t | 1)
	t ^= t + (t^t>>7)*(t|61)
	return float64(t^t>>14) / (1 << 32)
}

// positive is in (0, 1).
func (s *stream) positive() float64 {
	for {
		if u := s.uniform(); u > 0 {
			return u
		}
		s.zeros++
	}
}

// normal is the cosine branch of Box and Muller (1958): two draws.
func (s *stream) normal() float64 {
	u, v := s.positive(), s.positive()
	return math.Sqrt(-2*math.Log(u)) * math.Cos(2*math.Pi*v)
}
