package shadow

import (
	"errors"
	"strings"
)

// mostSegments of a path are told apart; what is deeper counts with its ancestor.
const mostSegments = 12

// endpointOf is a method and a path in which what varies from request to request is a star.
func endpointOf(method string, path []byte) string {
	var b strings.Builder
	b.WriteString(method)
	b.WriteByte(' ')
	n := 0
	for segment := range strings.SplitSeq(strings.TrimPrefix(string(path), "/"), "/") {
		b.WriteByte('/')
		if n++; n > mostSegments {
			b.WriteString("…")
			break
		}
		b.WriteString(steady(segment))
	}
	return b.String()
}

// steady is a segment of a path or a key of an object if it looks like a name that somebody gave, and a star if it looks like one of many: an identifier, a date, an address, a value.
func steady(s string) string {
	if len(s) > 40 {
		return "*"
	}
	letters, digits := 0, 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z':
			if digits > 0 {
				return "*" // 4f9a, 2024W07
			}
			letters++
		case '0' <= c && c <= '9':
			digits++
		case c == '-' || c == '_' || c == '.' || c == '$' || c == '~':
			if digits > 2 {
				return "*"
			}
		default:
			return "*"
		}
	}
	if digits > 2 || digits > 0 && letters == 0 { // v1, oauth2 and p95 are names
		return "*"
	}
	return s
}

// step is one step down a document: the key of an object, or any element of an array.
type step struct {
	key     string
	element bool
}

// Pattern is a place in a document with all that is below it.
type Pattern struct{ steps []step }

// ParsePattern reads "$.items[].price": "$", then .KEY for each object and [] for each array on the way; * stands for any key.
func ParsePattern(text string) (p Pattern, err error) {
	rest, ok := strings.CutPrefix(text, "$")
	if !ok || rest == "" {
		return p, errors.New(`is not a path: "$", then .KEY or [], as in "$.items[].price"; * is any key`)
	}
	for rest != "" {
		switch {
		case strings.HasPrefix(rest, "[]"):
			p.steps, rest = append(p.steps, step{element: true}), rest[2:]
		case rest[0] == '.':
			end := strings.IndexAny(rest[1:], ".[")
			if end < 0 {
				end = len(rest) - 1
			}
			if end == 0 {
				return p, errors.New("has an empty key")
			}
			p.steps, rest = append(p.steps, step{key: rest[1 : 1+end]}), rest[1+end:]
		default:
			return p, errors.New("is not a path: behind a key comes .KEY or []")
		}
	}
	return p, nil
}

// names reports whether the pattern is exactly this place: what is below it is not come to.
func (p *Pattern) names(at []step) bool {
	if len(p.steps) != len(at) {
		return false
	}
	for i, s := range p.steps {
		if s.element != at[i].element || !s.element && s.key != "*" && s.key != at[i].key {
			return false
		}
	}
	return true
}

// mostShown bounds the text of a place, bytes.
const mostShown = 200

// placeOf is a place as reports name it: arrays without their indexes, and keys that look like one of many as stars.
func placeOf(at []step) string {
	var b strings.Builder
	b.WriteByte('$')
	for _, s := range at {
		switch {
		case b.Len() > mostShown:
			return b.String() + "…"
		case s.element:
			b.WriteString("[]")
		default:
			b.WriteByte('.')
			if s.key == "" {
				b.WriteString(`""`)
			}
			b.WriteString(steady(s.key))
		}
	}
	return b.String()
}
