package http2

import (
	"bytes"

	"github.com/valor-ivx/weir/proxy/message"
)

// Classes of bytes, as bits, so that one table look-up answers what a check asks of a byte.
const (
	nameByte   = 1 << iota // RFC 9110 §5.6.2 without upper case (RFC 9113 §8.2.1)
	tokenByte              // RFC 9110 §5.6.2
	valueByte              // field-vchar, obs-text, SP and HTAB (RFC 9110 §5.5)
	targetByte             // printable ASCII but "#"
	hostByte               // names as DNS and people use them, IP literals and the port's colon
	hexByte
)

var class = func() (t [256]uint8) {
	for i := range 256 {
		c := byte(i)
		lower, upper, digit := 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9'
		mark := bytes.IndexByte([]byte("!#$%&'*+-.^_`|~"), c) >= 0
		set := func(bit uint8, is bool) {
			if is {
				t[i] |= bit
			}
		}
		set(nameByte, lower || digit || mark)
		set(tokenByte, lower || upper || digit || mark)
		set(valueByte, c == '\t' || c >= 0x20 && c != 0x7f)
		set(targetByte, c > 0x20 && c < 0x7f && c != '#')
		set(hostByte, lower || upper || digit || bytes.IndexByte([]byte("-._:[]"), c) >= 0)
		set(hexByte, digit || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F')
	}
	return t
}()

func all[T ~[]byte | ~string](b T, bits uint8) bool {
	for i := 0; i < len(b); i++ {
		if class[b[i]]&bits == 0 {
			return false
		}
	}
	return true
}

// validValue: no control bytes, no white space at the ends (RFC 9113 §8.2.1).
func validValue(v string) bool {
	if len(v) == 0 {
		return true
	}
	first, last := v[0], v[len(v)-1]
	return first != ' ' && first != '\t' && last != ' ' && last != '\t' && all(v, valueByte)
}

// validHost checks "host" or "host:port": a bracketed IP literal or a name without colons, and a port of digits.
func validHost(h []byte) bool {
	if len(h) == 0 || len(h) > 255+6 || !all(h, hostByte) {
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
		if class[c]&hexByte == 0 && c != ':' && c != '.' {
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

// priority is RFC 9218's urgency and incremental flag.
type priority struct {
	urgency     uint8
	incremental bool
}

var defaultPriority = priority{urgency: 3}

// parsePriority reads the members u and i of a dictionary (RFC 9218 §4, RFC 8941 §3.2). What it does not understand it ignores, as §4 demands.
func parsePriority(v []byte) priority {
	p := defaultPriority
	for len(v) > 0 {
		var item []byte
		item, v = message.NextToken(v)
		if semi := bytes.IndexByte(item, ';'); semi >= 0 {
			item = item[:semi]
		}
		switch {
		case len(item) == 3 && item[0] == 'u' && item[1] == '=' && item[2] >= '0' && item[2] <= '7':
			p.urgency = item[2] - '0'
		case string(item) == "i" || string(item) == "i=?1":
			p.incremental = true
		case string(item) == "i=?0":
			p.incremental = false
		}
	}
	return p
}
