package balancer

import (
	"encoding/binary"
	"math/bits"
)

// sipKey is a 128-bit SipHash key as two little-endian words.
type sipKey [2]uint64

// sipState is SipHash's v0..v3 (Aumasson and Bernstein, "SipHash: a fast
// short-input PRF", 2012). A keyed PRF and not a plain hash: clients choose
// their key material, and must not be able to choose their group with it.
type sipState struct{ v0, v1, v2, v3 uint64 }

// sum returns SipHash-2-4 of p.
func (k sipKey) sum(p []byte) uint64 {
	s := k.begin()
	n := len(p)
	for ; len(p) >= 8; p = p[8:] {
		s.word(binary.LittleEndian.Uint64(p))
	}
	last := uint64(n) << 56
	for i, b := range p {
		last |= uint64(b) << (8 * i)
	}
	return s.finish(last)
}

// sumWord returns SipHash-2-4 of the eight little-endian bytes of x.
func (k sipKey) sumWord(x uint64) uint64 {
	s := k.begin()
	s.word(x)
	return s.finish(8 << 56)
}

// begin mixes the key into the constants of the paper ("somepseudorandomly
// generatedbytes").
func (k sipKey) begin() sipState {
	return sipState{
		v0: k[0] ^ 0x736f6d6570736575,
		v1: k[1] ^ 0x646f72616e646f6d,
		v2: k[0] ^ 0x6c7967656e657261,
		v3: k[1] ^ 0x7465646279746573,
	}
}

// word takes in one message word with c = 2 rounds.
func (s *sipState) word(m uint64) {
	s.v3 ^= m
	s.round()
	s.round()
	s.v0 ^= m
}

// finish takes in the last word and runs the d = 4 final rounds.
func (s *sipState) finish(last uint64) uint64 {
	s.word(last)
	s.v2 ^= 0xff
	s.round()
	s.round()
	s.round()
	s.round()
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3
}

func (s *sipState) round() {
	s.v0 += s.v1
	s.v1 = bits.RotateLeft64(s.v1, 13) ^ s.v0
	s.v0 = bits.RotateLeft64(s.v0, 32)
	s.v2 += s.v3
	s.v3 = bits.RotateLeft64(s.v3, 16) ^ s.v2
	s.v0 += s.v3
	s.v3 = bits.RotateLeft64(s.v3, 21) ^ s.v0
	s.v2 += s.v1
	s.v1 = bits.RotateLeft64(s.v1, 17) ^ s.v2
	s.v2 = bits.RotateLeft64(s.v2, 32)
}
