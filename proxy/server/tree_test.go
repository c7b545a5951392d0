package server_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/valor-ivx/weir"

// root is the top of the tree, as seen from this package's folder.
const root = "../.."

// sourceFile is one Go file that is part of the product: no test, whatever system it is for.
type sourceFile struct {
	name   string // slash path from root
	pkg    string // folder from root, "" for root itself
	syntax *ast.File
	set    *token.FileSet
	lines  int
}

// imports are the paths that the file imports.
func (f *sourceFile) imports(t *testing.T) []string {
	t.Helper()
	var list []string
	for _, spec := range f.syntax.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatalf("%s: import %s: %v", f.name, spec.Path.Value, err)
		}
		list = append(list, p)
	}
	return list
}

// sources reads every file that `go list ./...` knows of and, beyond it, those for other systems. It walks the tree itself because the test cache notes
// what a test opens but not what a child process does: a package that is new must not hide behind a cached success.
func sources(t *testing.T) []*sourceFile {
	t.Helper()
	var list []*sourceFile
	set := token.NewFileSet()
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		if d.IsDir() {
			return skip(name, rel, d)
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		syntax, err := parser.ParseFile(set, rel, text, parser.ParseComments)
		if err != nil {
			return err
		}
		list = append(list, &sourceFile{name: rel, pkg: path.Dir(rel), syntax: syntax, set: set, lines: strings.Count(string(text), "\n")})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(list) < 50 {
		t.Fatalf("%d files found: this is not the tree", len(list))
	}
	return list
}

// skip leaves out what the go command leaves out of ./...: test data, folders that begin with a dot or underscore, modules of their own.
func skip(name, rel string, d fs.DirEntry) error {
	if rel == "." {
		return nil
	}
	if d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") || strings.HasPrefix(d.Name(), "_") {
		return fs.SkipDir
	}
	if _, err := os.Stat(filepath.Join(name, "go.mod")); err == nil {
		return fs.SkipDir
	}
	return nil
}
