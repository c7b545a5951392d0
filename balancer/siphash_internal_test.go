package balancer

import (
	"encoding/binary"
	"testing"
)

// The key 00..0f, messages 00..n-1: appendix A of the paper for 15 bytes, the
// reference implementation's table for the others.
func TestSipHashMatchesTheReferenceVectors(t *testing.T) {
	key := sipKey{0x0706050403020100, 0x0f0e0d0c0b0a0908}
	message := make([]byte, 64)
	for i := range message {
		message[i] = byte(i)
	}
	for _, v := range []struct {
		n    int
		want uint64
	}{
		{0, 0x726fdb47dd0e0e31}, {1, 0x74f839c593dc67fd}, {2, 0x0d6c8009d9a94f5a},
		{3, 0x85676696d7fb7e2d}, {4, 0xcf2794e0277187b7}, {5, 0x18765564cd99a68d},
		{6, 0xcbc9466e58fee3ce}, {7, 0xab0200f58b01d137}, {8, 0x93f5f5799a932462},
		{15, 0xa129ca6149be45e5},
	} {
		if got := key.sum(message[:v.n]); got != v.want {
			t.Errorf("%d bytes: %#x, want %#x", v.n, got, v.want)
		}
	}
}

func TestSipHashOfAWordIsThatOfItsBytes(t *testing.T) {
	key := deriveKey([]byte("secret"), 1, "test", "")
	for _, x := range []uint64{0, 1, 1 << 63, 0x0123456789abcdef} {
		if got, want := key.sumWord(x), key.sum(binary.LittleEndian.AppendUint64(nil, x)); got != want {
			t.Errorf("%#x: %#x, want %#x", x, got, want)
		}
	}
}
