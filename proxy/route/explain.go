package route

import (
	"bytes"
	"fmt"
	"strings"
)

// Step is one candidate of a decision.
type Step struct {
	Rule   int    // number of the rule
	Name   string // its name, may be empty
	Hosts  string // its host patterns, comma-separated, or "any"
	Path   string // its path as the configuration writes it
	Chosen bool   // at most one step is
	Reason string // why it was chosen, did not match or was not reached
}

// Explain is Match with its reasons: every rule in the order in which it is considered, first those of the host pattern that
// decides, then all others in file order. It allocates and takes time in the number of rules.
func (t *Table) Explain(host, path []byte) []Step {
	b := t.blockOf(host)
	e := explainer{table: t, reading: t.reading(path), done: make([]bool, len(t.rules)), chosen: -1}
	if b != nil {
		e.block(b)
	}
	for i := range t.rules {
		if !e.done[i] {
			e.add(int32(i), false, t.otherHost(int32(i), host, b))
		}
	}
	return e.steps
}

// reading is the path as rules are compared with it.
func (t *Table) reading(path []byte) []byte {
	if len(path) == 1 && path[0] == '*' {
		return t.root
	}
	return appendReading(nil, path)
}

type explainer struct {
	table   *Table
	reading []byte
	done    []bool
	chosen  int32
	steps   []Step
}

func (e *explainer) block(b *block) {
	split := 0
	for split < len(b.paths) && b.paths[split].kind == Exact {
		split++
	}
	e.paths(b.paths[:split])
	for _, x := range b.regexes {
		e.candidate(x.rule, x.re.Match(e.reading), "the regex matches", "the regex does not match")
	}
	e.paths(b.paths[split:])
}

func (e *explainer) paths(paths []pathRule) {
	for _, p := range paths {
		switch {
		case p.kind == Exact:
			e.candidate(p.rule, string(e.reading) == p.key, "the path is equal", "the path is not equal")
		case p.key == "/":
			e.candidate(p.rule, e.below(p.key), "takes every path", "the path does not begin with a slash")
		case strings.HasSuffix(p.key, "/"):
			e.candidate(p.rule, e.below(p.key), "longest prefix: the path is below "+p.key, "the path is not below "+p.key)
		default:
			e.candidate(p.rule, e.below(p.key), "longest prefix: the path is at or below "+p.key, e.notBelow(p.key))
		}
	}
}

// below is the prefix rule by its definition, not by the index, so that Explain checks Match in tests.
func (e *explainer) below(prefix string) bool {
	rest, ok := bytes.CutPrefix(e.reading, []byte(prefix))
	return ok && (len(rest) == 0 || rest[0] == '/' || strings.HasSuffix(prefix, "/"))
}

func (e *explainer) notBelow(prefix string) string {
	if bytes.HasPrefix(e.reading, []byte(prefix)) {
		return "begins with " + prefix + ", but not at the end of a segment"
	}
	return "the path is not at or below " + prefix
}

func (e *explainer) candidate(rule int32, matches bool, yes, no string) {
	switch {
	case e.chosen >= 0 && matches:
		e.add(rule, false, fmt.Sprintf("would match, but route %s comes first", label(e.table.rules, int(e.chosen))))
	case e.chosen >= 0 || !matches:
		e.add(rule, false, no)
	default:
		e.chosen = rule
		e.add(rule, true, yes)
	}
}

func (e *explainer) add(rule int32, chosen bool, reason string) {
	r := e.table.rules[rule]
	hosts := "any"
	if len(r.Hosts) > 0 {
		hosts = strings.Join(r.Hosts, ", ")
	}
	e.done[rule] = true
	e.steps = append(e.steps, Step{
		Rule: int(rule), Name: r.Name, Hosts: hosts, Path: r.Pattern(), Chosen: chosen, Reason: reason,
	})
}

// otherHost says why a rule outside block b was not considered for host.
func (t *Table) otherHost(rule int32, host []byte, b *block) string {
	var buf [maxHost]byte
	name := bareHost(&buf, host)
	for _, pattern := range hostsOf(t.rules[rule]) {
		if pattern == "" {
			return fmt.Sprintf("host %s is decided by the routes for %s; there is no fall-through", name, b.host)
		}
		key, wild, _ := hostPattern(pattern) // New has accepted it
		if wild && len(name) > len(key) && strings.HasSuffix(string(name), key) {
			return fmt.Sprintf("host %s matches %s, but %s is more specific", name, pattern, b.host)
		}
	}
	return fmt.Sprintf("host %s does not match", name)
}
