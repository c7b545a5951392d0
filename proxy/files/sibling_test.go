package files_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/valor-ivx/weir/proxy/files"
)

// TestSiblings: a sibling is served with the type of its file and a tag of its own; one that is left over from an older file, of no regular kind or alone is not.
func TestSiblings(t *testing.T) {
	dir := folder(t, map[string]string{
		"app.js": "plain", "app.js.gz": "gzipped", "app.js.br": "brotli", "stale.css": "new", "photo.png": "png", "photo.png.gz": "gzipped", "folder.js": "plain", "folder.js.gz/x": "", "alone.js.gz": "gzipped",
		"copied.css": "copied",
	})
	put(t, filepath.Join(dir, "stale.css.gz"), "old", old().Add(-time.Hour))
	put(t, filepath.Join(dir, "copied.css.gz"), "gzipped", old().Add(-time.Second))
	s := files.New(tree(t, dir), files.Options{Index: "index.html"})
	for _, c := range []struct{ path, accept, content, coding, kind string }{
		{"/app.js", "gzip, br", "brotli", "br", "text/javascript; charset=utf-8"}, {"/app.js", "gzip, zstd", "gzipped", "gzip", "text/javascript; charset=utf-8"},
		{"/app.js", "", "plain", "", "text/javascript; charset=utf-8"}, {"/stale.css", "gzip", "new", "", "text/css; charset=utf-8"}, {"/copied.css", "gzip", "gzipped", "gzip", "text/css; charset=utf-8"},
		{"/photo.png", "gzip", "png", "", "image/png"}, {"/folder.js", "gzip", "plain", "", "text/javascript; charset=utf-8"}, {"/app.js.gz", "gzip", "gzipped", "", "application/gzip"},
	} {
		f, content, _, err := find(t, s, c.path, "Accept-Encoding", c.accept)
		if err != nil || content != c.content || f.Coding != c.coding || f.Type != c.kind {
			t.Errorf("%s for %q: %q, %q, %q, %v", c.path, c.accept, content, f.Coding, f.Type, err)
		}
	}
	if _, _, why, err := find(t, s, "/alone.js", "Accept-Encoding", "gzip"); err == nil || why != files.Missing {
		t.Errorf("a sibling without a file: %v", err)
	}
}

// FuzzFind: whatever the path, nothing is read that is hidden or outside.
func FuzzFind(f *testing.F) {
	for _, seed := range hostile {
		f.Add([]byte(seed))
	}
	s := files.New(tree(f, trap(f)), files.Options{Index: "index.html", Fallback: "index.html"})
	f.Fuzz(func(t *testing.T, path []byte) {
		if _, content, _, err := find(t, s, string(path), "Accept", "text/html", "Accept-Encoding", "gzip"); err == nil && content == "SECRET" {
			t.Fatalf("%q leads to the secret", path)
		}
	})
}
