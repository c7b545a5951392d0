package files_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/valor-ivx/weir/proxy/files"
)

// TestConditions: the order and the comparisons of RFC 9110 §13.
func TestConditions(t *testing.T) {
	s := files.New(tree(t, folder(t, map[string]string{"x.txt": "0123456789"})), files.Options{Index: "index.html"})
	f, _, _, err := find(t, s, "/x.txt")
	if err != nil {
		t.Fatal(err)
	}
	tag := string(f.Tag())
	if !strings.HasPrefix(tag, `"`) {
		t.Fatalf("tag %s of a file of long ago", tag)
	}
	const (
		same, before, after = "Fri, 02 Jan 2026 03:04:05 GMT", "Fri, 02 Jan 2026 03:04:04 GMT", "Fri, 02 Jan 2026 03:04:06 GMT"
		asctime, other      = "Fri Jan  2 03:04:05 2026", `"other"`
	)
	for _, c := range []struct {
		name   string
		get    files.Verdict
		fields []string
	}{
		{"nothing", files.Send, nil},
		{"same tag", files.NotModified, []string{"If-None-Match", tag}},
		{"same tag, weak", files.NotModified, []string{"If-None-Match", "W/" + tag}},
		{"in a list", files.NotModified, []string{"If-None-Match", other + `, "a,b" ,` + tag}},
		{"in a second line", files.NotModified, []string{"If-None-Match", other, "If-None-Match", tag}},
		{"any", files.NotModified, []string{"If-None-Match", "*"}},
		{"another tag", files.Send, []string{"If-None-Match", other}},
		{"inside another tag", files.Send, []string{"If-None-Match", `"x,` + strings.Trim(tag, `"`) + `"`}},
		{"no tag", files.Send, []string{"If-None-Match", strings.Trim(tag, `"`)}},
		{"a tag without its end", files.Send, []string{"If-None-Match", strings.TrimSuffix(tag, `"`)}},
		{"another tag before the date", files.Send, []string{"If-None-Match", other, "If-Modified-Since", same}},
		{"not modified since", files.NotModified, []string{"If-Modified-Since", same}},
		{"not modified since, asctime", files.NotModified, []string{"If-Modified-Since", asctime}},
		{"not modified since later", files.NotModified, []string{"If-Modified-Since", after}},
		{"modified since", files.Send, []string{"If-Modified-Since", before}},
		{"no date", files.Send, []string{"If-Modified-Since", "yesterday"}},
		{"two dates", files.Send, []string{"If-Modified-Since", same, "If-Modified-Since", same}},
		{"matches", files.Send, []string{"If-Match", tag}},
		{"matches any", files.Send, []string{"If-Match", "*"}},
		{"matches another", files.Unmet, []string{"If-Match", other}},
		{"matches weakly", files.Unmet, []string{"If-Match", "W/" + tag}},
		{"matches before the date", files.Send, []string{"If-Match", tag, "If-Unmodified-Since", before}},
		{"unmodified", files.Send, []string{"If-Unmodified-Since", same}},
		{"unmodified no more", files.Unmet, []string{"If-Unmodified-Since", before}},
		{"412 before 304", files.Unmet, []string{"If-Match", other, "If-None-Match", tag}},
		{"304 behind a match", files.NotModified, []string{"If-Match", tag, "If-None-Match", tag}},
		{"304 before a range", files.NotModified, []string{"If-None-Match", tag, "Range", "bytes=0-1"}},
		{"a range", files.Part, []string{"Range", "bytes=0-1"}},
		{"a range of the same", files.Part, []string{"Range", "bytes=0-1", "If-Range", tag}},
		{"a range of another", files.Send, []string{"Range", "bytes=0-1", "If-Range", other}},
		{"a range of the same, weakly", files.Send, []string{"Range", "bytes=0-1", "If-Range", "W/" + tag}},
		{"a range by date", files.Part, []string{"Range", "bytes=0-1", "If-Range", same}},
		{"a range by a later date", files.Send, []string{"Range", "bytes=0-1", "If-Range", after}},
		{"a range by nothing", files.Send, []string{"Range", "bytes=0-1", "If-Range", ""}},
		{"two ranges fields", files.Send, []string{"Range", "bytes=0-1", "Range", "bytes=2-3"}},
		{"behind the end", files.Unsatisfiable, []string{"Range", "bytes=10-"}},
		{"behind the end of another", files.Send, []string{"Range", "bytes=10-", "If-Range", other}},
	} {
		if got, _ := f.Judge(header(c.fields...), true, time.Now(), nil); got != c.get {
			t.Errorf("%s: GET %v, want %v", c.name, got, c.get)
		}
		head := c.get
		if head == files.Part || head == files.Unsatisfiable {
			head = files.Send // RFC 9110 §14.2: only GET has ranges
		}
		if got, _ := f.Judge(header(c.fields...), false, time.Now(), nil); got != head {
			t.Errorf("%s: HEAD %v, want %v", c.name, got, head)
		}
	}
}

