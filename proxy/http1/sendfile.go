package http1

import (
	"net"
	"syscall"
	"time"

	"github.com/valor-ivx/weir/proxy/message"
)

// SendfileMin is the size from which a file is moved inside the kernel: below it, copying costs less than the calls that it saves, and the head leaves in the same packet as the body.
const SendfileMin = 32 << 10

// FilePart is a part of a file on its way to a client.
type FilePart struct {
	FD             int // the file's descriptor, which stays open until SendFile returns
	Offset, Length int64
	// Disk is where those who may wait for a disk take turns. It is not held while a client is waited for.
	Disk interface {
		Enter() error
		Leave()
	}
	// Step is called before each step, of which last is the one that completes the part. It moves the deadlines, or ends everything with its error.
	Step func(now time.Time, last bool) error
	// Sent is how much of it the socket has taken, set by SendFile.
	Sent int64
}

// SendFile moves a part of a file to the client without bringing it into this process (sendfile(2)). It reports false, having sent nothing of the part, where that cannot be done: TLS, HEAD, a
// file system or a machine without it, or too little to be worth it. The connection's own errors are in Err too; err is of the file where Err is nil: ErrTruncated when it ended early.
func (c *ServerConn) SendFile(p *FilePart) (moved bool, err error) {
	dst, plain := c.conn.(*net.TCPConn)
	if !plain || c.chunked || c.method == message.HEAD || p.Length < SendfileMin {
		return false, nil
	}
	raw, err := dst.SyscallConn()
	if err != nil {
		return false, nil
	}
	m := fileMover{mover: mover{o: &c.out, size: spliceFirst}, part: p, offset: p.Offset}
	c.out.flush()
	err = m.run(raw)
	if p.Sent = m.offset - p.Offset; p.Sent == 0 && m.refused {
		return false, nil
	}
	return true, err
}

// fileMover is one file under way.
type fileMover struct {
	mover
	part    *FilePart
	offset  int64
	step    int64 // asked for
	took    int64 // sent of it
	err     error // of the file
	refused bool  // the kernel cannot do it
}

func (m *fileMover) run(raw syscall.RawConn) error {
	o, end := m.o, m.part.Offset+m.part.Length
	for m.offset < end && o.err == nil {
		m.step, m.took = min(m.size, end-m.offset), 0
		begin := time.Now()
		if err := m.part.Step(begin, m.step == end-m.offset); err != nil {
			return err
		}
		err := raw.Write(m.once)
		o.sent += m.took
		switch {
		case m.err != nil:
			return m.err
		case o.err != nil:
		case err != nil:
			o.err = err
		case m.adapt(time.Since(begin), m.took):
			o.err = ErrSlowReader
		}
	}
	return o.err
}

// once sends what the socket takes at once; false: it takes nothing now, and is to be waited for.
func (m *fileMover) once(fd uintptr) bool {
	for {
		if m.err = m.part.Disk.Enter(); m.err != nil {
			return true
		}
		n, err := sendfile(int(fd), m.part.FD, &m.offset, int(m.step))
		m.part.Disk.Leave()
		switch {
		case n > 0:
			m.took = int64(n)
			return true
		case err == syscall.EINTR:
			continue
		case err == syscall.EAGAIN:
			return false
		case err == nil:
			m.err = ErrTruncated
		case err == syscall.EPIPE, err == syscall.ECONNRESET, err == syscall.ETIMEDOUT:
			m.o.err = err
		default:
			m.err, m.refused = err, err == syscall.EINVAL || err == syscall.ENOSYS || err == syscall.EOPNOTSUPP
		}
		return true
	}
}
