package files

import (
	"strings"
	"unicode/utf8"
)

// nameOf is the name in a tree that a request's path asks for, relative to the root; slash says that it asks for a folder. ok is false where the path may mean something else to
// whoever reads it next: encoded separators, controls, escapes that stay when they are decoded once, bytes that are no UTF-8 (an overlong "." among them), empty segments (a
// redirect to "//host" would leave the site); and where a segment is hidden.
func nameOf(path []byte) (name string, slash, ok bool) {
	if len(path) == 0 || path[0] != '/' {
		return "", false, false
	}
	b := make([]byte, 0, len(path))
	for i := 1; i < len(path); i++ {
		c := path[i]
		if c == '%' {
			if c, ok = unhex(path[i+1:]); !ok || c == '/' {
				return "", false, false
			}
			i += 2
		}
		if c < 0x20 || c == 0x7f || c == '\\' {
			return "", false, false
		}
		b = append(b, c)
	}
	if len(b) == 0 {
		return "", true, true
	}
	name, slash = strings.CutSuffix(string(b), "/")
	return name, slash, utf8.ValidString(name) && !escaped(name) && visible(name)
}

// visible refuses hidden and empty segments. ".well-known" (RFC 8615) is for the public, at the root where it belongs.
func visible(name string) bool {
	for first := true; ; first = false {
		segment, rest, more := strings.Cut(name, "/")
		if segment == "" || segment[0] == '.' && !(first && segment == ".well-known") {
			return false
		}
		if !more {
			return true
		}
		name = rest
	}
}

// escaped finds what a second decoding would change.
func escaped(name string) bool {
	for i := range len(name) {
		if name[i] == '%' {
			if _, is := unhex(name[i+1:]); is {
				return true
			}
		}
	}
	return false
}

// unhex is the byte that the first two digits stand for.
func unhex[T ~[]byte | ~string](s T) (c byte, ok bool) {
	if len(s) < 2 {
		return 0, false
	}
	for i := range 2 {
		d := s[i]
		switch {
		case '0' <= d && d <= '9':
			d -= '0'
		case 'a' <= d && d <= 'f':
			d -= 'a' - 10
		case 'A' <= d && d <= 'F':
			d -= 'A' - 10
		default:
			return 0, false
		}
		c = c<<4 | d
	}
	return c, true
}

// extension is what follows the last dot of a file's name, in lower case; "" without one.
func extension(name string) string {
	base := name[strings.LastIndexByte(name, '/')+1:]
	if i := strings.LastIndexByte(base, '.'); i > 0 {
		return strings.ToLower(base[i+1:])
	}
	return ""
}
