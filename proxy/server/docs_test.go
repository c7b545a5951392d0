package server_test

import (
	"go/ast"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/valor-ivx/weir/proxy/server"
	edgetls "github.com/valor-ivx/weir/tls"
)

const maxDecision = 40 // lines of an ADR: what needs more has not been decided

// TestDependenciesAreExplained holds docs/dependencies.md to the go.mod of the product, of the bench and of the checks of what is deployed: each direct dependency has its line, and each line its dependency.
func TestDependenciesAreExplained(t *testing.T) {
	explained := columns(read(t, "docs/dependencies.md"), "| `")
	var direct []string
	for _, file := range []string{"go.mod", "cmd/weirbench/go.mod", "configs/deploy/validate/go.mod"} {
		direct = append(direct, directOf(read(t, file))...)
	}
	slices.Sort(direct)
	direct = slices.Compact(direct)
	if len(direct) < 5 {
		t.Fatalf("direct dependencies read from go.mod: %q", direct)
	}
	if !slices.Equal(explained, direct) {
		t.Errorf("docs/dependencies.md, in the order of names\n has %q\nwant %q", explained, direct)
	}
}

// directOf are the modules that go.mod requires without "// indirect".
func directOf(gomod string) (list []string) {
	block := false
	for line := range strings.Lines(gomod) {
		words := strings.Fields(line)
		switch {
		case len(words) == 2 && words[0] == "require" && words[1] == "(":
			block = true
		case len(words) == 1 && words[0] == ")":
			block = false
		case strings.HasSuffix(strings.TrimSpace(line), "// indirect"):
		case block && len(words) >= 2:
			list = append(list, words[0])
		case len(words) >= 3 && words[0] == "require":
			list = append(list, words[1])
		}
	}
	return list
}

// columns are the first cells of table rows that begin with prefix, up to the closing backquote.
func columns(text, prefix string) (list []string) {
	for line := range strings.Lines(text) {
		if cell, ok := strings.CutPrefix(line, prefix); ok {
			name, _, _ := strings.Cut(cell, "`")
			list = append(list, name)
		}
	}
	return list
}

// TestReadmeNamesRealTests: whatever the README says is shown by a test has that test, in one of the packages that the row names (without any, in cmd/weir).
func TestReadmeNamesRealTests(t *testing.T) {
	packages, test := regexp.MustCompile(`(?:\./|cd )([a-z0-9/-]+)(\.\.\.)?`), regexp.MustCompile("`(Test[A-Za-z0-9]+)`")
	names := 0
	for line := range strings.Lines(read(t, "README.md")) {
		named := test.FindAllStringSubmatch(line, -1)
		if len(named) == 0 {
			continue
		}
		names += len(named)
		var all strings.Builder
		in := packages.FindAllStringSubmatch(line, -1)
		if len(in) == 0 {
			in = [][]string{{"", "cmd/weir", ""}}
		}
		for _, m := range in {
			all.WriteString(testsOf(t, filepath.Join(root, m[1]), m[2] != ""))
		}
		for _, m := range named {
			if !strings.Contains(all.String(), "func "+m[1]+"(t *testing.T)") {
				t.Errorf("README.md: %s is in no package of its row %.80q", m[1], line)
			}
		}
	}
	if names < 100 {
		t.Errorf("README.md names %d tests", names)
	}
}

// testsOf is the text of a folder's tests, with deep of those below it too.
func testsOf(t *testing.T, folder string, deep bool) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != filepath.Clean(folder) && !deep:
			return fs.SkipDir
		case strings.HasSuffix(path, "_test.go"):
			all.WriteString(read(t, strings.TrimPrefix(filepath.ToSlash(path), root+"/")))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}

// TestReadmeConfigurationChecks: the configuration that the README shows is one that weir would start with.
func TestReadmeConfigurationChecks(t *testing.T) {
	_, rest, found := strings.Cut(read(t, "README.md"), "```toml\n")
	text, _, closed := strings.Cut(rest, "```")
	if !found || !closed {
		t.Fatal("README.md shows no configuration")
	}
	ca, err := edgetls.OpenLocalCA(t.TempDir(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	pair, err := ca.Leaf([]string{"valor.example.com"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	text = strings.NewReplacer(`"cert.pem"`, strconv.Quote(pair.Cert), `"key.pem"`, strconv.Quote(pair.Key)).Replace(text)
	file := filepath.Join(t.TempDir(), "weir.toml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	if !server.Check(file, &said) || strings.Contains(said.String(), "warning") {
		t.Error(said.String())
	}
}

// TestArchitectureNamesTheCode: what docs/architecture.md puts in backquotes is a package, or something that the code declares under that name.
func TestArchitectureNamesTheCode(t *testing.T) {
	known := map[string]bool{}
	for _, f := range sources(t) {
		known[f.pkg] = true
		for _, d := range f.syntax.Decls {
			declared(d, func(name string) { known[name] = true })
		}
	}
	for _, m := range regexp.MustCompile("`([A-Za-z0-9/.]+)`").FindAllStringSubmatch(read(t, "docs/architecture.md"), -1) {
		name := m[1]
		if !strings.Contains(name, "/") {
			name = name[strings.LastIndexByte(name, '.')+1:]
		}
		if _, err := os.Stat(filepath.Join(root, name)); err != nil && !known[name] {
			t.Errorf("docs/architecture.md: nothing is called %s", m[1])
		}
	}
}

// declared tells the functions, methods, types and fields that a declaration names.
func declared(d ast.Decl, tell func(name string)) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		tell(d.Name.Name)
	case *ast.GenDecl:
		for _, s := range d.Specs {
			s, ok := s.(*ast.TypeSpec)
			if !ok {
				continue
			}
			tell(s.Name.Name)
			if of, ok := s.Type.(*ast.StructType); ok {
				for _, field := range of.Fields.List {
					for _, name := range field.Names {
						tell(name.Name)
					}
				}
			}
		}
	}
}

// TestLinksLead: every link from one of our pages to a file of the tree leads to one.
func TestLinksLead(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#: ]+)(#[^)]*)?\)`)
	links := 0
	for _, page := range pages(t) {
		for _, m := range link.FindAllStringSubmatch(read(t, page), -1) {
			links++
			if _, err := os.Stat(filepath.Join(root, filepath.Dir(page), m[1])); err != nil {
				t.Errorf("%s links to %s: %v", page, m[1], err)
			}
		}
	}
	if links < 20 {
		t.Errorf("%d links seen", links)
	}
}

// TestDecisionsAreShort: an ADR says its four things within maxDecision lines.
func TestDecisionsAreShort(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(root, "docs/adr/*.md"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		text := read(t, strings.TrimPrefix(filepath.ToSlash(f), root+"/"))
		if n := strings.Count(text, "\n"); n > maxDecision {
			t.Errorf("%s: %d lines, at most %d", filepath.Base(f), n, maxDecision)
		}
		for _, heading := range []string{"## Context", "## Decision", "## Consequences", "## What would change our mind"} {
			if !strings.Contains(text, heading+"\n") {
				t.Errorf("%s has no %q", filepath.Base(f), heading)
			}
		}
	}
}

// pages are the Markdown files at the top and below docs.
func pages(t *testing.T) (list []string) {
	t.Helper()
	top, err := filepath.Glob(filepath.Join(root, "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range top {
		list = append(list, filepath.Base(f))
	}
	err = fs.WalkDir(os.DirFS(root), "docs", func(name string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(name, ".md") {
			list = append(list, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// read is a file of the tree.
func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
