package limit

import (
	"encoding/binary"
	"math/bits"
)

// hashKey is the key of SipHash-2-4 with 128 bits of result (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012, and their reference implementation). Not hash/maphash, whose seeds
// end with their process: what a limit remembers outlives an upgrade of the program, so its keys must mean the same in the next one. A keyed function and not a plain hash because clients choose
// what they are counted by.
type hashKey [2]uint64

func newHashKey(secret [16]byte) hashKey {
	return hashKey{binary.LittleEndian.Uint64(secret[:8]), binary.LittleEndian.Uint64(secret[8:])}
}

// sum allocates nothing.
func (k hashKey) sum(p []byte) Key {
	s := sipState{
		v0: k[0] ^ 0x736f6d6570736575, v1: k[1] ^ 0x646f72616e646f6d ^ 0xee,
		v2: k[0] ^ 0x6c7967656e657261, v3: k[1] ^ 0x7465646279746573,
	}
	last := uint64(len(p)) << 56
	for ; len(p) >= 8; p = p[8:] {
		s.word(binary.LittleEndian.Uint64(p))
	}
	for i, b := range p {
		last |= uint64(b) << (8 * i)
	}
	s.word(last)
	s.v2 ^= 0xee
	high := s.half()
	s.v1 ^= 0xdd
	return Key{high, s.half()}
}

// sipState is SipHash's v0 to v3.
type sipState struct{ v0, v1, v2, v3 uint64 }

// word takes in one word of the message, with c = 2 rounds.
func (s *sipState) word(m uint64) {
	s.v3 ^= m
	s.round()
	s.round()
	s.v0 ^= m
}

// half is one half of the result, after d = 4 rounds.
func (s *sipState) half() uint64 {
	for range 4 {
		s.round()
	}
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
