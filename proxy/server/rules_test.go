package server_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"
	"testing"
)

// Bounds of the house rules (CONTRIBUTING.md).
const (
	maxFunc   = 60 // lines, from "func" to its brace
	maxParams = 5
	maxFile   = 400 // lines
)

// exempt are the offenders that are meant, by "file: what", with the reason.
var exempt = map[string]string{
	"proxy/choose.go: var hashSeed":            "one random value for the life of the process, never written again",
	"proxy/http1/chars.go: var class":          "a table of 256 bytes, computed because it is easier to check than to read",
	"proxy/message/chars.go: var class":        "as in http1",
	"proxy/http2/stream.go: var streams":       "a pool: memory, not state",
	"tls/pebbletest/pebble.go: import testing": "the package is a test helper of several packages",
	"cmd/weir/version.go: var version":         "the linker writes it (-X main.version), and only the linker",
	"cmd/valor-api/main.go: var version":       "the linker writes it (-X main.version), and only the linker",
}

// offences are the places where a file breaks a rule, as "file: what (how)".
func offences(f *sourceFile) (list []string) {
	add := func(what, how string) { list = append(list, fmt.Sprintf("%s: %s (%s)", f.name, what, how)) }
	if f.lines > maxFile {
		add("file", fmt.Sprintf("%d lines, at most %d", f.lines, maxFile))
	}
	for _, spec := range f.syntax.Imports {
		if spec.Path.Value == `"testing"` {
			add("import testing", "a test helper lives in a _test file")
		}
	}
	for _, d := range f.syntax.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil && d.Name.Name == "init" {
				add("func init", "nothing runs because it was imported")
			}
			if n := f.set.Position(d.End()).Line - f.set.Position(d.Pos()).Line + 1; n > maxFunc {
				add("func "+d.Name.Name, fmt.Sprintf("%d lines, at most %d", n, maxFunc))
			}
			if n := d.Type.Params.NumFields(); n > maxParams {
				add("func "+d.Name.Name, fmt.Sprintf("%d parameters, at most %d", n, maxParams))
			}
		case *ast.GenDecl:
			if d.Tok == token.VAR {
				for _, name := range mutable(d) {
					add("var "+name, "package state: make it a constant, a field, or a value of a kind that nobody writes to")
				}
			}
		}
	}
	return list
}

// mutable are the variables of a package-level declaration that are not of a kind known to stay as it is.
func mutable(d *ast.GenDecl) (names []string) {
	for _, s := range d.Specs {
		spec, ok := s.(*ast.ValueSpec)
		if !ok {
			continue
		}
		embedded := directive(d.Doc, "//go:embed") || directive(spec.Doc, "//go:embed")
		for i, name := range spec.Names {
			if name.Name == "_" || embedded {
				continue
			}
			if i >= len(spec.Values) || !settled(spec.Values[i]) {
				names = append(names, name.Name)
			}
		}
	}
	return names
}

func directive(c *ast.CommentGroup, prefix string) bool {
	return c != nil && slices.ContainsFunc(c.List, func(l *ast.Comment) bool { return strings.HasPrefix(l.Text, prefix) })
}

// settled reports values that package variables may have, because Go has no constants of their types: sentinel errors, bytes of a literal, arrays that
// serve as tables, and pools, whose contents are nobody's state.
func settled(value ast.Expr) bool {
	switch v := value.(type) {
	case *ast.UnaryExpr: // &Error{…}
		lit, ok := v.X.(*ast.CompositeLit)
		if !ok || v.Op != token.AND {
			return false
		}
		name, ok := lit.Type.(*ast.Ident)
		return ok && (name.Name == "Error" || name.Name == "connError")
	case *ast.CallExpr:
		if of, ok := v.Fun.(*ast.ArrayType); ok { // []byte("…")
			name, isName := of.Elt.(*ast.Ident)
			return isName && name.Name == "byte"
		}
		return selector(v.Fun) == "errors.New"
	case *ast.CompositeLit:
		if of, ok := v.Type.(*ast.ArrayType); ok {
			return of.Len != nil // an array, not a slice: its length is its type's
		}
		return selector(v.Type) == "sync.Pool"
	}
	return false
}

// selector is "pkg.Name" of such an expression, "" for others.
func selector(e ast.Expr) string {
	s, ok := e.(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	x, ok := s.X.(*ast.Ident)
	if !ok {
		return ""
	}
	return x.Name + "." + s.Sel.Name
}

func TestHouseRules(t *testing.T) {
	used := map[string]bool{}
	for _, f := range sources(t) {
		for _, o := range offences(f) {
			key, _, _ := strings.Cut(o, " (")
			if _, ok := exempt[key]; ok {
				used[key] = true
				continue
			}
			t.Error(o)
		}
	}
	for key := range exempt {
		if !used[key] {
			t.Errorf("the exemption %q is no longer needed: remove it", key)
		}
	}
}

// TestHouseRulesRefuse shows that each rule finds its offender and leaves the permitted kinds alone.
func TestHouseRulesRefuse(t *testing.T) {
	text := `package p
import "testing"
var counter int
var registry = map[string]int{}
var list = []string{"a"}
var box = &Box{}
var a, b = errors.New("fine"), new(int)
var _ I = T{}
var ErrGone = errors.New("gone")
var errLine = &Error{400, "bad"}
var crlf = []byte("\r\n")
var names = [...]string{"a"}
var pool = sync.Pool{}
//go:embed x
var files embed.FS
func init() {}
func many(a, b int, c, d string, e, f bool) {}
func long() {
` + strings.Repeat("\t_ = 1\n", maxFunc-1) + "}\n"
	set := token.NewFileSet()
	syntax, err := parser.ParseFile(set, "p.go", text, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, o := range offences(&sourceFile{name: "p.go", syntax: syntax, set: set, lines: maxFile + 1}) {
		what, _, _ := strings.Cut(strings.TrimPrefix(o, "p.go: "), " (")
		got = append(got, what)
	}
	want := []string{
		"file", "import testing", "var counter", "var registry", "var list", "var box", "var b", "func init", "func many", "func long",
	}
	if !slices.Equal(got, want) {
		t.Errorf("offences\n got %q\nwant %q", got, want)
	}
}
