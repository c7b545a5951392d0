package observe

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// SinkOptions says where lines go. Exactly one of Path and Output is set.
type SinkOptions struct {
	Path   string    // opened for appending, created 0640: client addresses are nobody else's business
	Output io.Writer // such as os.Stdout; never closed. The process must ignore SIGPIPE: Go dies of it when a standard stream's reader is gone

	Limit int           // bytes waiting at most, 0 for DefaultSinkLimit; what does not fit is dropped
	Flush time.Duration // the longest a line waits, 0 for DefaultSinkFlush

	OnDrop  func(lines int) // told of every loss; may be nil; called from the goroutines that log and from the sink's own
	OnError func(err error) // told of the first failed write of a row of failures; may be nil; called from the sink's goroutine
}

// DefaultSinkLimit holds 80 ms of a full-speed log (100,000 lines of 500 bytes a second): longer than a disk's ordinary pause, small beside a proxy.
const DefaultSinkLimit = 4 << 20

// DefaultSinkFlush keeps `tail -f` lively at four system calls a second.
const DefaultSinkFlush = 250 * time.Millisecond

// blockSize is what one write carries: large enough that system calls vanish (130 lines each), small enough for the memory of an idle process.
const blockSize = 64 << 10

// maxSpare blocks are kept for the next burst: half a MiB, so that a busy log allocates nothing and an idle one holds little.
const maxSpare = 8

// ErrSinkClosed is returned by Flush and Reopen after Close.
var ErrSinkClosed = errors.New("log sink is closed")

// Sink gathers lines into blocks and writes them from one goroutine of its own, which NewSink starts and Close ends. Whoever logs copies a line under a
// short lock and goes on; when the output stalls, lines beyond the limit are dropped and counted. Lines stay whole and in order. Safe for concurrent use.
type Sink struct {
	path    string
	limit   int
	onDrop  func(int)
	onError func(error)
	dropped atomic.Uint64 // lines, written by anyone
	follows atomic.Bool   // set once, by Follow

	// mu guards the blocks, pending, closed and file. Held for the copy of one line (at worst the allocation of one block), never during I/O.
	mu      sync.Mutex
	active  []byte   // being filled
	full    [][]byte // oldest first, for the writer
	spare   [][]byte // empty blocks that the writer has given back, at most maxSpare
	pending int      // bytes in active, in full and in the writer's hands
	closed  bool
	file    *os.File // what the writer writes to and owns, nil for an Output of the caller; Close takes it from a stalled writer

	wake    chan struct{} // a block is full; capacity 1
	control chan request  // to the writer, unbuffered
	quit    chan struct{} // closed by Close
	stopped chan struct{} // closed by the writer when it ends

	// Owned by the writer goroutine.
	out     io.Writer
	failing bool // the last write failed: OnError has been told
	torn    bool // the output ends inside a line
	astray  bool // the file at the path could not be opened: OnError has been told
}

// request asks the writer to write out everything and then, if file is set, to go on in that file.
type request struct {
	file *os.File
	done chan struct{}
}

// NewSink opens the path, or takes the output, and starts the writer.
func NewSink(o SinkOptions) (*Sink, error) {
	s := &Sink{
		path: o.Path, limit: o.Limit, onDrop: o.OnDrop, onError: o.OnError, out: o.Output,
		active: make([]byte, 0, blockSize),
		wake:   make(chan struct{}, 1), control: make(chan request),
		quit: make(chan struct{}), stopped: make(chan struct{}),
	}
	if (o.Path == "") == (o.Output == nil) {
		return nil, errors.New("open log: exactly one of path and output must be given")
	}
	if s.limit == 0 {
		s.limit = DefaultSinkLimit
	}
	if o.Path != "" {
		f, err := openLog(o.Path)
		if err != nil {
			return nil, err
		}
		s.file, s.out = f, f
	}
	every := o.Flush
	if every == 0 {
		every = DefaultSinkFlush
	}
	go s.run(every)
	return s, nil
}

