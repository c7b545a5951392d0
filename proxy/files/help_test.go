package files_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/valor-ivx/weir/proxy/files"
	"github.com/valor-ivx/weir/proxy/message"
)

// old is when the files of the tests were changed: long enough ago for strong tags.
func old() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 678, time.UTC) }

// folder makes files of names and contents.
func folder(t testing.TB, contents map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range contents {
		put(t, filepath.Join(dir, name), text, old())
	}
	return dir
}

func put(t testing.TB, path, text string, at time.Time) {
	t.Helper()
	err := os.MkdirAll(filepath.Dir(path), 0o755)
	if err == nil {
		err = os.WriteFile(path, []byte(text), 0o644)
	}
	if err == nil {
		err = os.Chtimes(path, at, at)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func tree(t testing.TB, dir string) *files.Tree {
	t.Helper()
	tr, err := files.OpenTree(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tr.Close)
	return tr
}

// header is the fields in turn: name, value.
func header(fields ...string) *message.Header {
	h := &message.Header{}
	for i := 0; i < len(fields); i += 2 {
		h.Add(fields[i], fields[i+1])
	}
	return h
}

// find is Find and what is in the file.
func find(t testing.TB, s *files.Site, path string, fields ...string) (f files.Found, content string, why files.Why, err error) {
	t.Helper()
	f, err = s.Find([]byte(path), header(fields...), time.Now())
	if err != nil {
		var e *files.Error
		if !errors.As(err, &e) {
			t.Fatalf("%s: %T %v", path, err, err)
		}
		return f, "", e.Why, err
	}
	defer f.Close()
	if f.File == nil {
		return f, "", 0, nil
	}
	b, err := io.ReadAll(io.NewSectionReader(f.File, 0, f.Size+1))
	if err != nil {
		t.Fatal(err)
	}
	return f, string(b), 0, nil
}
