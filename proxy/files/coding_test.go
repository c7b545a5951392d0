package files_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/valor-ivx/weir/proxy/files"
)

func TestCoding(t *testing.T) {
	all := []string{"zstd", "br", "gzip"}
	for _, c := range []struct {
		accept []string
		have   []string
		want   string
	}{
		{nil, all, ""}, {[]string{""}, all, ""}, {[]string{"gzip"}, all, "gzip"}, {[]string{"x-gzip"}, all, "gzip"}, {[]string{"GZIP"}, all, "gzip"}, {[]string{"gzip, deflate, br, zstd"}, all, "zstd"},
		{[]string{"gzip, deflate, br"}, all, "br"}, {[]string{"gzip, deflate, br, zstd"}, []string{"gzip"}, "gzip"}, {[]string{"gzip, br"}, nil, ""}, {[]string{"gzip", "br"}, all, "br"},
		{[]string{"gzip;q=1, br;q=0.5, zstd;q=0"}, all, "gzip"}, {[]string{"gzip;q=0"}, all, ""}, {[]string{"*"}, all, "zstd"}, {[]string{"*;q=0"}, all, ""}, {[]string{"zstd;q=0, *"}, all, "br"},
		{[]string{"*;q=0, gzip"}, all, "gzip"}, {[]string{"identity"}, all, ""}, {[]string{"identity, gzip;q=0.5"}, all, ""}, {[]string{"identity;q=0.5, gzip"}, all, "gzip"},
		{[]string{"identity;q=0, br;q=0.001"}, all, "br"}, {[]string{"identity;q=0"}, all, ""}, {[]string{"gzip;q=0.5, identity;q=0.5"}, all, "gzip"}, {[]string{"gzip ; q=0.8 , br ; Q=0.9"}, all, "br"},
		{[]string{"gzip;q=2"}, all, ""}, {[]string{"gzip;q=x"}, all, ""}, {[]string{"gzip;q="}, all, ""}, {[]string{"gzip;q=1.001"}, all, ""}, {[]string{"gzip;x=1;q=0"}, all, ""}, {[]string{"gzipped"}, all, ""},
		{[]string{"deflate"}, all, ""}, {[]string{"br;q=1.000, zstd;q=0.999"}, all, "br"},
	} {
		var fields []string
		for _, a := range c.accept {
			fields = append(fields, "Accept-Encoding", a)
		}
		if got := files.Coding(header(fields...), c.have...); got != c.want {
			t.Errorf("%q of %q: %q, want %q", c.accept, c.have, got, c.want)
		}
	}
}

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

func FuzzAcceptEncoding(f *testing.F) {
	for _, seed := range []string{"gzip, deflate, br;q=0.5", "*;q=0", "identity;q=0, gzip;q=0.001", ";;;q=", "gzip;q=1.0000", "br;q=0.9;q=0"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		for i := range value {
			if value[i] < ' ' {
				return
			}
		}
		switch got := files.Coding(header("Accept-Encoding", value), "zstd", "br", "gzip"); got {
		case "", "zstd", "br", "gzip":
		default:
			t.Fatalf("%q: %q", value, got)
		}
		files.AcceptsPage(header("Accept", value))
	})
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
