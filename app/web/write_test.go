package web_test

import (
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/valor-ivx/weir/app/web"
)

// release is a tree whose script and picture are of that release alone, and whose style is everybody's.
func release(t *testing.T, version string) []web.File {
	t.Helper()
	files, err := web.Build(fstest.MapFS{
		"index.html":       {Data: []byte(`<link href="/assets/style.css"><script src="/assets/app.js"></script><!-- ` + version + ` -->`)},
		"assets/app.js":    {Data: []byte(strings.Repeat("// "+version+"\n", 1000))},
		"assets/style.css": {Data: []byte("body {}")},
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func write(t *testing.T, dir string, files []web.File) {
	t.Helper()
	if err := web.Write(dir, files); err != nil {
		t.Fatal(err)
	}
}

func script(t *testing.T, files []web.File) string {
	t.Helper()
	for _, f := range files {
		if strings.HasSuffix(f.Name, ".js") {
			return f.Name
		}
	}
	t.Fatal("no script")
	return ""
}

func there(dir, name string) bool {
	_, err := os.Stat(filepath.Join(dir, name))
	return err == nil
}

func TestReleasesStayForOneMore(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "web")
	one, two, three := release(t, "one"), release(t, "two"), release(t, "three")
	write(t, dir, one)
	own := filepath.Join(dir, "assets", "mine.js")
	if err := os.WriteFile(own, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	write(t, dir, two)
	write(t, dir, two) // the same once more is no release
	if !there(dir, script(t, one)) || !there(dir, script(t, one)+".gz") {
		t.Error("a page of the last release has lost its script")
	}
	write(t, dir, three)
	for files, want := range map[*[]web.File]bool{&one: false, &two: true, &three: true} {
		for _, name := range []string{script(t, *files), script(t, *files) + ".gz"} {
			if there(dir, name) != want {
				t.Errorf("%s is there: %v, want %v", name, !want, want)
			}
		}
	}
	write(t, dir, one) // back
	b, err := os.ReadFile(filepath.Join(dir, web.Index))
	if err != nil || !strings.Contains(string(b), "one") || !there(dir, script(t, one)) || !there(dir, script(t, three)) || there(dir, script(t, two)) {
		t.Errorf("after going back: %q, %v", b, err)
	}
	if !there(dir, "assets/mine.js") {
		t.Error("a file that Write did not put there is gone")
	}
	if left, err := filepath.Glob(filepath.Join(dir, "assets", ".new-*")); err != nil || len(left) > 0 {
		t.Errorf("left over: %v %v", left, err)
	}
}

func TestWhatIsThereIsNotTouched(t *testing.T) {
	dir := t.TempDir()
	files := release(t, "one")
	write(t, dir, files)
	old := time.Now().Add(-time.Hour).Truncate(time.Second)
	for _, f := range files {
		if err := os.Chtimes(filepath.Join(dir, f.Name), old, old); err != nil {
			t.Fatal(err)
		}
	}
	damaged := script(t, files)
	if err := os.WriteFile(filepath.Join(dir, damaged), []byte("half"), 0o644); err != nil {
		t.Fatal(err)
	}
	write(t, dir, files)
	for _, f := range files {
		st, err := os.Stat(filepath.Join(dir, f.Name))
		if err != nil {
			t.Fatal(err)
		}
		if f.Name == damaged {
			if st.Size() != int64(len(f.Body)) {
				t.Errorf("a damaged file stays")
			}
			continue
		}
		if !st.ModTime().Equal(old) {
			t.Errorf("%s was written again", f.Name)
		}
	}
}

func TestCompressedSiblingsAreTheFile(t *testing.T) {
	dir := t.TempDir()
	files := release(t, "one")
	write(t, dir, files)
	f, err := os.Open(filepath.Join(dir, script(t, files)+".gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil || !strings.HasPrefix(string(b), "// one\n") {
		t.Errorf("%.20q %v", b, err)
	}
	if there(dir, "index.html.gz") {
		t.Error("the index has a sibling, which cannot change at its moment")
	}
}

// A Write that cannot finish leaves the release that was there, whole; the next one finishes.
func TestWriteThatFailsChangesNothing(t *testing.T) {
	dir := t.TempDir()
	one, two := release(t, "one"), release(t, "two")
	write(t, dir, one)
	inTheWay := filepath.Join(dir, script(t, two))
	if err := os.MkdirAll(filepath.Join(inTheWay, "x"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := web.Write(dir, two); err == nil {
		t.Fatal("wrote a file over a folder")
	}
	b, err := os.ReadFile(filepath.Join(dir, web.Index))
	if err != nil || !strings.Contains(string(b), "one") || !there(dir, script(t, one)) {
		t.Errorf("%q %v", b, err)
	}
	if err := os.RemoveAll(inTheWay); err != nil {
		t.Fatal(err)
	}
	write(t, dir, two)
	if b, err := os.ReadFile(filepath.Join(dir, web.Index)); err != nil || !strings.Contains(string(b), "two") {
		t.Errorf("%q %v", b, err)
	}
}

func TestNoLinkLeadsAWriteOut(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	if err := os.Symlink(outside, filepath.Join(dir, "assets")); err != nil {
		t.Fatal(err)
	}
	if err := web.Write(dir, release(t, "one")); err == nil {
		t.Error("followed a link")
	}
	if list, err := os.ReadDir(outside); err != nil || len(list) > 0 {
		t.Errorf("outside: %v %v", list, err)
	}
}

// Whoever reads at any moment finds an index and all that it refers to, whole, while several write.
func TestReadersFindAWholeRelease(t *testing.T) {
	dir := t.TempDir()
	versions := [][]web.File{release(t, "one"), release(t, "two")}
	write(t, dir, versions[0])
	write(t, dir, versions[1])
	var writers sync.WaitGroup
	done := make(chan struct{})
	for i := range 2 {
		writers.Go(func() {
			for n := range 20 {
				if err := web.Write(dir, versions[(n+i)%2]); err != nil {
					t.Error(err)
				}
			}
		})
	}
	go func() { // ends with the writers
		writers.Wait()
		close(done)
	}()
	for reads := 0; ; reads++ {
		b, err := os.ReadFile(filepath.Join(dir, web.Index))
		if err != nil {
			t.Fatal(err)
		}
		m := regexp.MustCompile(`src="/(assets/[^"]+)"></script><!-- (\w+) `).FindStringSubmatch(string(b))
		if m == nil {
			t.Fatalf("half an index: %q", b)
		}
		body, err := os.ReadFile(filepath.Join(dir, m[1]))
		if err != nil || !strings.HasPrefix(string(body), "// "+m[2]+"\n") || len(body) < 6000 {
			t.Fatalf("the index of %s has a script of %d bytes, %v", m[2], len(body), err)
		}
		select {
		case <-done:
			t.Logf("%d reads", reads)
			return
		default:
		}
	}
}
