package route

import "bytes"

// PathError says why a path has no canonical form. All of them are answered with 400.
type PathError string

// Error is the reason in words.
func (e PathError) Error() string { return string(e) }

// The reasons.
const (
	ErrRelative  PathError = "path does not begin with a slash"
	ErrByte      PathError = "path has a byte that must be percent-encoded"             // controls, space, backslash, "?", "#"
	ErrEscape    PathError = "path has a percent sign without two hex digits after it"  // RFC 3986 §2.1
	ErrNUL       PathError = "path has an encoded NUL"                                  // ends a file name early in C programs
	ErrAboveRoot PathError = "path climbs above the root"                               // "/../x"
	ErrAmbiguous PathError = "path has a dot segment that servers read in several ways" // "..%2F", "..%5C", "..;"
)

// class says what the scan does with each byte: 'b' refuse, '%' and 'd' (dot) look closer, anything else take.
// RFC 3986 would refuse a few more ("|", "^", bytes above 0x7f); browsers send them and servers agree on them.
const class = "" +
	"bbbbbbbbbbbbbbbb" + // 0x00
	"bbbbbbbbbbbbbbbb" +
	"b..b.%........d." + // 0x20: space # % .
	"...............b" + // 0x30: ?
	"................" +
	"............b..." + // 0x50: \
	"................" +
	"...............b" + // 0x70: DEL
	"................" + "................" + "................" + "................" + // 0x80
	"................" + "................" + "................" + "................"

// Canonical is the form of a request's path (without its query) that is matched and forwarded: dot segments, encoded or not, are
// resolved as in RFC 3986 §5.2.4, everything else stays byte for byte: other encodings, repeated slashes, the case of hex digits.
// A path that needs no change, nearly every one, is returned as it is; else the result is written to dst[:0], grown as needed,
// which must not overlap path. However a server decodes the result once (slashes or backslashes included, parameters behind ";"
// cut off or not), it finds no dot segment. "*", the target of OPTIONS for the whole server, is its own form.
// The error is a PathError. No allocation when dst is large enough.
func Canonical(dst, path []byte) ([]byte, error) {
	if len(path) == 0 || path[0] != '/' {
		if len(path) == 1 && path[0] == '*' {
			return path, nil
		}
		return nil, ErrRelative
	}
	closer := false
	for i, c := range path {
		switch class[c] {
		case '.':
		case 'b':
			return nil, ErrByte
		case '%':
			closer = true
		case 'd':
			closer = closer || path[i-1] == '/' // i > 0: the first byte is a slash
		}
	}
	if !closer {
		return path, nil
	}
	return resolve(dst[:0], path)
}

// resolve removes dot segments. Up to the first of them nothing is copied; from there on out always ends with a slash when a
// segment begins.
func resolve(out, path []byte) ([]byte, error) {
	copied := false
	for i := 1; i <= len(path); {
		end, next := len(path), len(path)+1
		if n := bytes.IndexByte(path[i:], '/'); n >= 0 {
			end, next = i+n, i+n+1
		}
		dots, err := dotSegment(path[i:end])
		if err != nil {
			return nil, err
		}
		if dots > 0 && !copied {
			out, copied = append(out, path[:i]...), true
		}
		switch {
		case dots == 2:
			if len(out) == 1 {
				return nil, ErrAboveRoot
			}
			out = out[:bytes.LastIndexByte(out[:len(out)-1], '/')+1]
		case dots == 0 && copied:
			out = append(out, path[i:min(next, len(path))]...)
		}
		i = next
	}
	if !copied {
		return path, nil
	}
	return out, nil
}

// dotSegment is 1 for ".", 2 for "..", 0 for any other segment. A dot segment that only some servers see, because of an encoded
// separator or a parameter beside it, is ErrAmbiguous.
func dotSegment(seg []byte) (int, error) {
	dots, length := 0, 0         // of the piece between two encoded separators
	split, cut := false, false   // the segment has an encoded separator; the piece has a parameter, which counts no more
	found, ambiguous := 0, false // dots of the last piece that is a dot segment; it is not the whole segment
	for i := 0; i <= len(seg); i++ {
		c, separator := byte('/'), true // the end of the segment ends its last piece
		if i < len(seg) {
			c, separator = seg[i], false
		}
		if c == '%' {
			var ok bool
			if c, ok = unhex(seg[i:]); !ok {
				return 0, ErrEscape
			}
			if c == 0 {
				return 0, ErrNUL
			}
			i += 2
			separator = c == '/' || c == '\\'
			split = split || separator
		}
		switch {
		case separator:
			if dots == length && (dots == 1 || dots == 2) {
				found, ambiguous = dots, ambiguous || cut
			}
			dots, length, cut = 0, 0, false
		case c == ';':
			cut = true
		case !cut:
			length++
			if c == '.' {
				dots++
			}
		}
	}
	if found > 0 && (split || ambiguous) {
		return 0, ErrAmbiguous
	}
	return found, nil
}

// unhex is the byte that the three bytes "%XX" at the start of s stand for.
func unhex(s []byte) (byte, bool) {
	if len(s) < 3 {
		return 0, false
	}
	hi, lo := nibble(s[1]), nibble(s[2])
	return hi<<4 | lo, hi|lo < 16
}

// nibble is the value of a hex digit, or 0xff.
func nibble(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return 0xff
}

// appendReading appends path in the reading that rules are compared with. What stays encoded (with upper-case digits, RFC 3986
// §6.2.2.1) is what would change the structure: separators, the percent sign, so that no reading has two sources, and controls,
// so that no regex meets a newline. A broken escape, which Canonical refuses, is kept.
func appendReading(dst, path []byte) []byte {
	for i := 0; i < len(path); i++ {
		c := path[i]
		if c == '%' {
			if b, ok := unhex(path[i:]); ok {
				i += 2
				if b < 0x20 || b == 0x7f || b == '/' || b == '\\' || b == '%' {
					dst = append(dst, '%', upperHex[b>>4], upperHex[b&15])
					continue
				}
				c = b
			}
		}
		dst = append(dst, c)
	}
	return dst
}

const upperHex = "0123456789ABCDEF"
