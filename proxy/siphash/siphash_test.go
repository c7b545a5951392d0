package siphash_test

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/valor-ivx/weir/proxy/siphash"
)

// reference gives the reference implementation's key 00 01 … 0f, and its message 00 01 … of n bytes.
func reference(n int) (siphash.Key, []byte) {
	var key [16]byte
	for i := range key {
		key[i] = byte(i)
	}
	message := make([]byte, n)
	for i := range message {
		message[i] = byte(i)
	}
	return siphash.NewKey(key), message
}

// TestSum64: appendix A of the paper for 15 bytes, the reference implementation's vectors.h for the others.
func TestSum64(t *testing.T) {
	for n, want := range map[int]uint64{
		0: 0x726fdb47dd0e0e31, 1: 0x74f839c593dc67fd, 2: 0x0d6c8009d9a94f5a, 3: 0x85676696d7fb7e2d, 4: 0xcf2794e0277187b7,
		5: 0x18765564cd99a68d, 6: 0xcbc9466e58fee3ce, 7: 0xab0200f58b01d137, 8: 0x93f5f5799a932462, 15: 0xa129ca6149be45e5,
	} {
		key, message := reference(n)
		if got := key.Sum64(message); got != want {
			t.Errorf("%d bytes: %#x, want %#x", n, got, want)
		}
	}
}

func TestSum64Word(t *testing.T) {
	key, _ := reference(0)
	for _, x := range []uint64{0, 1, 1 << 63, 0x0123456789abcdef} {
		if got, want := key.Sum64Word(x), key.Sum64(binary.LittleEndian.AppendUint64(nil, x)); got != want {
			t.Errorf("%#x: %#x, want %#x", x, got, want)
		}
	}
}

// TestSum128: the reference implementation's vectors.h.
func TestSum128(t *testing.T) {
	for n, want := range []string{"a3817f04ba25a8e66df67214c7550293", "da87c1d86b99af44347659119b22fc45", "8177228da4a45dc7fca38bdef60affe4"} {
		key, message := reference(n)
		first, second := key.Sum128(message)
		if got := fmt.Sprintf("%x", binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, first), second)); got != want {
			t.Errorf("%d bytes: %s, want %s", n, got, want)
		}
	}
}

// TestEveryLength: messages of zeroes differ by their lengths alone.
func TestEveryLength(t *testing.T) {
	key, _ := reference(0)
	short, long := map[uint64]int{}, map[[2]uint64]int{}
	for n := range 64 {
		message := make([]byte, n)
		first, second := key.Sum128(message)
		short[key.Sum64(message)]++
		long[[2]uint64{first, second}]++
	}
	if len(short) != 64 || len(long) != 64 {
		t.Errorf("%d and %d results for 64 lengths", len(short), len(long))
	}
}

func BenchmarkSum(b *testing.B) {
	key, message := reference(20)
	var sink uint64
	b.Run("64", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			sink += key.Sum64(message)
		}
	})
	b.Run("64/word", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			sink += key.Sum64Word(sink)
		}
	})
	b.Run("128", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			first, second := key.Sum128(message)
			sink += first ^ second
		}
	})
}
