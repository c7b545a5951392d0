package observe

import "math/bits"

// nextUnclean returns the index of the first byte at or after from that neither format prints as it is: a control byte, DEL, a quote, a backslash, or
// anything beyond ASCII. len(s) when there is none. Most of a line is clean, so it looks at eight bytes at a time.
func nextUnclean[S []byte | string](s S, from int) int {
	i := from
	for ; i+8 <= len(s); i += 8 {
		w := s[i : i+8]
		x := uint64(w[0]) | uint64(w[1])<<8 | uint64(w[2])<<16 | uint64(w[3])<<24 |
			uint64(w[4])<<32 | uint64(w[5])<<40 | uint64(w[6])<<48 | uint64(w[7])<<56
		if found := uncleanBits(x); found != 0 {
			return i + bits.TrailingZeros64(found)/8
		}
	}
	for ; i < len(s); i++ {
		if c := s[i]; c < 0x20 || c >= 0x7f || c == '"' || c == '\\' {
			return i
		}
	}
	return i
}

// uncleanBits sets the top bit of unclean bytes. A borrow can set bits above an unclean byte too, so only the lowest is to be trusted.
// (x - n·ones) & ^x & tops is non-zero exactly when some byte is below n (n ≤ 128); a byte equals c when it is below 1 after x ^ c·ones.
func uncleanBits(x uint64) uint64 {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	quote, slash, del := x^ones*'"', x^ones*'\\', x^ones*0x7f
	return (x | (x-ones*0x20)&^x | (quote-ones)&^quote | (slash-ones)&^slash | (del-ones)&^del) & tops
}
