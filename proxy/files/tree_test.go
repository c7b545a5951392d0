package files_test

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/valor-ivx/weir/proxy/files"
)

// TestExchangedFolder: a deploy by link or by renaming is served once the path is looked at again, and while there is nothing at the path the old folder serves.
func TestExchangedFolder(t *testing.T) {
	dir := folder(t, map[string]string{"one/index.html": "one", "two/index.html": "two", "three/index.html": "three"})
	at := func(name string) string { return filepath.Join(dir, name) }
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.Symlink("one", at("current")))
	tr := tree(t, at("current"))
	s := files.New(tr, files.Options{Index: "index.html"})
	now := time.Now()
	read := func(after time.Duration) string {
		t.Helper()
		f, err := s.Find([]byte("/"), header(), now.Add(after))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		b := make([]byte, f.Size)
		_, err = f.File.ReadAt(b, 0)
		must(err)
		return string(b)
	}
	if got := read(0); got != "one" {
		t.Errorf("at first: %q", got)
	}
	must(os.Symlink("two", at("next")))
	must(os.Rename(at("next"), at("current")))
	if got := read(time.Minute); got != "two" {
		t.Errorf("after another link: %q", got)
	}
	must(os.Remove(at("current")))
	if got := read(2 * time.Minute); got != "two" {
		t.Errorf("with nothing there: %q", got)
	}
	must(os.Rename(at("three"), at("current")))
	if got := read(3 * time.Minute); got != "three" {
		t.Errorf("after a rename: %q", got)
	}
	if n := tr.Uses(); n != 1 {
		t.Errorf("%d uses of the folder when nobody is in it", n)
	}
}

// TestClosedTree: who comes late is served all the same, and nothing stays open.
func TestClosedTree(t *testing.T) {
	tr, err := files.OpenTree(folder(t, map[string]string{"index.html": "page"}))
	if err != nil {
		t.Fatal(err)
	}
	s := files.New(tr, files.Options{Index: "index.html"})
	tr.Close()
	tr.Close()
	before := descriptors(t)
	for range 10 {
		if _, got, _, err := find(t, s, "/"); err != nil || got != "page" {
			t.Fatalf("%q %v", got, err)
		}
	}
	if after := descriptors(t); after != before {
		t.Errorf("%d descriptors, %d before", after, before)
	}
	if _, err := files.OpenTree(filepath.Join(t.TempDir(), "nowhere")); err == nil {
		t.Error("a folder that is not there was opened")
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("no /proc")
	}
	return len(list)
}

// TestTogether: readers, deploys and the end at the same time; the race detector judges, and the descriptors.
func TestTogether(t *testing.T) {
	dir := folder(t, map[string]string{"0/index.html": "0", "1/index.html": "1"})
	current := filepath.Join(dir, "current")
	if err := os.Symlink("0", current); err != nil {
		t.Fatal(err)
	}
	before := descriptors(t)
	tr, err := files.OpenTree(current)
	if err != nil {
		t.Fatal(err)
	}
	s := files.New(tr, files.Options{Index: "index.html"})
	now := time.Now()
	var all sync.WaitGroup
	for g := range 4 {
		all.Go(func() {
			for i := range 200 {
				f, err := s.Find([]byte("/"), header(), now.Add(time.Duration(i+g)*time.Minute))
				if err != nil {
					t.Errorf("%v", err)
					return
				}
				f.Close()
				if g == 0 && i == 150 {
					tr.Close()
				}
			}
		})
	}
	all.Go(func() {
		for i := range 100 {
			next := filepath.Join(dir, "next")
			if err := os.Symlink(fmt.Sprint(i%2), next); err != nil {
				t.Error(err)
			}
			if err := os.Rename(next, current); err != nil {
				t.Error(err)
			}
		}
	})
	all.Wait()
	if after := descriptors(t); after != before {
		t.Errorf("%d descriptors, %d before", after, before)
	}
}
