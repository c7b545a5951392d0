package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// linesOf counts the whole access lines of some JSON text by their path. A line that is none (the stump that a full disk leaves) is told apart.
func linesOf(text []byte, paths map[string]int) (whole, stumps int) {
	for line := range bytes.Lines(text) {
		var one struct {
			Dataset string `json:"event.dataset"`
			Path    string `json:"url.path"`
		}
		switch err := json.Unmarshal(line, &one); {
		case err != nil:
			stumps++
		case one.Dataset == "weir.access":
			whole++
			paths[one.Path]++
		}
	}
	return whole, stumps
}

// number is a metric that has a number from the first scrape.
func (e *edge) number(series string) int64 {
	e.t.Helper()
	text := e.metric(series)
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		e.t.Fatalf("%s is %q", series, text)
	}
	return int64(v)
}

// settled waits until weir has finished as many requests as clients have seen answered: a line is written after the answer.
func (e *edge) settled(requests int64) {
	e.t.Helper()
	eventually(e.t, 10*time.Second, "every request is finished", func() bool {
		return e.number(`weir_http_requests_total{code="200",listener="http",method="GET",proto="HTTP/1.1",route="all"}`) == requests && e.number("weir_http_requests_in_flight") == 0
	})
}

// TestE2ELogDiskFull: the log can grow no more, by a limit of the process or because the disk is full. Traffic does not notice, every line that is lost is counted, standard error says so, and when there is
// room again the log goes on.
func TestE2ELogDiskFull(t *testing.T) {
	t.Parallel()
	t.Run("file size limit", func(t *testing.T) {
		t.Parallel()
		dir := folder(t)
		e := logging(t, dir, "output = \"weir.log\"\naccess_output = \"access.log\"\n")
		traffic := newLoad(t, e.address("http"), 4, "GET")
		traffic.after(50)
		sizeLimit(t, e, 40<<10)
		eventually(t, 20*time.Second, "lines are lost", func() bool { return e.number("weir_log_dropped_total") > 0 })
		traffic.after(300)
		full := fileSize(t, filepath.Join(dir, "access.log"))
		if full > 40<<10 {
			t.Errorf("the log has %d bytes", full)
		}
		sizeLimit(t, e, unix.RLIM_INFINITY)
		eventually(t, 20*time.Second, "the log goes on", func() bool { return fileSize(t, filepath.Join(dir, "access.log")) > full+2000 })
		requests := traffic.stop()
		e.settled(requests)
		e.must("logs", "reopen") // writes out what waits
		dropped := e.number("weir_log_dropped_total")
		e.stop()
		paths := map[string]int{}
		whole, stumps := linesOf(slurp(t, filepath.Join(dir, "access.log")), paths)
		if int64(whole)+dropped != requests || len(paths) != whole || stumps > 1 {
			t.Errorf("%d lines (%d different ones, %d stumps) and %d lost, of %d requests", whole, len(paths), stumps, dropped, requests)
		}
		if told := e.errs.String(); !strings.Contains(told, "access.log: write log:") || !strings.Contains(told, "file too large") {
			t.Errorf("standard error says %q", told)
		}
		measured(t, "log at the limit of its size, under load", "%d requests answered, %d lines written, %d lost and counted", requests, whole, dropped)
	})
	t.Run("no space left", func(t *testing.T) {
		t.Parallel()
		dir := folder(t)
		log := filepath.Join(dir, "access.log")
		if err := os.Symlink("/dev/full", log); err != nil { // where every write fails as on a full disk
			t.Fatal(err)
		}
		e := logging(t, dir, "output = \"weir.log\"\naccess_output = \"access.log\"\n")
		traffic := newLoad(t, e.address("http"), 4, "GET")
		eventually(t, 20*time.Second, "lines are lost", func() bool { return e.number("weir_log_dropped_total") > 0 })
		traffic.after(100)
		if err := os.Remove(log); err != nil {
			t.Fatal(err)
		}
		e.must("logs", "reopen")
		traffic.after(100)
		requests := traffic.stop()
		e.settled(requests)
		e.must("logs", "reopen")
		dropped := e.number("weir_log_dropped_total")
		e.stop()
		paths := map[string]int{}
		whole, stumps := linesOf(slurp(t, log), paths)
		if int64(whole)+dropped != requests || len(paths) != whole || stumps != 0 || whole < 100 {
			t.Errorf("%d lines (%d different ones, %d stumps) and %d lost, of %d requests", whole, len(paths), stumps, dropped, requests)
		}
		if told := e.errs.String(); strings.Count(told, "no space left on device") != 1 {
			t.Errorf("standard error says %q, want it once", told)
		}
	})
}

