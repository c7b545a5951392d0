package nginx

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// Bounds on what is read: more than any configuration that people write, less than what would hold up a machine.
const (
	maxTotal   = 32 << 20 // bytes of all files together
	maxFiles   = 10_000   // an include of a folder with a file per customer
	maxDepth   = 64       // blocks and includes within each other
	maxEntries = 1 << 19  // statements
)

// directive is one statement of the configuration, with its block if it has one.
type directive struct {
	place
	name   string
	args   []string
	parent *directive
	block  []*directive
	opens  bool // has a block
	// entries is set for the lines of map, geo, split_clients and types, which are no directives.
	entry bool

	state State
	notes []string
}

// Files is where a configuration is read from.
type Files interface {
	ReadFile(name string) ([]byte, error)
	// Glob gives the files that match, sorted by name as glob(3) does; none is no error.
	Glob(pattern string) ([]string, error)
}

// disk reads the files of this machine.
type disk struct{}

func (disk) ReadFile(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("is no regular file")
	}
	if info.Size() > maxTotal {
		return nil, fmt.Errorf("is larger than %d bytes", maxTotal)
	}
	return os.ReadFile(filepath.Clean(name))
}

func (disk) Glob(pattern string) ([]string, error) { return filepath.Glob(pattern) }

// parser reads a file and what it includes into one tree.
type parser struct {
	files   Files
	dir     string // what relative includes start at: the folder of the main file, as in nginx
	total   int
	count   int
	entries int
	reading []string // files under way, to find one that includes itself
}

// parse gives the tree of a configuration.
func parse(files Files, name string) (*directive, error) {
	p := &parser{files: files, dir: path.Dir(filepath.ToSlash(name))}
	root := &directive{place: place{name, 1, 1}, name: "main", opens: true}
	if err := p.file(root, name, root.place); err != nil {
		return nil, err
	}
	return root, nil
}

func (p *parser) file(into *directive, name string, from place) error {
	if slices.Contains(p.reading, name) {
		return wrong(from, "%s includes itself", name)
	}
	if p.count++; p.count > maxFiles {
		return wrong(from, "more than %d files", maxFiles)
	}
	data, err := p.files.ReadFile(name)
	if err != nil {
		var pe *fs.PathError
		if errors.As(err, &pe) {
			err = pe.Err
		}
		return wrong(from, "open %s: %v", name, err)
	}
	if p.total += len(data); p.total > maxTotal {
		return wrong(from, "more than %d bytes in all files", maxTotal)
	}
	p.reading = append(p.reading, name)
	defer func() { p.reading = p.reading[:len(p.reading)-1] }()
	return p.statements(into, newLexer(name, data), len(p.reading))
}

// statements reads into a block up to its brace; into that of the file up to its end.
func (p *parser) statements(into *directive, l *lexer, depth int) error {
	atTop := depth == len(p.reading)
	if depth > maxDepth {
		return wrong(into.place, "more than %d blocks and files within each other", maxDepth)
	}
	for {
		s, err := l.next()
		switch {
		case err != nil:
			return err
		case s.end == endOfFile && atTop:
			return nil
		case s.end == endOfFile:
			return wrong(l.here(), `unexpected end of file, expecting "}" for the block that begins at line %d`, into.line)
		case s.end == blockDone && atTop:
			return wrong(s.at, `unexpected "}"`)
		case s.end == blockDone:
			return nil
		}
		if err := p.statement(into, s, l, depth); err != nil {
			return err
		}
	}
}

func (p *parser) statement(into *directive, s statement, l *lexer, depth int) error {
	if p.entries++; p.entries > maxEntries {
		return wrong(s.at, "more than %d directives", maxEntries)
	}
	d := &directive{place: s.at, name: s.words[0], args: s.words[1:], parent: into, entry: entriesOf(into)}
	if !d.entry && !isName(d.name) {
		return wrong(s.at, "unknown directive %q", shorten(d.name))
	}
	if d.name == "include" {
		return p.include(into, d, s)
	}
	into.block = append(into.block, d)
	if s.end == semicolon {
		return nil
	}
	d.opens = true
	if strings.HasSuffix(d.name, "_by_lua_block") {
		return l.skipLua(s.at)
	}
	// What a block of a file holds counts from the depth of that file on: an include has its own braces.
	return p.statements(d, l, depth+1)
}

func (p *parser) include(into, d *directive, s statement) error {
	if s.end != semicolon || len(d.args) != 1 {
		return wrong(s.at, `include takes one file and ends with ";"`)
	}
	name := filepath.ToSlash(d.args[0])
	if !path.IsAbs(name) {
		name = path.Join(p.dir, name)
	}
	d.note("")
	d.entry = false
	into.block = append(into.block, d)
	names := []string{name}
	if strings.ContainsAny(name, "*?[") {
		var err error
		if names, err = p.files.Glob(name); err != nil {
			return wrong(s.at, "include %q: %v", d.args[0], err)
		}
		slices.Sort(names)
	}
	for _, n := range names {
		if err := p.file(into, n, s.at); err != nil {
			return err
		}
	}
	return nil
}

// entriesOf reports blocks whose lines are no directives.
func entriesOf(d *directive) bool {
	switch d.name {
	case "map", "geo", "split_clients", "types", "charset_map":
		return true
	}
	return false
}

// isName reports what modules call directives; anything else is a binary file or a byte order mark.
func isName(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '-' && c != '.' {
			return false
		}
	}
	return s != ""
}

// shorten keeps messages to a line.
func shorten(s string) string {
	s = strings.ToValidUTF8(s, "?")
	if r := []rune(s); len(r) > 60 {
		return string(r[:57]) + "..."
	}
	return s
}

// all gives the directives of a block by name, in order.
func (d *directive) all(name string) (found []*directive) {
	for _, c := range d.block {
		if c.name == name && !c.entry {
			found = append(found, c)
		}
	}
	return found
}

// last gives the last directive of a block by name, or nil.
func (d *directive) last(name string) *directive {
	if all := d.all(name); len(all) > 0 {
		return all[len(all)-1]
	}
	return nil
}

// arg is an argument, "" where there is none.
func (d *directive) arg(i int) string {
	if d == nil || i < 0 || i >= len(d.args) {
		return ""
	}
	return d.args[i]
}

// inherited gives the directives of that name of the innermost block that has any: nginx's rule for lists (add_header, proxy_set_header, allow, limit_req).
func (d *directive) inherited(name string) []*directive {
	for at := d; at != nil; at = at.parent {
		if all := at.all(name); len(all) > 0 {
			return all
		}
	}
	return nil
}

// setting gives the directive of that name that is in force in d: the innermost one.
func (d *directive) setting(name string) *directive {
	if all := d.inherited(name); len(all) > 0 {
		return all[len(all)-1]
	}
	return nil
}
