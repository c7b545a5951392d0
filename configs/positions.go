package configs

import (
	"cmp"
	"errors"
	"slices"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/pelletier/go-toml/v2/unstable"
)

// maxKeyParts bounds dotted keys: the language needs five parts, and the decoder's work grows with the
// square of their number.
const maxKeyParts = 16

// place is a position as people and editors count: both from 1, columns in characters.
type place struct{ line, col int }

// span holds byte offsets into the file; value is -1 for a table named by a header.
type span struct{ key, value int }

// positions says where each path of a file is. BurntSushi/toml, which decodes, keeps no positions of
// values and gives wrong lines within arrays of tables, so a second parser is asked for them.
type positions struct {
	data  []byte
	lines []int           // offset of each line's first byte
	spans map[string]span // by path
	order []string        // paths of key = value, in file order
}

// flaw is a mistake that scan found, by offset.
type flaw struct {
	offset  int
	message string
}

// scan maps every path of data to its position. Its flaws are syntax errors (at most one: there is no
// telling what follows it) and keys or tables that are defined twice.
func scan(data []byte) (*positions, []flaw) {
	s := &scanner{
		positions: &positions{data: data, lines: lineStarts(data), spans: map[string]span{"": {0, 0}}},
		arrays:    map[string]int{},
		headers:   map[string]int{},
	}
	s.parser.Reset(data)
	for s.parser.NextExpression() {
		s.expression(s.parser.Expression())
	}
	var syntax *unstable.ParserError
	if err := s.parser.Error(); errors.As(err, &syntax) {
		at := s.offsetOf(syntax.Highlight)
		s.flaws = append(s.flaws, flaw{at, "syntax: " + cmp.Or(strayQuote(data[at:]), plain(syntax.Message)) + looksLike(data)})
	}
	return s.positions, s.flaws
}

// plain words the parser's messages about line ends for people who have not learnt code points.
func plain(message string) string {
	return strings.NewReplacer("character U+000A", "line break", "character U+000D", "line break",
		"U+000A", "a line break", "U+000D", "a line break").Replace(message)
}

// strayQuote tells of a word processor's quotes, of which the parser would name the first byte; "" where there is none.
func strayQuote(rest []byte) string {
	if r, _ := utf8.DecodeRune(rest); strings.ContainsRune("“”„‘’«»", r) {
		return "typographic quote " + string(r) + `: write "`
	}
	return ""
}

// scanner is the state of one scan.
type scanner struct {
	*positions
	parser  unstable.Parser
	table   string         // path of the current [table] header
	arrays  map[string]int // [[table]] path → elements so far
	headers map[string]int // [table] path → offset of its header
	flaws   []flaw
}

func (s *scanner) expression(e *unstable.Node) {
	switch e.Kind {
	case unstable.Table, unstable.ArrayTable:
		s.header(e)
	case unstable.KeyValue:
		s.keyValue(s.table, e)
	}
}

func (s *scanner) header(e *unstable.Node) {
	keys := s.keysOf(e)
	path := ""
	for i, k := range keys {
		path = joinKey(path, string(k.Data))
		last := i == len(keys)-1
		if last && e.Kind == unstable.ArrayTable {
			s.note(path, span{int(k.Raw.Offset), -1})
			path, s.arrays[path] = joinIndex(path, s.arrays[path]), s.arrays[path]+1
		} else if n := s.arrays[path]; n > 0 {
			path = joinIndex(path, n-1)
		}
		s.note(path, span{int(k.Raw.Offset), -1})
	}
	s.table = path
	if e.Kind == unstable.Table {
		at := int(keys[0].Raw.Offset)
		if first, twice := s.headers[path]; twice {
			s.flaws = append(s.flaws, flaw{at, "table [" + path + "] is already defined on line " + strconv.Itoa(s.at(first).line)})
		} else {
			s.headers[path] = at
		}
	}
}

