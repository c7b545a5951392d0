package route

import (
	"fmt"
	"regexp/syntax"
	"strings"
)

// Shadowed names the rules that can never match and what stands before them, one sentence each, for warnings at check time.
// It claims only what it can prove: a rule is listed when, under each of its hosts, one earlier rule takes every path that it
// would take. A rule shadowed only by several others together, or by a regex that is more than a literal and "everything", is not.
func (t *Table) Shadowed() []string {
	reasons := make(map[int32]string)
	open := make(map[int32]bool) // can match under at least one host
	for _, b := range t.allBlocks() {
		for rule, reason := range b.shadows(t.rules) {
			if reason == "" {
				open[rule] = true
			} else if reasons[rule] == "" {
				reasons[rule] = reason
			}
		}
	}
	var out []string
	for i := range t.rules {
		if reason := reasons[int32(i)]; reason != "" && !open[int32(i)] {
			out = append(out, fmt.Sprintf("route %s (%s) can never match: %s", label(t.rules, i), t.rules[i].Pattern(), reason))
		}
	}
	return out
}

func (t *Table) allBlocks() []*block {
	if t.any == nil {
		return t.blocks
	}
	return append(t.blocks[:len(t.blocks):len(t.blocks)], t.any)
}

// shadows is, for every rule of the block, why it cannot match, or "".
func (b *block) shadows(rules []Rule) map[int32]string {
	out := make(map[int32]string)
	var regexes []reach
	for _, x := range b.regexes {
		r := reachOf(x.rule, rules[x.rule].Path)
		switch first := firstOver(regexes, r.begins); {
		case r.begins != "" && r.begins[0] != '/':
			out[x.rule] = "every path begins with a slash"
		case r.only && b.exact.find([]byte(r.begins)) >= 0:
			out[x.rule] = takes(rules, b.exact.find([]byte(r.begins)))
		case first >= 0:
			out[x.rule] = takes(rules, first)
		default:
			out[x.rule] = ""
		}
		regexes = append(regexes, r)
	}
	for _, p := range b.paths {
		out[p.rule] = ""
		if p.kind == Exact {
			continue
		}
		equal, below := b.exact.find([]byte(p.key)), b.prefixes.find([]byte(p.key+"/"))
		if first := firstOver(regexes, p.key); first >= 0 {
			out[p.rule] = takes(rules, first)
		} else if equal >= 0 && below >= 0 && !strings.HasSuffix(p.key, "/") {
			out[p.rule] = takes(rules, equal) + ", " + takes(rules, below)
		}
	}
	return out
}

func takes(rules []Rule, by int32) string {
	return fmt.Sprintf("route %s (%s) comes first", label(rules, int(by)), rules[by].Pattern())
}

// reach is what can be said for certain about the paths a regex takes.
type reach struct {
	rule   int32
	begins string // every path it takes begins with this
	tree   bool   // it takes every path that begins with begins
	only   bool   // it takes begins and nothing else
}

// firstOver is the first of the regexes that takes every path beginning with begins, or -1.
func firstOver(regexes []reach, begins string) int32 {
	for _, r := range regexes {
		if r.tree && (strings.HasPrefix(begins, r.begins) || r.begins == "/") {
			return r.rule
		}
	}
	return -1
}

// reachOf recognises the shapes "^literal", "^literal$", "^literal.*" (with or without $), ".*", "/" and the empty match.
func reachOf(rule int32, pattern string) reach {
	re, err := syntax.Parse(dotAll+pattern, syntax.Perl)
	if err != nil {
		return reach{rule: rule}
	}
	parts := []*syntax.Regexp{re.Simplify()}
	if parts[0].Op == syntax.OpConcat {
		parts = parts[0].Sub
	}
	anchored, literal := false, ""
	if parts[0].Op == syntax.OpBeginText {
		anchored, parts = true, parts[1:]
	}
	if len(parts) > 0 && parts[0].Op == syntax.OpLiteral && parts[0].Flags&syntax.FoldCase == 0 {
		literal, parts = string(parts[0].Rune), parts[1:]
	}
	rest := restOf(parts)
	if !anchored {
		// Every path contains "/" and the empty string; of any other literal nothing is known about where it stands.
		everywhere := literal == "" && rest != restOther && (rest != restEnd) || literal == "/" && (rest == restNone || rest == restAny)
		if everywhere {
			return reach{rule: rule, begins: "/", tree: true}
		}
		return reach{rule: rule}
	}
	tree := rest == restNone || rest == restAny
	if literal == "" && tree {
		literal = "/"
	}
	return reach{rule: rule, begins: literal, tree: tree, only: rest == restEnd}
}

// What follows the literal of a regex.
const (
	restNone  = iota
	restAny   // ".*" or ".*$"
	restEnd   // "$"
	restOther // anything else
)

func restOf(parts []*syntax.Regexp) int {
	everything := len(parts) > 0 && parts[0].Op == syntax.OpStar && parts[0].Sub[0].Op == syntax.OpAnyChar
	switch {
	case len(parts) == 0, len(parts) == 1 && parts[0].Op == syntax.OpEmptyMatch:
		return restNone
	case everything && (len(parts) == 1 || len(parts) == 2 && parts[1].Op == syntax.OpEndText):
		return restAny
	case len(parts) == 1 && parts[0].Op == syntax.OpEndText:
		return restEnd
	}
	return restOther
}
