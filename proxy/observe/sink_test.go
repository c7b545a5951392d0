package observe_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/valor-ivx/weir/proxy/observe"
)

func openSink(t *testing.T, o observe.SinkOptions) *observe.Sink {
	t.Helper()
	s, err := observe.NewSink(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
		defer cancel()
		s.Close(ctx)
	})
	return s
}

// Rotation as logrotate does it (rename, then reopen) while four writers log: every line is in exactly one file, whole, and in its writer's order.
func TestRotationUnderConcurrentWritesLosesNoLine(t *testing.T) {
	const writers, lines, rotations = 4, 5000, 25
	dir := t.TempDir()
	path := filepath.Join(dir, "access.log")
	s := openSink(t, observe.SinkOptions{Path: path, Limit: 64 << 20})
	var started, wg sync.WaitGroup
	started.Add(writers)
	for w := range writers {
		wg.Go(func() {
			started.Done()
			for i := range lines {
				if !s.Append(fmt.Appendf(nil, "%d %d %s\n", w, i, strings.Repeat("x", i%300))) {
					t.Errorf("writer %d: line %d was dropped", w, i)
				}
			}
		})
	}
	started.Wait()
	for i := range rotations {
		if err := os.Rename(path, fmt.Sprintf("%s.%03d", path, i)); err != nil {
			t.Fatal(err)
		}
		if err := s.Reopen(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	wg.Wait()
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}

	var all []byte
	for i := range rotations {
		all = append(all, readFile(t, fmt.Sprintf("%s.%03d", path, i))...)
	}
	all = append(all, readFile(t, path)...)
	next := [writers]int{}
	for line := range strings.Lines(string(all)) {
		var w, i int
		if _, err := fmt.Sscanf(line, "%d %d", &w, &i); err != nil {
			t.Fatalf("torn line %q: %v", line, err)
		}
		if want := fmt.Sprintf("%d %d %s\n", w, i, strings.Repeat("x", i%300)); line != want {
			t.Fatalf("line %q, want %q", line, want)
		}
		if i != next[w] {
			t.Fatalf("writer %d: line %d follows line %d", w, i, next[w]-1)
		}
		next[w]++
	}
	for w, n := range next {
		if n != lines {
			t.Errorf("writer %d: %d of %d lines", w, n, lines)
		}
	}
	if s.Dropped() != 0 {
		t.Errorf("%d lines counted as dropped", s.Dropped())
	}
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A pipe that nobody reads: logging goes on, memory stays bounded, what was lost is counted, and what was kept arrives when the reader wakes up.
func TestStalledPipeDropsAndCounts(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	var told atomic.Int64
	s := openSink(t, observe.SinkOptions{Output: w, Limit: 256 << 10, OnDrop: func(n int) { told.Add(int64(n)) }})
	line := append(bytes.Repeat([]byte("x"), 999), '\n')
	kept := 0
	for range 2000 { // 2 MB into 64 KiB of pipe and 256 KiB of sink
		if s.Append(line) {
			kept++
		}
	}
	dropped := int(s.Dropped())
	if dropped == 0 || kept+dropped != 2000 || int(told.Load()) != dropped {
		t.Fatalf("kept %d, dropped %d, OnDrop told %d of 2000", kept, dropped, told.Load())
	}
	if kept > (256+64+64)*1024/1000 {
		t.Errorf("kept %d lines of 1000 bytes: more than limit, pipe and the block in the writer's hands", kept)
	}

	got := make(chan int)
	go func() {
		b, _ := io.ReadAll(r)
		got <- bytes.Count(b, []byte{'\n'})
	}()
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.Close()
	if n := <-got; n != kept {
		t.Errorf("the reader got %d lines, %d were kept", n, kept)
	}
}

// Close gives a stalled pipe up at its deadline, frees the writer, and counts what never arrived.
func TestCloseLeavesAStalledFIFO(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := observe.NewSink(observe.SinkOptions{Path: path}); !errors.Is(err, syscall.ENXIO) {
		t.Fatalf("a FIFO without a reader: %v, want ENXIO", err)
	}
	r, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	s := openSink(t, observe.SinkOptions{Path: path})
	line := append(bytes.Repeat([]byte("x"), 999), '\n')
	for range 1000 {
		s.Append(line)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := s.Reopen(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Reopen of a stalled sink: %v, want deadline exceeded", err)
	}
	if err := s.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Close of a stalled sink: %v, want deadline exceeded", err)
	}
	if err := s.Close(t.Context()); err != nil { // waits for the writer that has been set free
		t.Errorf("second Close: %v", err)
	}
	arrived, err := countLines(r)
	if err != nil {
		t.Fatal(err)
	}
	if arrived+int(s.Dropped()) != 1000 {
		t.Errorf("%d lines arrived and %d were counted as dropped, of 1000", arrived, s.Dropped())
	}
}

func countLines(r io.Reader) (int, error) {
	b, err := io.ReadAll(r)
	return bytes.Count(b, []byte{'\n'}), err
}

// A full disk: every line is counted, OnError is told once for the row of failures, and the file that follows works.
func TestFullDiskCountsAndRecovers(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "access.log")
	if err := os.Symlink("/dev/full", path); err != nil {
		t.Fatal(err)
	}
	var failures atomic.Int64
	var last atomic.Value
	s := openSink(t, observe.SinkOptions{Path: path, OnError: func(err error) { failures.Add(1); last.Store(err) }})
	for range 3 {
		s.Append([]byte("lost\n"))
		if err := s.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if s.Dropped() != 3 || failures.Load() != 1 || !errors.Is(last.Load().(error), syscall.ENOSPC) {
		t.Errorf("dropped %d, %d failures told, last %v; want 3, 1, ENOSPC", s.Dropped(), failures.Load(), last.Load())
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := s.Reopen(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.Append([]byte("kept\n"))
	if err := s.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := string(readFile(t, path)); got != "kept\n" {
		t.Errorf("file holds %q", got)
	}
}

// tearing fails after part of its first write.
type tearing struct {
	bytes.Buffer
	limit int
}

func (w *tearing) Write(p []byte) (int, error) {
	if w.limit >= 0 && len(p) > w.limit {
		n, _ := w.Buffer.Write(p[:w.limit])
		w.limit = -1
		return n, syscall.ENOSPC
	}
	return w.Buffer.Write(p)
}

// A write that stops inside a line must not glue the next line to the stump.
func TestTornLineIsEndedAndCounted(t *testing.T) {
	out := &tearing{limit: 6}
	s := openSink(t, observe.SinkOptions{Output: out})
	s.Append([]byte("one\n"))
	s.Append([]byte("two\n"))
	s.Append([]byte("three\n"))
	for _, line := range []string{"", "four\n"} {
		s.Append([]byte(line))
		if err := s.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, want := out.String(), "one\ntw\nfour\n"; got != want || s.Dropped() != 2 {
		t.Errorf("output %q, dropped %d; want %q, 2", got, s.Dropped(), want)
	}
}

func TestReopenThatFailsKeepsTheOldFile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "access.log")
	s := openSink(t, observe.SinkOptions{Path: path})
	if err := os.Rename(dir, dir+".away"); err != nil {
		t.Fatal(err)
	}
	if err := s.Reopen(t.Context()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Reopen: %v, want not exist", err)
	}
	s.Append([]byte("still here\n"))
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := string(readFile(t, filepath.Join(dir+".away", "access.log"))); got != "still here\n" {
		t.Errorf("file holds %q", got)
	}
	if err := s.Reopen(t.Context()); err == nil {
		t.Error("Reopen after Close succeeded")
	}
	if err := s.Flush(t.Context()); !errors.Is(err, observe.ErrSinkClosed) {
		t.Errorf("Flush after Close: %v", err)
	}
	if s.Append([]byte("late\n")) || s.Dropped() != 1 {
		t.Error("a line after Close was not dropped and counted")
	}
}

// TestFollow: a sink that follows writes to the file that has its path at each write, to the renamed one until there is another, and says once what it cannot open.
func TestFollow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	var told atomic.Int64
	s := openSink(t, observe.SinkOptions{Path: path, OnError: func(error) { told.Add(1) }})
	s.Follow()
	write := func(line string) {
		t.Helper()
		s.Append([]byte(line + "\n"))
		if err := s.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	do := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	write("one")
	do(os.Rename(path, path+".1"))
	write("two") // the next file is not there yet
	do(os.WriteFile(path, []byte("of another\n"), 0o640))
	write("three")
	write("four")
	do(os.Rename(path, path+".2"))
	do(os.Mkdir(path, 0o750))
	write("five")
	write("six")
	if n := told.Load(); n != 1 {
		t.Errorf("told %d times of what cannot be opened", n)
	}
	do(os.Remove(path))
	do(os.WriteFile(path, nil, 0o640))
	write("seven")
	for name, want := range map[string]string{path + ".1": "one\ntwo\n", path + ".2": "of another\nthree\nfour\nfive\nsix\n", path: "seven\n"} {
		if got := string(readFile(t, name)); got != want {
			t.Errorf("%s has %q, want %q", name, got, want)
		}
	}
}

func TestFileModeAndAppending(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	for _, line := range []string{"one\n", "two\n"} {
		s := openSink(t, observe.SinkOptions{Path: path})
		if n, err := s.Write([]byte(line)); n != len(line) || err != nil {
			t.Errorf("Write: %d, %v", n, err)
		}
		if err := s.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := string(readFile(t, path)); got != "one\ntwo\n" {
		t.Errorf("file holds %q", got)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm()&0o027 != 0 {
		t.Errorf("mode %v lets others in", info.Mode())
	}
}

// The limit is on what waits, not on what has ever been written.
func TestWrittenLinesMakeRoom(t *testing.T) {
	s := openSink(t, observe.SinkOptions{Output: io.Discard, Limit: 1000})
	line := append(bytes.Repeat([]byte("x"), 899), '\n')
	for i := range 10 {
		if !s.Append(line) {
			t.Fatalf("line %d was dropped after the ones before it had been written", i)
		}
		if err := s.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSinkOptionsAreChecked(t *testing.T) {
	if _, err := observe.NewSink(observe.SinkOptions{}); err == nil {
		t.Error("neither path nor output was taken")
	}
	if _, err := observe.NewSink(observe.SinkOptions{Path: "x", Output: io.Discard}); err == nil {
		t.Error("both path and output were taken")
	}
}

// Lines longer than a block pass whole, between others.
func TestLongLines(t *testing.T) {
	out := &bytes.Buffer{}
	s := openSink(t, observe.SinkOptions{Output: out})
	var want bytes.Buffer
	for i := range 40 {
		line := append(bytes.Repeat([]byte{byte('a' + i%26)}, i*i*100), '\n')
		want.Write(line)
		if !s.Append(line) {
			t.Fatalf("line %d was dropped", i)
		}
	}
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(out.Bytes(), want.Bytes()) {
		t.Errorf("%d bytes arrived, want %d in order", out.Len(), want.Len())
	}
}

// notifying tells of every write.
type notifying struct{ writes chan string }

func (w notifying) Write(p []byte) (int, error) {
	w.writes <- string(p)
	return len(p), nil
}

func TestALineWaitsAtMostTheFlushInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := notifying{make(chan string)}
		s, err := observe.NewSink(observe.SinkOptions{Output: out})
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			start := time.Now()
			s.Append([]byte("line\n"))
			if got := <-out.writes; got != "line\n" {
				t.Errorf("wrote %q", got)
			}
			if waited := time.Since(start); waited > observe.DefaultSinkFlush || waited > time.Second {
				t.Errorf("a line waited %v", waited)
			}
		}
		if err := s.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
