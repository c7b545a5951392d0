// Package siphash is SipHash-2-4, with results of 64 and of 128 bits (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012, and their reference implementation).
//
// It hashes what clients choose, and must not be able to choose their group or their bucket with: hence keyed. It is not hash/maphash, whose seeds end with their process: a client's group outlives a restart,
// and what a limit remembers an upgrade. It refuses to make keys, and to sign: a result tells nobody where something came from.
package siphash

import (
	"encoding/binary"
	"math/bits"
)

// Key is a key as two little-endian words.
type Key [2]uint64

// NewKey is the key of these bytes.
func NewKey(b [16]byte) Key {
	return Key{binary.LittleEndian.Uint64(b[:8]), binary.LittleEndian.Uint64(b[8:])}
}

// Sum64 hashes p to 64 bits.
func (k Key) Sum64(p []byte) uint64 {
	s := k.begin()
	s.words(p)
	s.v2 ^= 0xff
	return s.half()
}

// Sum64Word is Sum64 of the eight little-endian bytes of x.
func (k Key) Sum64Word(x uint64) uint64 {
	s := k.begin()
	s.word(x)
	s.word(8 << 56)
	s.v2 ^= 0xff
	return s.half()
}

// Sum128 hashes p to 128 bits, in the order of the reference implementation.
func (k Key) Sum128(p []byte) (first, second uint64) {
	s := k.begin()
	s.v1 ^= 0xee
	s.words(p)
	s.v2 ^= 0xee
	first = s.half()
	s.v1 ^= 0xdd
	return first, s.half()
}

// begin mixes the key into the constants of the paper ("somepseudorandomlygeneratedbytes").
func (k Key) begin() state {
	return state{
		v0: k[0] ^ 0x736f6d6570736575, v1: k[1] ^ 0x646f72616e646f6d,
		v2: k[0] ^ 0x6c7967656e657261, v3: k[1] ^ 0x7465646279746573,
	}
}

type state struct{ v0, v1, v2, v3 uint64 }

// words takes in a whole message: its last word is what is left of it, and its length.
func (s *state) words(p []byte) {
	last := uint64(len(p)) << 56
	for ; len(p) >= 8; p = p[8:] {
		s.word(binary.LittleEndian.Uint64(p))
	}
	for i, b := range p {
		last |= uint64(b) << (8 * i)
	}
	s.word(last)
}

// word takes in one word of the message, with c = 2 rounds.
func (s *state) word(m uint64) {
	s.v3 ^= m
	s.round()
	s.round()
	s.v0 ^= m
}

// half is a result, or one half of the longer one, after d = 4 rounds.
func (s *state) half() uint64 {
	s.round()
	s.round()
	s.round()
	s.round()
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3
}

func (s *state) round() {
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