// openLog opens without blocking: a FIFO that nobody reads is then an error at start and not a hang, and one whose reader stalls can be let go.
func openLog(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE|syscall.O_NONBLOCK, 0o640)
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	return f, nil
}

// Append takes a copy of one line, newline included, and reports whether there was room. It never waits for the output.
func (s *Sink) Append(line []byte) bool {
	ok := s.take(line)
	if !ok {
		s.drop(1)
	}
	return ok
}

// Write is Append for loggers: p is one or more whole lines, kept or dropped together. It always reports success: a log that fails must not fail what
// it reports on.
func (s *Sink) Write(p []byte) (int, error) {
	if !s.take(p) {
		s.drop(bytes.Count(p, []byte{'\n'}))
	}
	return len(p), nil
}

func (s *Sink) take(line []byte) bool {
	s.mu.Lock()
	if s.closed || s.pending+len(line) > s.limit {
		s.mu.Unlock()
		return false
	}
	filled := len(s.active) > 0 && len(s.active)+len(line) > cap(s.active)
	if filled {
		s.full = append(s.full, s.active)
		s.active = s.takeSpare()
	}
	if cap(s.active) < len(line) {
		s.active = make([]byte, 0, max(blockSize, len(line)))
	}
	s.active = append(s.active, line...)
	s.pending += len(line)
	s.mu.Unlock()
	if filled {
		select {
		case s.wake <- struct{}{}:
		default: // the writer has been told
		}
	}
	return true
}

// Dropped is the number of lines lost since the start.
func (s *Sink) Dropped() uint64 { return s.dropped.Load() }

// Flush returns when every line appended before it has been written, or lost to an error of the output.
func (s *Sink) Flush(ctx context.Context) error {
	if err := s.ask(ctx, request{done: make(chan struct{})}); err != nil {
		return fmt.Errorf("flush log: %w", err)
	}
	return nil
}

// Reopen opens the path anew and returns when lines go there: what logrotate needs after it has renamed the file. When the path cannot be opened the
// old file stays in use. Without a path there is nothing to do.
func (s *Sink) Reopen(ctx context.Context) error {
	if s.path == "" {
		return nil
	}
	f, err := openLog(s.path)
	if err != nil {
		return err
	}
	if err := s.ask(ctx, request{file: f, done: make(chan struct{})}); err != nil {
		return fmt.Errorf("reopen log %s: %w", s.path, err)
	}
	return nil
}

// Follow makes the sink look before each write whether another file is at its path by now, and go on in that one: for a process that nobody tells of rotations any more. Without a path there is nothing to do.
func (s *Sink) Follow() { s.follows.Store(s.path != "") }

// ask hands a request to the writer, and with it the file; a file that is not taken is closed here.
func (s *Sink) ask(ctx context.Context, r request) error {
	var err error
	select {
	case s.control <- r:
		select {
		case <-r.done:
		case <-ctx.Done():
			err = ctx.Err()
		}
		return err
	case <-s.stopped:
		err = ErrSinkClosed
	case <-ctx.Done():
		err = ctx.Err()
	}
	if r.file != nil {
		r.file.Close()
	}
	return err
}

// Close writes what is waiting, ends the writer and closes the file. When ctx ends first, the rest is given up: the file is taken from under the writer,
// which frees it from a stalled pipe (an Output of the caller, or a disk that hangs in the kernel, keeps its goroutine until it returns), and the error says so.
func (s *Sink) Close(ctx context.Context) error {
	s.mu.Lock()
	first := !s.closed
	s.closed = true
	s.mu.Unlock()
	if first {
		close(s.quit)
	}
	select {
	case <-s.stopped:
		return nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	if s.file != nil {
		s.file.Close()
	}
	s.mu.Unlock()
	return fmt.Errorf("close log: %w", ctx.Err())
}

// run is the writer. A ticker and not a timer per line: four wake-ups a second cost nothing, and Append stays free of timers.
func (s *Sink) run(every time.Duration) {
	defer close(s.stopped)
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			s.drain()
		case <-s.wake:
			s.drain()
		case r := <-s.control:
			s.drain()
			if r.file != nil {
				s.switchTo(r.file)
			}
			close(r.done)
		case <-s.quit:
			s.drain()
			s.switchTo(nil)
			return
		}
	}
}

