package observe

import "math/rand/v2"

// IDLength is the length of a generated request id: 128 bits in hex, the shape of nginx's $request_id.
const IDLength = 32

// AppendID appends a new request id, 32 lower-case hex digits. It is safe for concurrent use and allocates nothing.
//
// The bits come from math/rand/v2's process-wide generator, ChaCha8 seeded by the operating system, one state per thread: no lock, no counter to
// share, unpredictable to clients, and 128 random bits collide after about 2⁶⁴ ids. It is an id and not a secret; nothing may be authorised by it.
func AppendID(dst []byte) []byte {
	var text [IDLength]byte
	high, low := rand.Uint64(), rand.Uint64()
	for i := range IDLength / 2 {
		text[i] = lowerHex[high&0xf]
		text[IDLength/2+i] = lowerHex[low&0xf]
		high, low = high>>4, low>>4
	}
	return append(dst, text[:]...)
}

// ValidID reports whether an id from a trusted peer may be kept: 1 to 128 characters of A-Z a-z 0-9 . _ -, which need no escaping anywhere.
func ValidID(id []byte) bool {
	if len(id) == 0 || len(id) > 128 {
		return false
	}
	for _, c := range id {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '.', c == '_', c == '-':
		default:
			return false
		}
	}
	return true
}
