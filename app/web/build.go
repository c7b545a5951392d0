package web

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
)

//go:embed page
var page embed.FS

// Source are the files as they were written: index.html, and what it is made of in assets/.
func Source() fs.FS {
	source, err := fs.Sub(page, "page")
	if err != nil {
		panic(err) // only for a name that is no path
	}
	return source
}

// File is one file of a built tree. Name is its path in the folder, with slashes.
type File struct {
	Name string
	Body []byte
}

// Index is the one name without a hash.
const Index = "index.html"

const assets = "assets/"

// Build names the files of a source by their content and follows every reference to them. The same source gives the same files; Index is the last of them. It is an error if something refers to
// what is not there, if nothing refers to something, and if two files refer to each other, because then neither's hash could be known before the other's.
func Build(source fs.FS) ([]File, error) {
	b := builder{source: source, named: map[string]string{}}
	index, err := b.rewritten(Index)
	if err != nil {
		return nil, fmt.Errorf("build web tree: %w", err)
	}
	entries, err := fs.ReadDir(source, path.Clean(assets))
	if err != nil {
		return nil, fmt.Errorf("build web tree: %w", err)
	}
	for _, e := range entries {
		if b.named[assets+e.Name()] == "" {
			return nil, fmt.Errorf("build web tree: nothing refers to %s", assets+e.Name())
		}
	}
	slices.SortFunc(b.files, func(x, y File) int { return strings.Compare(x.Name, y.Name) })
	return append(b.files, File{Index, index}), nil
}

// builder walks from the index to what it refers to, depth first: a file's name depends on its content, and that on the names of what it refers to.
type builder struct {
	source fs.FS
	named  map[string]string // by the source's name; "" while its content is being made
	files  []File
}

// references of a kind of file: one that a browser would follow, with the name in its second group. Modules and styles name their neighbours, pages the path from the root, because a page is also what
// answers for addresses deeper down.
func references(name string) *regexp.Regexp {
	switch path.Ext(name) {
	case ".html":
		return regexp.MustCompile(`((?:src|href)="/assets/)([^"]+)(")`)
	case ".js":
		return regexp.MustCompile(`((?:\bfrom|\bimport) ?\(?"\./)([^"]+)(")`)
	case ".css":
		return regexp.MustCompile(`(url\(")([^":]+)("\))`)
	}
	return nil
}

// rewritten is a file's content with the names that its references have in the tree.
func (b *builder) rewritten(name string) ([]byte, error) {
	body, err := fs.ReadFile(b.source, name)
	if err != nil {
		return nil, err
	}
	refs := references(name)
	if refs == nil {
		return body, nil
	}
	var failed error
	text := refs.ReplaceAllStringFunc(string(body), func(ref string) string {
		part := refs.FindStringSubmatch(ref)
		to, err := b.asset(assets + part[2])
		if err != nil && failed == nil {
			failed = fmt.Errorf("%s: %w", name, err)
		}
		return part[1] + strings.TrimPrefix(to, assets) + part[3]
	})
	return []byte(text), failed
}

// asset is the name in the tree of a file of the source, whose content it makes when it is first asked for.
func (b *builder) asset(name string) (string, error) {
	if to, known := b.named[name]; known {
		if to == "" {
			return "", fmt.Errorf("%s refers to itself, over others perhaps", name)
		}
		return to, nil
	}
	b.named[name] = ""
	body, err := b.rewritten(name)
	if err != nil {
		return "", err
	}
	ext := path.Ext(name)
	to := strings.TrimSuffix(name, ext) + "." + mark(body) + ext
	b.named[name] = to
	b.files = append(b.files, File{to, body})
	return to, nil
}

// mark is 16 hex digits of the content's SHA-256, the first run of them with a letter and a digit in it: that is what an edge knows a hash by.
func mark(body []byte) string {
	const length = 16
	sum := sha256.Sum256(body)
	digits := hex.EncodeToString(sum[:])
	for i := range len(digits) - length {
		if run := digits[i : i+length]; strings.ContainsAny(run, "abcdef") && strings.ContainsAny(run, "0123456789") {
			return run
		}
	}
	return digits // one kind only: not to be met before the sun has gone out
}
