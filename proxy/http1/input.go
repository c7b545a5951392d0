package http1

import (
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// input is the reading half of a connection: a borrowed block and a window of unread bytes in it.
//
// On plain TCP the wait for the first byte holds no block: the read is tried inside the runtime poller's callback, which borrows only when it is
// about to read. That is what keeps ten thousand idle connections small.
type input struct {
	conn  net.Conn
	raw   syscall.RawConn       // nil when conn is not a plain socket
	wire  looker                // beneath TLS; nil: none that can be asked
	try   func(fd uintptr) bool // readOnce, lookOnce and grabOnce, bound once, so that a read allocates nothing
	look  func(fd uintptr)
	grab  func(fd uintptr) bool
	count func(fd uintptr) bool
	dst   []byte // where grab reads to
	buf   []byte // borrowed; nil while idle
	r, w  int    // unread bytes are buf[r:w]
	keep  int    // bytes before keep belong to a head still in use: never overwritten
	alarm alarm
	// stopped says that reads are interrupted until somebody lifts it: written by whoever interrupts, who is not the reader.
	stopped atomic.Bool

	n   int // result of the last try, or its error
	err error
}

func (in *input) init(conn net.Conn) {
	in.conn = conn
	if sc, ok := conn.(*net.TCPConn); ok {
		if raw, err := sc.SyscallConn(); err == nil {
			in.raw, in.try, in.look, in.grab, in.count = raw, in.readOnce, in.lookOnce, in.grabOnce, in.countOnce
		}
	}
	if secure, ok := conn.(interface{ NetConn() net.Conn }); ok {
		in.wire, _ = secure.NetConn().(looker)
	}
}

// looker is a socket whose reads wait for nothing while Look is on.
type looker interface{ Look(on bool) }

// readOnce is the poller's callback: one non-blocking read. It reports false when the socket has nothing, which parks the goroutine.
func (in *input) readOnce(fd uintptr) bool {
	borrowed := in.buf == nil
	if borrowed {
		in.buf = borrowSmall()
	}
	for {
		n, err := syscall.Read(int(fd), in.buf[in.w:])
		if err == syscall.EINTR {
			continue
		}
		if err == syscall.EAGAIN {
			if borrowed {
				giveBack(in.buf)
				in.buf = nil
			}
			return false
		}
		in.n, in.err = n, err
		return true
	}
}

// fill reads once, at least one byte, behind the window. It makes room first: by moving the window down, then by a large block.
// errFull means that neither is left.
func (in *input) fill() error {
	if in.buf != nil && in.w == len(in.buf) && !in.room() {
		return errFull
	}
	n, err := in.read()
	if n > 0 {
		in.w += n
		return nil
	}
	if err == nil {
		return io.EOF
	}
	return err
}

var errFull = errors.New("buffer full")

func (in *input) read() (int, error) {
	n, err := in.await()
	if err != nil && errors.Is(err, os.ErrDeadlineExceeded) && !in.stopped.Load() {
		return in.readLate(err)
	}
	return n, err
}

// readLate is a look at the socket when the time is over: where the machine, or this process, stood still for longer than that, what came in time stands there.
func (in *input) readLate(late error) (int, error) {
	switch {
	case in.raw != nil:
		in.n, in.err = 0, late
		if in.raw.Control(func(fd uintptr) { in.readOnce(fd) }) != nil {
			return 0, late
		}
		return in.n, in.err
	case in.wire != nil:
		in.wire.Look(true)
		defer in.wire.Look(false)
		return in.conn.Read(in.buf[in.w:])
	}
	return 0, late
}

func (in *input) await() (int, error) {
	if in.raw == nil {
		if in.buf == nil {
			in.buf = borrowSmall()
		}
		return in.conn.Read(in.buf[in.w:])
	}
	in.n, in.err = 0, nil
	if err := in.raw.Read(in.try); err != nil {
		return 0, err
	}
	return in.n, in.err
}

// room makes space behind the window and reports whether there is some.
func (in *input) room() bool {
	if in.r > in.keep {
		copy(in.buf[in.keep:], in.buf[in.r:in.w])
		in.w -= in.r - in.keep
		in.r = in.keep
		return true
	}
	if len(in.buf) == smallBlock && in.keep == 0 {
		big := borrowLarge()
		copy(big, in.buf[:in.w])
		giveBack(in.buf)
		in.buf = big
		return true
	}
	return false
}

// detach hands the block that holds the kept head to the caller and goes on in a fresh large block, with the unread bytes moved there: the way to
// read a body while the head's slices stay valid.
func (in *input) detach() []byte {
	head := in.buf
	in.buf = borrowLarge()
	in.w = copy(in.buf, head[in.r:in.w])
	in.r, in.keep = 0, 0
	return head
}

func (in *input) buffered() []byte { return in.buf[in.r:in.w] }

// rest gives the block back when nothing unread is in it, else moves those bytes to the front.
func (in *input) rest() {
	in.keep = 0
	if in.buf == nil {
		return
	}
	if in.r == in.w {
		giveBack(in.buf)
		in.buf, in.r, in.w = nil, 0, 0
		return
	}
	in.w = copy(in.buf, in.buf[in.r:in.w])
	in.r = 0
}

// drop gives the block back whatever is in it.
func (in *input) drop() {
	if in.buf != nil {
		giveBack(in.buf)
	}
	in.buf, in.r, in.w, in.keep = nil, 0, 0, 0
}

// within bounds the following reads: they fail between d and 1.25 d from now. Zero d means no bound.
func (in *input) within(now time.Time, d time.Duration) error {
	at, move := in.alarm.due(now, d)
	if !move {
		return nil
	}
	err := in.conn.SetReadDeadline(at)
	if in.stopped.Load() { // the interruption came before, or between: its deadline is the one to keep
		return in.conn.SetReadDeadline(past())
	}
	return err
}

// stop makes a read that waits in another goroutine return at once with os.ErrDeadlineExceeded, and the next ones too, whatever bounds the reader sets meanwhile.
func (in *input) stop() error {
	in.stopped.Store(true) // before: whoever moves the deadline meanwhile looks afterwards, see within
	return in.conn.SetReadDeadline(past())
}

// resume lifts stop. Who called that is known to be done with it. No bound is in force then.
func (in *input) resume() error {
	in.stopped.Store(false)
	in.alarm.at = time.Time{}
	return in.conn.SetReadDeadline(time.Time{})
}

// readNow reads into p what the socket has, without waiting; 0 when that is nothing, or when the read fails: the next waiting read will say why.
func (in *input) readNow(p []byte) int {
	if in.raw == nil || len(p) == 0 {
		return 0
	}
	in.dst, in.n = p, 0
	if in.raw.Read(in.grab) != nil || in.n < 0 {
		in.n = 0
	}
	in.dst = nil
	return in.n
}

func (in *input) grabOnce(fd uintptr) bool {
	in.n, _ = syscall.Read(int(fd), in.dst)
	return true
}

// available waits until the socket has something and says how many bytes stand there; 0 is its end. Plain sockets only.
func (in *input) available() (int, error) {
	in.n, in.err = 0, nil
	if err := in.raw.Read(in.count); err != nil {
		return 0, err
	}
	return in.n, in.err
}

func (in *input) countOnce(fd uintptr) bool {
	if in.n, in.err = unix.IoctlGetInt(int(fd), fionread); in.err != nil || in.n > 0 {
		return true
	}
	in.lookOnce(fd) // nothing and the end both count 0
	if in.err != nil || in.n >= 0 {
		in.n = max(in.n, 0)
		return true
	}
	return false
}

// readable peeks without waiting: true when bytes, an end or an error stand at an idle socket.
func (in *input) readable() bool {
	if in.r < in.w {
		return true
	}
	n, err := in.peek()
	return n >= 0 || err
}

// ended peeks without waiting: true when the peer has shut its side or reset the connection and nothing unread stands before that.
func (in *input) ended() bool {
	if in.r < in.w {
		return false
	}
	n, err := in.peek()
	return n == 0 || err
}

// unread peeks without waiting: true when bytes stand here or at the socket that nobody has asked for.
func (in *input) unread() bool {
	if in.r < in.w {
		return true
	}
	n, _ := in.peekBeneath()
	return n > 0
}

// peek looks at the socket: n > 0 bytes stand there, 0 its end, -1 nothing yet. Behind TLS it sees records, not what they hold, so it says
// nothing there.
func (in *input) peek() (n int, failed bool) {
	if in.raw == nil {
		return -1, false
	}
	in.n = -1
	if in.raw.Control(in.look) != nil {
		return 0, true
	}
	return in.n, in.n < 0 && in.err != nil
}

func (in *input) lookOnce(fd uintptr) {
	var one [1]byte
	n, _, err := syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	in.n, in.err = n, nil
	if err != nil {
		in.n = -1
		if err != syscall.EAGAIN {
			in.err = err
		}
	}
}