func (s *scanner) keyValue(path string, e *unstable.Node) {
	keys := s.keysOf(e)
	for _, k := range keys[:len(keys)-1] {
		path = joinKey(path, string(k.Data))
		s.note(path, span{int(k.Raw.Offset), -1})
	}
	k := keys[len(keys)-1]
	path = joinKey(path, string(k.Data))
	at := int(k.Raw.Offset)
	if first, twice := s.spans[path]; twice && first.value >= 0 {
		s.flaws = append(s.flaws, flaw{at, lastKey(path) + " is already set on line " + strconv.Itoa(s.at(first.key).line)})
		return
	}
	s.spans[path] = span{at, s.valueOffset(e.Value(), k)}
	s.order = append(s.order, path)
	s.children(path, e.Value())
}

// children notes the elements of arrays and the keys of inline tables.
func (s *scanner) children(path string, v *unstable.Node) {
	switch v.Kind {
	case unstable.InlineTable:
		for it := v.Children(); it.Next(); {
			s.keyValue(path, it.Node())
		}
	case unstable.Array:
		i := 0
		for it := v.Children(); it.Next(); i++ {
			element := it.Node()
			at := s.spans[path].value
			if element.Kind != unstable.Array {
				at = int(element.Raw.Offset)
			}
			s.spans[joinIndex(path, i)] = span{at, at}
			s.children(joinIndex(path, i), element)
		}
	}
}

func (s *scanner) keysOf(e *unstable.Node) []*unstable.Node {
	var keys []*unstable.Node
	for it := e.Key(); it.Next(); {
		keys = append(keys, it.Node())
	}
	if len(keys) > maxKeyParts {
		s.flaws = append(s.flaws, flaw{int(keys[0].Raw.Offset), "a key has more than " + strconv.Itoa(maxKeyParts) + " parts"})
		keys = keys[:maxKeyParts]
	}
	return keys
}

// valueOffset: an Array node has no range of its own, so its start is found behind the "=".
func (s *scanner) valueOffset(v, key *unstable.Node) int {
	if v.Kind != unstable.Array {
		return int(v.Raw.Offset)
	}
	i := int(key.Raw.Offset + key.Raw.Length)
	for i < len(s.data) && strings.IndexByte(" \t=", s.data[i]) >= 0 {
		i++
	}
	return i
}

// note keeps the first position of a path.
func (s *scanner) note(path string, at span) {
	if _, known := s.spans[path]; !known {
		s.spans[path] = at
	}
}

// offsetOf finds where in the data a slice of it starts, from their capacities; a slice that is not
// from the data (an empty one at its end) counts as the end.
func (s *scanner) offsetOf(part []byte) int {
	offset := cap(s.data) - cap(part)
	if offset < 0 || offset > len(s.data) {
		return len(s.data)
	}
	return offset
}

func (p *positions) has(path string) bool {
	_, ok := p.spans[path]
	return ok
}

// key gives the place of a path's key, or of the nearest table around it that the file has.
func (p *positions) key(path string) place {
	for !p.has(path) && path != "" {
		path = parentPath(path)
	}
	return p.at(p.spans[path].key)
}

// value gives the place of a path's value; for what has none, of its key.
func (p *positions) value(path string) place {
	if s, ok := p.spans[path]; ok && s.value >= 0 {
		return p.at(s.value)
	}
	return p.key(path)
}

// onLine gives the first value on a line, or the line's first character that is not blank.
func (p *positions) onLine(line int) place {
	line = min(max(line, 1), len(p.lines))
	for _, path := range p.order {
		if at := p.value(path); at.line == line {
			return at
		}
	}
	at := p.lines[line-1]
	for at < len(p.data) && (p.data[at] == ' ' || p.data[at] == '\t') {
		at++
	}
	return p.at(at)
}

// at turns an offset into a place.
func (p *positions) at(offset int) place {
	offset = min(max(offset, 0), len(p.data))
	// The parser points at bytes; within a character, at its beginning.
	for offset > 0 && offset < len(p.data) && !utf8.RuneStart(p.data[offset]) {
		offset--
	}
	line := sort.SearchInts(p.lines, offset+1)
	return place{line, utf8.RuneCount(p.data[p.lines[line-1]:offset]) + 1}
}

func lineStarts(data []byte) []int {
	starts := []int{0}
	for i, c := range data {
		if c == '\n' {
			starts = append(starts, i+1)
		}
	}
	return slices.Clip(starts)
}
