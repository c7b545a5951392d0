package message

import "bytes"

// Class is a set of bytes, as a bit, so that one table look-up answers what a check asks of a byte.
type Class uint8

// The classes.
const (
	LowerTokenByte Class = 1 << iota // RFC 9110 §5.6.2 without upper case (RFC 9113 §8.2.1, RFC 9114 §4.2)
	TokenByte                        // RFC 9110 §5.6.2
	ValueByte                        // field-vchar, obs-text, SP and HTAB (RFC 9110 §5.5)
	TargetByte                       // printable ASCII but "#": no white space, controls or raw UTF-8 in a target (RFC 9112 §3.2)
	HostByte                         // names as DNS and people use them, IP literals and the port's colon; RFC 3986 §3.2.2 allows sub-delims, no real host has one
	hexByte
)

var class = func() (t [256]Class) {
	for i := range 256 {
		c := byte(i)
		lower, upper, digit := 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9'
		mark := bytes.IndexByte([]byte("!#$%&'*+-.^_`|~"), c) >= 0
		set := func(bit Class, is bool) {
			if is {
				t[i] |= bit
			}
		}
		set(LowerTokenByte, lower || digit || mark)
		set(TokenByte, lower || upper || digit || mark)
		set(ValueByte, c == '\t' || c >= 0x20 && c != 0x7f)
		set(TargetByte, c > 0x20 && c < 0x7f && c != '#')
		set(HostByte, lower || upper || digit || bytes.IndexByte([]byte("-._:[]"), c) >= 0)
		set(hexByte, digit || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F')
	}
	return t
}()

// Is reports whether c is of a class of k.
func (k Class) Is(c byte) bool { return class[c]&k != 0 }

// All reports whether every byte of b is of a class of k; true for none.
func All[T ~[]byte | ~string](b T, k Class) bool {
	for i := 0; i < len(b); i++ {
		if class[b[i]]&k == 0 {
			return false
		}
	}
	return true
}

// ValidValue reports a field value without control bytes and without white space at its ends (RFC 9113 §8.2.1).
func ValidValue(v string) bool {
	if len(v) == 0 {
		return true
	}
	first, last := v[0], v[len(v)-1]
	return first != ' ' && first != '\t' && last != ' ' && last != '\t' && All(v, ValueByte)
}

// ValidHost checks "host" or "host:port": a bracketed IP literal or a name without colons, and a port of digits.
func ValidHost(h []byte) bool {
	if len(h) == 0 || len(h) > 255+6 || !All(h, HostByte) {
		return false
	}
	if h[0] == '[' {
		end := bytes.IndexByte(h, ']')
		return end >= 3 && literal(h[1:end]) && validPort(h[end+1:])
	}
	if bytes.IndexByte(h, '[') >= 0 || bytes.IndexByte(h, ']') >= 0 {
		return false
	}
	if c := bytes.IndexByte(h, ':'); c >= 0 {
		return c > 0 && validPort(h[c:])
	}
	return true
}

func literal(b []byte) bool {
	for _, c := range b {
		if !hexByte.Is(c) && c != ':' && c != '.' {
			return false
		}
	}
	return true
}

func validPort(b []byte) bool {
	if len(b) == 0 {
		return true
	}
	return b[0] == ':' && len(b) <= 6 && digits(b[1:])
}

func digits[T ~[]byte | ~string](b T) bool {
	for i := 0; i < len(b); i++ {
		if b[i] < '0' || b[i] > '9' {
			return false
		}
	}
	return true
}

// parseLength reads 1*DIGIT, at most 18 of them so that it fits; -1 if it is anything else.
func parseLength(v string) int64 {
	if len(v) == 0 || len(v) > 18 || !digits(v) {
		return -1
	}
	var n int64
	for i := 0; i < len(v); i++ {
		n = n*10 + int64(v[i]-'0')
	}
	return n
}
