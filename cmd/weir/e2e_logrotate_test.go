package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// installed is the path of a program that Debian has; the test is skipped without it unless that is forbidden.
func installed(t *testing.T, name string) string {
	t.Helper()
	for _, path := range []string{name, "/usr/sbin/" + name} { // which is not in everybody's PATH
		if found, err := exec.LookPath(path); err == nil {
			return found
		}
	}
	if os.Getenv("WEIR_TEST_ALL") == "1" {
		t.Fatalf("%s is missing and WEIR_TEST_ALL forbids skipping: make deps", name)
	}
	t.Skipf("skipped: needs %s (make deps)", name)
	return ""
}

// adapted is a shipped file with what differs on this machine replaced, each of which must be there.
func adapted(t *testing.T, path string, pairs ...string) string {
	t.Helper()
	text := string(slurp(t, filepath.Join("..", "..", "configs", "deploy", path)))
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(text, pairs[i]) {
			t.Fatalf("%s has no %q", path, pairs[i])
		}
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

// rotator runs logrotate by force on a file, again and again.
type rotator struct{ program, file, state string }

func newRotator(t *testing.T, dir, text string) rotator {
	t.Helper()
	r := rotator{installed(t, "logrotate"), filepath.Join(dir, "rotate.conf"), filepath.Join(dir, "rotate.state")}
	if err := os.WriteFile(r.file, []byte(text), 0o644); err != nil { // logrotate reads none that others can write
		t.Fatal(err)
	}
	return r
}

func (r rotator) rotate(t *testing.T) {
	t.Helper()
	if out, err := exec.Command(r.program, "--force", "--verbose", "--state", r.state, r.file).CombinedOutput(); err != nil || bytes.Contains(out, []byte("error:")) {
		t.Fatalf("logrotate: %v\n%s", err, out)
	}
}

// rotated is the text of a log with all its rotations, the compressed ones too.
func rotated(t *testing.T, log string) (text []byte, files int) {
	t.Helper()
	names, err := filepath.Glob(log + "*")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		b := slurp(t, name)
		if strings.HasSuffix(name, ".gz") {
			z, err := gzip.NewReader(bytes.NewReader(b))
			if err != nil {
				t.Fatal(err)
			}
			if b, err = io.ReadAll(z); err != nil {
				t.Fatal(err)
			}
		}
		text = append(text, b...)
	}
	return text, len(names)
}

// TestE2ELogrotate: the shipped file, by the real logrotate, under load. Of every request there is one whole line, in one of the files.
func TestE2ELogrotate(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	logs := filepath.Join(dir, "log")
	if err := os.Mkdir(logs, 0o755); err != nil {
		t.Fatal(err)
	}
	pairs := []string{"/var/log/weir/", logs + "/", "/run/weir/weir.pid", filepath.Join(dir, "weir.pid")}
	if os.Getuid() == 0 { // there is no user weir here
		pairs = append(pairs, "weir weir", "root root")
	} else {
		me, err := user.Current()
		if err != nil {
			t.Fatal(err)
		}
		pairs = append(pairs, "su weir weir", "", "create 0640 weir weir", "create 0640 "+me.Username)
	}
	r := newRotator(t, dir, adapted(t, "logrotate/weir", pairs...))
	e := logging(t, dir, "output = \"log/weir.log\"\naccess_output = \"log/access.log\"\naudit = \"log/audit.log\"\n", "--pid", filepath.Join(dir, "weir.pid"))
	traffic := newLoad(t, e.address("http"), 4, "GET")
	access, n := filepath.Join(logs, "access.log"), count(5, 12) // the file keeps 14
	for range n {
		traffic.after(40)
		e.must("weights", "api", "reset") // a line for the audit log
		// What weir holds comes within a quarter of a second: until then the file is empty, and an empty one is not rotated. After a rotation this is also when weir has left the renamed one.
		eventually(t, 10*time.Second, "the file is written to", func() bool { return fileSize(t, access) > 0 })
		r.rotate(t)
	}
	requests := traffic.stop()
	e.settled(requests)
	dropped := e.number("weir_log_dropped_total") + e.number("weir_audit_log_dropped_total")
	e.stop()
	paths := map[string]int{}
	text, files := rotated(t, access)
	whole, stumps := linesOf(text, paths)
	if int64(whole) != requests || int64(len(paths)) != requests || stumps != 0 || dropped != 0 || files != n+1 {
		t.Errorf("%d lines (%d different ones, %d stumps, %d lost) in %d files for %d requests and %d rotations", whole, len(paths), stumps, dropped, files, requests, n)
	}
	if audit, _ := rotated(t, filepath.Join(logs, "audit.log")); bytes.Count(audit, []byte(`"event.action":"reset weights"`)) != n {
		t.Errorf("the audit log has\n%s\nwant %d writes", audit, n)
	}
	for _, name := range []string{access, access + ".1", access + ".2.gz"} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o640 {
			t.Errorf("%s: %v %v, want mode 0640", name, info, err)
		}
	}
	measured(t, "logrotate under load, by the shipped file", "%d rotations, %d requests, %d lines", n, requests, whole)
}

// TestE2ECopytruncate: whoever rotates so, weir goes on at the beginning of the emptied file: no line is there twice, and no hole before the next one. What is written between copy and truncation is gone: that
// is copytruncate's, and why the shipped file has create.
func TestE2ECopytruncate(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	r := newRotator(t, dir, filepath.Join(dir, "access.log")+" {\n\trotate 50\n\tcopytruncate\n\tmissingok\n}\n")
	e := logging(t, dir, "output = \"weir.log\"\naccess_output = \"access.log\"\n")
	traffic := newLoad(t, e.address("http"), 4, "GET")
	n := count(4, 20)
	for range n {
		traffic.after(40)
		r.rotate(t)
	}
	traffic.after(40)
	requests := traffic.stop()
	e.settled(requests)
	e.stop()
	text, files := rotated(t, filepath.Join(dir, "access.log"))
	if bytes.IndexByte(text, 0) >= 0 {
		t.Error("a hole in the log")
	}
	paths := map[string]int{}
	whole, stumps := linesOf(text, paths)
	// A copy that ends inside a block of lines has a stump at its end, and the rest of it may begin the emptied file.
	if files != n+1 || whole != len(paths) || int64(whole) > requests || stumps > 2*n || int64(whole) < 40 {
		t.Errorf("%d lines (%d different ones, %d stumps) in %d files for %d requests", whole, len(paths), stumps, files, requests)
	}
	if last, err := strconv.Atoi(fmt.Sprint(len(slurp(t, filepath.Join(dir, "access.log"))))); err != nil || last == 0 {
		t.Error("nothing in the last file")
	}
}
