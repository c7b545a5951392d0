package route

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"sort"
	"sync"
)

// What Match answers when no rule takes the request.
const (
	NotFound    = -1 // the host is served, the path is not: 404
	UnknownHost = -2 // no rule names the host and none takes any host: 421 or 404, the caller knows the connection
)

// Table is a set of rules made ready for matching. It never changes and is safe for concurrent use.
type Table struct {
	rules  []Rule
	blocks []*block
	exact  index // host → block
	wild   index // ".example.com" → block
	any    *block

	root    []byte    // "/", what OPTIONS * is matched as
	scratch sync.Pool // *[]byte for the reading of paths with escapes; a regex keeps its argument from living on the stack
}

// block is what one host pattern serves. The rules are numbers into Table.rules.
type block struct {
	host     string // as messages name it
	exact    index
	regexes  []expression // in file order
	prefixes index
	paths    []pathRule // exact and prefix rules in the order in which they are considered, for Explain and Shadowed
}

type expression struct {
	re   *regexp.Regexp
	rule int32
}

type pathRule struct {
	key  string
	rule int32
	kind Kind
}

// New makes the table of rules; their order decides only between regexes of one host. All mistakes are reported at once, joined:
// hosts and paths that no request can have, regexes that do not compile, two rules for the same host, kind and path.
func New(rules []Rule) (*Table, error) {
	t := &Table{rules: append([]Rule(nil), rules...), root: []byte("/")}
	b := builder{table: t, blocks: map[string]*draft{}}
	for i := range t.rules {
		b.add(int32(i))
	}
	if err := errors.Join(b.errs...); err != nil {
		return nil, err
	}
	b.finish()
	t.scratch.New = func() any { buf := make([]byte, 0, 512); return &buf }
	return t, nil
}

// Match is the number of the rule that takes the request, or NotFound or UnknownHost. host is the authority as received, with
// or without port; path is what Canonical returned; "*" is matched as "/". It allocates nothing, save one short string for an IPv6 literal not written
// as RFC 5952 has it. Time grows with the number of regexes of the host, not with the number of other rules.
func (t *Table) Match(host, path []byte) int {
	b := t.blockOf(host)
	if b == nil {
		return UnknownHost
	}
	if bytes.IndexByte(path, '%') >= 0 {
		buf := t.scratch.Get().(*[]byte)
		*buf = appendReading((*buf)[:0], path)
		found := b.match(*buf)
		t.scratch.Put(buf)
		return found
	}
	if len(path) == 1 && path[0] == '*' {
		path = t.root
	}
	return b.match(path)
}

// blockOf is the block that decides for host: exact name, longest wildcard, any host; nil when the host is unknown.
func (t *Table) blockOf(host []byte) *block {
	if len(t.blocks) == 0 {
		return t.any
	}
	var buf [maxHost]byte
	name := bareHost(&buf, host)
	if i := t.exact.find(name); i >= 0 {
		return t.blocks[i]
	}
	if t.wild.max > 0 {
		// Left to right, longest suffix first. From 1: the label that "*" stands for is not empty.
		for i := max(1, len(name)-t.wild.max); i < len(name); i++ {
			if name[i] != '.' {
				continue
			}
			if j := t.wild.find(name[i:]); j >= 0 {
				return t.blocks[j]
			}
		}
	}
	var canon [maxHost]byte
	if ip, ok := canonicalIP(&canon, name); ok {
		if i := t.exact.find(ip); i >= 0 {
			return t.blocks[i]
		}
	}
	return t.any
}

// match takes a path in its reading.
func (b *block) match(path []byte) int {
	if i := b.exact.find(path); i >= 0 {
		return int(i)
	}
	for i := range b.regexes {
		if b.regexes[i].re.Match(path) {
			return int(b.regexes[i].rule)
		}
	}
	return b.longestPrefix(path)
}

