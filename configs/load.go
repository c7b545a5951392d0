package configs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"unicode/utf8"

	"github.com/BurntSushi/toml"
)

// Limits on what is read. A configuration of 10,000 routes is about 1 MiB; a certificate chain or a
// secret is a few KiB.
const (
	MaxFile      = 4 << 20 // bytes of a configuration file
	MaxReference = 1 << 20 // bytes of a certificate, key or ${file:…}
)

// Options is what a configuration may depend on besides its text.
type Options struct {
	// Env looks up environment variables; nil: none is set.
	Env func(name string) (string, bool)
	// Dir is the folder that relative paths start at; "": the working directory.
	Dir string
	// ReadFile reads certificates, keys and ${file:…}; nil: from disk, at most MaxReference bytes.
	ReadFile func(path string) ([]byte, error)
	// Stat looks at a folder of files and what is in it; nil: on disk.
	Stat func(path string) (fs.FileInfo, error)
	// Root: the process runs as root, which moves the default of admin.state_dir.
	Root bool
}

// Load reads a configuration file and everything it refers to. env looks up environment variables
// (os.LookupEnv in the program). Paths in the result are absolute; errors name the file as path does.
// The error is an Errors.
func Load(path string, env func(string) (string, bool)) (*Config, error) {
	whole, err := filepath.Abs(path)
	if err != nil {
		return nil, Errors{{File: path, Line: 1, Col: 1, Message: err.Error()}}
	}
	data, err := readLimited(path, MaxFile)
	if err != nil {
		return nil, Errors{{File: path, Line: 1, Col: 1, Message: err.Error()}}
	}
	cfg, err := Parse(path, data, Options{Env: env, Dir: filepath.Dir(whole), Root: os.Geteuid() == 0})
	if err != nil {
		return nil, err
	}
	cfg.Files = withFile(cfg.Files, whole)
	return cfg, nil
}

// Parse reads a configuration from memory; name stands for it in errors. The error is an Errors.
func Parse(name string, data []byte, opts Options) (*Config, error) {
	r := &report{file: name, raw: map[string]string{}, failed: map[string]bool{}}
	tree := decode(r, data)
	if tree == nil {
		return nil, r.err()
	}
	files := newFiles(opts)
	expander{env: files.env, file: files.read}.expandTree(r, "", tree)
	refuseNotBuilt(r, notBuilt(), "", tree)
	cfg := &Config{}
	b := binder{r, schema{}}
	b.setDefaults(reflect.ValueOf(cfg).Elem())
	b.table(reflect.ValueOf(cfg).Elem(), tree, "")
	derive(cfg, r, files)
	check(cfg, r, files)
	if err := r.err(); err != nil {
		return nil, err
	}
	cfg.Files = files.list
	return cfg, nil
}

// decode checks that data is text, finds its positions and decodes it; nil after a mistake, because
// after one in the syntax nothing further on can be told.
func decode(r *report, data []byte) map[string]any {
	if offset, message := notText(data); message != "" {
		r.pos = &positions{data: data, lines: lineStarts(data)}
		r.add("", r.pos.at(offset), message)
		return nil
	}
	// The scanner computes offsets from capacities, so the slice must end where the data ends.
	pos, flaws := scan(slices.Clip(data))
	r.pos = pos
	for _, f := range flaws {
		r.add("", pos.at(f.offset), f.message)
	}
	if len(flaws) > 0 {
		return nil
	}
	tree := map[string]any{}
	_, err := toml.Decode(string(data), &tree)
	var pe toml.ParseError
	switch {
	case errors.As(err, &pe):
		r.add("", pos.onLine(pe.Position.Line), "syntax: "+pe.Message)
		return nil
	case err != nil:
		r.add("", pos.at(0), "syntax: "+err.Error())
		return nil
	}
	return tree
}

// notText says where and why data cannot be TOML at all.
func notText(data []byte) (offset int, message string) {
	switch {
	case len(data) > MaxFile:
		return 0, fmt.Sprintf("the file is larger than %s", Size(MaxFile))
	case bytes.HasPrefix(data, []byte("\xff\xfe")), bytes.HasPrefix(data, []byte("\xfe\xff")):
		return 0, "the file is UTF-16; save it as UTF-8"
	case bytes.HasPrefix(data, []byte("\xef\xbb\xbf")):
		return 0, "the file starts with a byte order mark; save it as UTF-8 without one"
	case utf8.Valid(data):
		return 0, ""
	}
	for offset < len(data) {
		r, n := utf8.DecodeRune(data[offset:])
		if r == utf8.RuneError && n == 1 {
			break
		}
		offset += n
	}
	return offset, fmt.Sprintf("byte 0x%02x is not UTF-8", data[offset])
}

// files reads what a configuration refers to, and remembers it.
type files struct {
	env  func(string) (string, bool)
	dir  string
	load func(string) ([]byte, error)
	stat func(string) (fs.FileInfo, error)
	root bool
	list []string // paths read or to be read, sorted
}

func newFiles(opts Options) *files {
	f := &files{env: opts.Env, dir: opts.Dir, load: opts.ReadFile, stat: opts.Stat, root: opts.Root}
	if f.stat == nil {
		f.stat = os.Stat
	}
	if f.env == nil {
		f.env = func(string) (string, bool) { return "", false }
	}
	if f.load == nil {
		f.load = func(path string) ([]byte, error) { return readLimited(path, MaxReference) }
	}
	return f
}

// path makes a path of the file relative to the file's folder.
func (f *files) path(path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(f.dir, path)
}

func (f *files) read(path string) ([]byte, error) {
	path = f.path(path)
	f.list = withFile(f.list, path)
	data, err := f.load(path)
	if err != nil {
		// The path may be what an expansion brought in; the caller's message quotes it as the file does.
		return nil, withoutPath(err)
	}
	return data, nil
}

func withFile(list []string, path string) []string {
	if i, known := slices.BinarySearch(list, path); !known {
		return slices.Insert(list, i, path)
	}
	return list
}

// readLimited reads a whole file, unless it is larger than most bytes. Errors leave out the path,
// which the caller's message has.
func readLimited(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, withoutPath(err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return nil, withoutPath(err)
	}
	if int64(len(data)) > most {
		return nil, fmt.Errorf("the file is larger than %s", Size(most))
	}
	return data, nil
}

func withoutPath(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}
