package upstream

import (
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"
)

// wire is the socket beneath a TLS connection. While asking is set nothing waits on it: a read that finds nothing, or a write that finds no room, fails with
// os.ErrDeadlineExceeded. crypto/tls keeps what it has of a record over such a failure and goes on at the next read, which is how a resting
// connection is looked at through TLS.
type wire struct {
	*net.TCPConn
	raw    syscall.RawConn
	asking atomic.Bool // set by the connection's owner around a look, by whoever closes it for good
}

func newWire(c *net.TCPConn) (*wire, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	return &wire{TCPConn: c, raw: raw}, nil
}

// Read implements net.Conn.
func (w *wire) Read(p []byte) (int, error) {
	if !w.asking.Load() {
		n, err := w.TCPConn.Read(p)
		if err == io.EOF {
			err = errNoCloseNotify
		}
		return n, err
	}
	n, err := w.once(func(fd int) (int, error) { return syscall.Read(fd, p) })
	if n == 0 && err == nil && len(p) > 0 {
		err = errNoCloseNotify
	}
	return n, err
}

// errNoCloseNotify is an end of the socket before TLS has said that it is one. crypto/tls would pass it on as io.EOF, and an answer that lasts
// until the connection ends would look complete to whoever cut it (RFC 9112 §9.8).
var errNoCloseNotify = errors.New("the connection ended without close_notify")

// Write implements net.Conn.
func (w *wire) Write(p []byte) (int, error) {
	if !w.asking.Load() {
		return w.TCPConn.Write(p)
	}
	n, err := w.once(func(fd int) (int, error) { return syscall.Write(fd, p) })
	if err == nil && n < len(p) {
		err = os.ErrDeadlineExceeded
	}
	return n, err
}

// once makes one system call on the socket, which never blocks, whatever deadline is set.
func (w *wire) once(call func(fd int) (int, error)) (n int, err error) {
	if cerr := w.raw.Control(func(fd uintptr) {
		for {
			if n, err = call(int(fd)); err != syscall.EINTR {
				return
			}
		}
	}); cerr != nil {
		return 0, cerr
	}
	if err == syscall.EAGAIN {
		err = os.ErrDeadlineExceeded
	}
	return max(n, 0), err
}