// longestPrefix tries the whole path, then at every slash from the right the prefix that includes it and the one that ends before
// it: the first hit is the longest. No key is longer than prefixes.max, so that a long path costs no more than a short one.
func (b *block) longestPrefix(path []byte) int {
	if i := b.prefixes.find(path); i >= 0 {
		return int(i)
	}
	end := min(len(path), b.prefixes.max+1)
	for {
		slash := bytes.LastIndexByte(path[:end], '/')
		if slash < 0 {
			return NotFound
		}
		if i := b.prefixes.find(path[:slash+1]); i >= 0 {
			return int(i)
		}
		if i := b.prefixes.find(path[:slash]); i >= 0 {
			return int(i)
		}
		end = slash
	}
}

// builder collects the blocks of a table under construction.
type builder struct {
	table  *Table
	blocks map[string]*draft // by host key; "" for any host, wildcards with their leading dot
	order  []string
	errs   []error
}

type draft struct {
	*block
	seen map[string]int32 // kind and path → rule, to find duplicates
}

func (b *builder) add(i int32) {
	rule := b.table.rules[i]
	fail := func(err error) {
		b.errs = append(b.errs, fmt.Errorf("route %s: %w", label(b.table.rules, int(i)), err))
	}
	entry := pathRule{rule: i, kind: rule.Kind}
	var re *regexp.Regexp
	var err error
	switch rule.Kind {
	case Exact, Prefix:
		entry.key, err = rule.key()
	case Regex:
		entry.key = rule.Path
		re, err = rule.expression()
	default:
		err = fmt.Errorf("kind %d is unknown", rule.Kind)
	}
	if err != nil {
		fail(err)
		return
	}
	for _, host := range hostsOf(rule) {
		key := ""
		if len(rule.Hosts) > 0 {
			if key, _, err = hostPattern(host); err != nil {
				fail(err)
				continue
			}
		}
		d := b.draft(key, host)
		id := fmt.Sprint(entry.kind, entry.key)
		if first, double := d.seen[id]; double {
			fail(duplicate(b.table.rules, first, i, d.host))
			continue
		}
		d.seen[id] = i
		if re != nil {
			d.regexes = append(d.regexes, expression{re: re, rule: i})
			continue
		}
		d.paths = append(d.paths, entry)
	}
}

func duplicate(rules []Rule, first, second int32, host string) error {
	if first == second {
		return fmt.Errorf("names host %s twice", host)
	}
	return fmt.Errorf("same host (%s) and path (%s) as route %s", host, rules[second].Pattern(), label(rules, int(first)))
}

func hostsOf(rule Rule) []string {
	if len(rule.Hosts) == 0 {
		return []string{""}
	}
	return rule.Hosts
}

func (b *builder) draft(key, host string) *draft {
	d := b.blocks[key]
	if d == nil {
		if host == "" {
			host = "any"
		}
		d = &draft{block: &block{host: host}, seen: map[string]int32{}}
		b.blocks[key] = d
		b.order = append(b.order, key)
	}
	return d
}

// finish sorts and indexes what was added.
func (b *builder) finish() {
	var exact, wild []slot
	for _, key := range b.order {
		d := b.blocks[key]
		d.finish()
		if key == "" {
			b.table.any = d.block
			continue
		}
		s := slot{key: key, value: int32(len(b.table.blocks))}
		b.table.blocks = append(b.table.blocks, d.block)
		if key[0] == '.' {
			wild = append(wild, s)
		} else {
			exact = append(exact, s)
		}
	}
	b.table.exact, b.table.wild = newIndex(exact), newIndex(wild)
}

func (b *block) finish() {
	sort.SliceStable(b.paths, func(i, j int) bool {
		x, y := b.paths[i], b.paths[j]
		if x.kind != y.kind {
			return x.kind == Exact
		}
		return len(x.key) > len(y.key)
	})
	var exact, prefixes []slot
	for _, p := range b.paths {
		s := slot{key: p.key, value: p.rule}
		if p.kind == Exact {
			exact = append(exact, s)
		} else {
			prefixes = append(prefixes, s)
		}
	}
	b.exact, b.prefixes = newIndex(exact), newIndex(prefixes)
}
