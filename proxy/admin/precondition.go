package admin

import (
	"fmt"
	"strings"
)

// maxTags bounds an If-Match list: a person sends one tag, a careful script two or three.
const maxTags = 16

// Precondition is a parsed If-Match (RFC 9110 §13.1.1). The zero value is "no condition".
type Precondition struct {
	set  bool
	any  bool
	tags []string
}

// ParseIfMatch reads the If-Match field lines of a request. Weak tags are kept out, because If-Match
// compares strongly and a weak tag equals nothing.
func ParseIfMatch(lines []string) (Precondition, error) {
	if len(lines) == 0 {
		return Precondition{}, nil
	}
	p := Precondition{set: true}
	s := strings.TrimSpace(strings.Join(lines, ","))
	if s == "*" {
		p.any = true
		return p, nil
	}
	for n := 0; s != ""; n++ {
		if n == maxTags {
			return Precondition{}, fmt.Errorf("If-Match lists more than %d tags", maxTags)
		}
		weak := strings.HasPrefix(s, "W/")
		tag, rest, ok := cutTag(strings.TrimPrefix(s, "W/"))
		if !ok {
			return Precondition{}, fmt.Errorf("If-Match is not * or a list of quoted tags")
		}
		if !weak {
			p.tags = append(p.tags, tag)
		}
		s = rest
	}
	return p, nil
}

// cutTag splits the first quoted tag off a list. Empty list elements (RFC 9110 §5.6.1) are skipped.
func cutTag(s string) (tag, rest string, ok bool) {
	if !strings.HasPrefix(s, `"`) {
		return "", "", false
	}
	end := strings.IndexByte(s[1:], '"')
	if end < 0 {
		return "", "", false
	}
	tag, rest = s[1:1+end], strings.TrimLeft(s[end+2:], " \t")
	if rest != "" && rest[0] != ',' {
		return "", "", false
	}
	return tag, strings.TrimLeft(rest, ", \t"), true
}

// Given reports whether the request carried a condition.
func (p Precondition) Given() bool { return p.set }

// Holds reports whether a write may go ahead on a state of this version.
func (p Precondition) Holds(version string) bool {
	if !p.set || p.any {
		return true
	}
	for _, t := range p.tags {
		if t == version {
			return true
		}
	}
	return false
}

// HoldsForAction reports whether a write may go ahead that acts on no versioned state, as a stop does: only
// "*" or no condition at all can hold for it.
func (p Precondition) HoldsForAction() bool { return !p.set || p.any }