// logging is an edge with lines for [log], in front of one backend.
func logging(t *testing.T, dir, log string, args ...string) *edge {
	t.Helper()
	c := newConf(dir, newBackend(t, "blue").address, "127.0.0.1:1")
	c.log = log
	return run(t, dir, c, args...)
}

// sizeLimit bounds the files that the running weir may write.
func sizeLimit(t *testing.T, e *edge, size uint64) {
	t.Helper()
	if err := unix.Prlimit(e.cmd.Process.Pid, unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: size, Max: unix.RLIM_INFINITY}, nil); err != nil {
		t.Fatal(err)
	}
}

func fileSize(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

func slurp(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestE2ELogStalled: who reads the log has stopped reading, of a named pipe or of standard output. Nobody waits for it: requests are answered, the rest is bounded, lost lines are counted, and when the reader
// comes back it gets whole lines. A stop does not wait for it either.
func TestE2ELogStalled(t *testing.T) {
	t.Parallel()
	for _, stdout := range []bool{false, true} {
		t.Run(map[bool]string{false: "named pipe", true: "standard output"}[stdout], func(t *testing.T) {
			t.Parallel()
			dir := folder(t)
			fifo := filepath.Join(dir, "fifo")
			if err := syscall.Mkfifo(fifo, 0o600); err != nil {
				t.Fatal(err)
			}
			reader, err := os.OpenFile(fifo, os.O_RDONLY|syscall.O_NONBLOCK, 0) // somebody who has opened it and does not read
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = reader.Close() }()
			e := stalled(t, dir, stdout)
			k := dialKept(t, e.address("http"))
			requests := int64(0)
			ask := func() {
				requests++
				// The target is in a line twice: 4 MiB, which is what a stalled output may hold, are 400 requests.
				res, _, err := k.do("GET", fmt.Sprintf("/%d?pad=%s", requests, strings.Repeat("x", 6000)), "")
				if err != nil || res.StatusCode != http.StatusOK {
					t.Fatalf("request %d: %v %v", requests, res, err)
				}
			}
			for requests < 1000 {
				ask()
			}
			e.settled(requests)
			lost := e.number("weir_log_dropped_total")
			if lost == 0 || lost > requests-300 {
				t.Fatalf("%d lines lost of %d", lost, requests)
			}
			if out, code := e.verb("status"); code != 0 {
				t.Errorf("weir status beside a stalled log: exit %d %s", code, out)
			}
			if stdout { // and it stays so
				e.signal(syscall.SIGTERM)
				if code := e.wait(60 * time.Second); code != 0 {
					t.Errorf("exit %d with a stalled standard output", code)
				}
				return
			}
			read := make(chan []byte, 1)
			go func() {
				b, _ := io.ReadAll(bufio.NewReader(reader)) // to the end of weir
				read <- b
			}()
			e.must("logs", "reopen") // through all that waits
			for range 50 {
				ask()
			}
			e.settled(requests)
			lost = e.number("weir_log_dropped_total")
			e.stop()
			paths := map[string]int{}
			whole, stumps := linesOf(<-read, paths)
			if int64(whole)+lost != requests || len(paths) != whole || stumps != 0 {
				t.Errorf("%d lines (%d different ones, %d stumps) and %d lost, of %d requests", whole, len(paths), stumps, lost, requests)
			}
			measured(t, "log into a pipe that nobody reads", "%d requests answered, %d lines read later, %d lost and counted", requests, whole, lost)
		})
	}
}

// stalled is an edge whose access log goes into the fifo: as a file, or as what the shell made of standard output.
func stalled(t *testing.T, dir string, stdout bool) *edge {
	t.Helper()
	if !stdout {
		return logging(t, dir, "output = \"weir.log\"\naccess_output = \"fifo\"\n")
	}
	c := newConf(dir, newBackend(t, "blue").address, "127.0.0.1:1")
	c.log = "output = \"weir.log\"\naccess_output = \"stdout\"\n"
	config := filepath.Join(dir, "weir.toml")
	save(t, config, c.String())
	// exec: the process that the test knows is weir.
	e := launchAs(t, dir, config, exec.Command("sh", "-c", `exec "$0" run -c "$1" >"$2"`, filepath.Join(programs(t), "weir"), config, filepath.Join(dir, "fifo")))
	e.ready()
	return e
}