// drain writes the full blocks and then, once, the one being filled: looking for more would turn a steady trickle into tiny writes.
func (s *Sink) drain() {
	for {
		s.mu.Lock()
		var block []byte
		last := len(s.full) == 0
		if !last {
			block = s.full[0]
			s.full = slices.Delete(s.full, 0, 1)
		} else if len(s.active) > 0 {
			block = s.active
			s.active = s.takeSpare()
		}
		s.mu.Unlock()
		if len(block) > 0 {
			s.write(block)
			s.recycle(block)
		}
		if last {
			return
		}
	}
}

// recycle accounts for a block that has been written or lost and keeps one of the ordinary size for the next lines.
func (s *Sink) recycle(block []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pending -= len(block)
	if cap(block) != blockSize {
		return
	}
	if s.active == nil {
		s.active = block[:0]
	} else if len(s.spare) < maxSpare {
		s.spare = append(s.spare, block[:0])
	}
}

// takeSpare returns an empty block, nil when there is none. Caller holds mu.
func (s *Sink) takeSpare() []byte {
	if len(s.spare) == 0 {
		return nil
	}
	last := len(s.spare) - 1
	block := s.spare[last]
	s.spare[last] = nil
	s.spare = s.spare[:last]
	return block
}

// write puts one block out and counts the lines that did not get through whole.
func (s *Sink) write(block []byte) {
	if s.follows.Load() {
		s.follow()
	}
	if s.torn {
		if _, err := s.out.Write([]byte{'\n'}); err != nil {
			s.lost(block, err)
			return
		}
		s.torn = false
	}
	n, err := s.out.Write(block)
	if err == nil {
		s.failing = false
		return
	}
	s.torn = n > 0 && block[n-1] != '\n'
	s.lost(block[n:], err)
}

// follow goes on in the file that is at the path. Where there is none, whoever renamed the one in use has not made the next yet.
func (s *Sink) follow() {
	there, err := os.Stat(s.path)
	if err != nil {
		return
	}
	if mine, err := s.file.Stat(); err != nil || os.SameFile(there, mine) { // none but the writer changes which file it is
		return
	}
	next, err := openLog(s.path)
	if err == nil {
		s.switchTo(next)
	} else if !s.astray && s.onError != nil {
		s.onError(fmt.Errorf("follow log: %w", err))
	}
	s.astray = err != nil
}

func (s *Sink) lost(rest []byte, err error) {
	s.drop(bytes.Count(rest, []byte{'\n'}))
	if !s.failing && s.onError != nil {
		s.onError(fmt.Errorf("write log: %w", err))
	}
	s.failing = true
}

// switchTo closes the file in use and goes on with the next one, nil at the end.
func (s *Sink) switchTo(next *os.File) {
	s.mu.Lock()
	old := s.file
	s.file = next
	s.mu.Unlock()
	if old != nil {
		if err := old.Close(); err != nil && !errors.Is(err, os.ErrClosed) && s.onError != nil {
			s.onError(fmt.Errorf("close log: %w", err)) // NFS and quotas report lost writes here
		}
	}
	if next != nil {
		s.out, s.failing, s.torn = next, false, false
	}
}

func (s *Sink) drop(lines int) {
	if lines == 0 {
		return
	}
	s.dropped.Add(uint64(lines))
	if s.onDrop != nil {
		s.onDrop(lines)
	}
}
