package limit

import (
	"encoding/binary"
	"encoding/hex"
	"testing"
)

// TestSipHash: the vectors of the reference implementation (vectors.h, SipHash-2-4 with 128 bits), with the key 00 01 … 0f and the message 00 01 … of each length.
func TestSipHash(t *testing.T) {
	var secret [16]byte
	for i := range secret {
		secret[i] = byte(i)
	}
	var message []byte
	for i, want := range []string{"a3817f04ba25a8e66df67214c7550293", "da87c1d86b99af44347659119b22fc45", "8177228da4a45dc7fca38bdef60affe4"} {
		k := newHashKey(secret).sum(message)
		got := binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, k.high), k.low)
		if hex.EncodeToString(got) != want {
			t.Errorf("%d bytes: %x, want %s", i, got, want)
		}
		message = append(message, byte(i))
	}
	seen := map[Key]int{}
	for i := range 64 { // every length of a last word
		k := newHashKey(secret).sum(make([]byte, i))
		if other, ok := seen[k]; ok {
			t.Errorf("%d zeroes fall together with %d", i, other)
		}
		seen[k] = i
	}
}