// TestValidators: what may change again in the same moment has a weak tag and no range by date; a time that says nothing has neither tag nor date; no date is in the future.
func TestValidators(t *testing.T) {
	dir := t.TempDir()
	s := files.New(tree(t, dir), files.Options{Index: "index.html"})
	now := time.Now()
	for _, c := range []struct {
		name         string
		at           time.Time
		tagged, weak bool
		dated        bool
	}{
		{"long ago", now.Add(-time.Hour), true, false, true},
		{"a moment ago", now.Add(-time.Second), true, true, true},
		{"in the future", now.Add(time.Hour), true, true, false},
		{"a repeatable build", time.Unix(1, 0), false, false, false},
		{"the epoch", time.Unix(0, 0), false, false, false},
	} {
		put(t, filepath.Join(dir, "x.txt"), "0123456789", c.at)
		f, err := s.Find([]byte("/x.txt"), header(), now)
		if err != nil {
			t.Fatal(err)
		}
		_, dated := f.LastModified(now)
		if tag := string(f.Tag()); (tag != "") != c.tagged || strings.HasPrefix(tag, "W/") != c.weak || dated != c.dated {
			t.Errorf("%s: tag %s, dated %v", c.name, tag, dated)
		}
		if c.weak || !c.tagged {
			for _, condition := range []string{string(f.Tag()), f.Modified.UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT")} {
				if v, _ := f.Judge(header("Range", "bytes=0-1", "If-Range", condition), true, now, nil); v != files.Send {
					t.Errorf("%s: a part by %s: %v", c.name, condition, v)
				}
			}
		}
		f.Close()
	}
}

// TestTags: another time, another size and another coding are other tags; the same are the same on another machine.
func TestTags(t *testing.T) {
	dir := t.TempDir()
	s := files.New(tree(t, dir), files.Options{Index: "index.html"})
	tags := map[string]string{}
	note := func(name string, fields ...string) {
		f, _, _, err := find(t, s, "/x.txt", fields...)
		if err != nil {
			t.Fatal(err)
		}
		for other, tag := range tags {
			if tag == string(f.Tag()) {
				t.Errorf("%s and %s have the tag %s", name, other, tag)
			}
		}
		tags[name] = string(f.Tag())
	}
	path := filepath.Join(dir, "x.txt")
	put(t, path, "0123456789", old())
	note("first")
	put(t, path, "0123456780", old().Add(time.Nanosecond))
	note("a nanosecond later")
	put(t, path, "012345678", old())
	note("shorter")
	put(t, path+".gz", "012345678", old())
	note("gzip of the same size", "Accept-Encoding", "gzip")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	put(t, path, "abcdefghij", old())
	if f, _, _, err := find(t, s, "/x.txt"); err != nil || string(f.Tag()) != tags["first"] {
		t.Errorf("the same time and size: %s, want %s, %v", f.Tag(), tags["first"], err)
	}
}

// TestChanged: shortened or written anew is changed, grown is not.
func TestChanged(t *testing.T) {
	dir := folder(t, map[string]string{"x.txt": "0123456789"})
	s := files.New(tree(t, dir), files.Options{Index: "index.html"})
	path := filepath.Join(dir, "x.txt")
	f, err := s.Find([]byte("/x.txt"), header(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, c := range []struct {
		name, text string
		at         time.Time
		want       bool
	}{{"untouched", "0123456789", old(), false}, {"grown", "0123456789a", time.Now(), false}, {"shorter", "012345678", old(), true}, {"written anew", "abcdefghij", time.Now(), true}} {
		put(t, path, c.text, c.at)
		if got := f.Changed(); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}
