package http1

// Classes of bytes, as bits, so that one table look-up answers what a parser asks of a byte.
const (
	tokenByte  = 1 << iota // RFC 9110 §5.6.2
	valueByte              // field-vchar, obs-text, SP and HTAB (RFC 9110 §5.5)
	targetByte             // printable ASCII but "#": no white space, controls or raw UTF-8 in a target (RFC 9112 §3.2)
	hexByte
)

var class = func() (t [256]uint8) {
	for i := range 256 {
		c := byte(i)
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		digit := '0' <= c && c <= '9'
		if letter || digit || contains("!#$%&'*+-.^_`|~", c) {
			t[i] |= tokenByte
		}
		if c == '\t' || c >= 0x20 && c != 0x7f {
			t[i] |= valueByte
		}
		if c > 0x20 && c < 0x7f && c != '#' {
			t[i] |= targetByte
		}
		if digit || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F' {
			t[i] |= hexByte
		}
	}
	return t
}()

func contains(s string, c byte) bool {
	for i := 0; i < len(s); i++ {
		if s[i] == c {
			return true
		}
	}
	return false
}

func all(b []byte, bits uint8) bool {
	for _, c := range b {
		if class[c]&bits == 0 {
			return false
		}
	}
	return true
}
