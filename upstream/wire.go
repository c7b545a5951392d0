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
	asking atomic.Bool // set by the connection's owner around a look, by whoever closes it for good
	late   atomic.Bool // the same for reads alone: somebody else may be writing
	read   attempt
	write  attempt
}

func newWire(c *net.TCPConn) (*wire, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	w := &wire{TCPConn: c}
	w.read.bind(raw, syscall.Read)
	w.write.bind(raw, syscall.Write)
	return w, nil
}

// Read implements net.Conn.
func (w *wire) Read(p []byte) (n int, err error) {
	if w.asking.Load() || w.late.Load() {
		n, err = w.read.once(p)
		if n == 0 && err == nil && len(p) > 0 {
			err = io.EOF
		}
	} else {
		n, err = w.TCPConn.Read(p)
	}
	if err == io.EOF {
		err = errNoCloseNotify
	}
	return n, err
}

// Look makes reads wait for nothing, whatever deadline has passed. It is the reader's to call.
func (w *wire) Look(on bool) { w.late.Store(on) }

// Write implements net.Conn.
func (w *wire) Write(p []byte) (int, error) {
	if !w.asking.Load() {
		return w.TCPConn.Write(p)
	}
	n, err := w.write.once(p)
	if err == nil && n < len(p) {
		err = os.ErrDeadlineExceeded
	}
	return n, err
}

// errNoCloseNotify is an end of the socket before TLS has said that it is one. crypto/tls would pass it on as io.EOF, and an answer that lasts
// until the connection ends would look complete to whoever cut it (RFC 9112 §9.8).
var errNoCloseNotify = errors.New("the connection ended without close_notify")

// attempt is one system call on a socket that waits for nothing, whatever deadline is set. Its function is bound once, so that an attempt allocates nothing.
type attempt struct {
	raw syscall.RawConn
	run func(fd uintptr)
	p   []byte
	n   int
	err error
}

func (a *attempt) bind(raw syscall.RawConn, call func(fd int, p []byte) (int, error)) {
	a.raw = raw
	a.run = func(fd uintptr) {
		for {
			if a.n, a.err = call(int(fd), a.p); a.err != syscall.EINTR {
				return
			}
		}
	}
}

func (a *attempt) once(p []byte) (int, error) {
	a.p, a.n, a.err = p, 0, nil
	err := a.raw.Control(a.run)
	a.p = nil
	switch {
	case err != nil:
		return 0, err
	case a.err == syscall.EAGAIN:
		return 0, os.ErrDeadlineExceeded
	}
	return max(a.n, 0), a.err
}
