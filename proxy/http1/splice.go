package http1

import (
	"errors"
	"io"
	"net"
	"os"
	"time"

	"github.com/valor-ivx/weir/proxy/message"
)

const (
	// SpliceMin is the size from which a body is moved inside the kernel: below it, setting up a pipe costs more than copying does.
	SpliceMin = 128 << 10
	// What is spliced under one write deadline: at first, at least and at most. Smaller steps cost calls, larger ones demand a higher rate of a slow
	// peer (64 KiB within a 60 s timeout are 1.1 kB/s, 256 KiB 4.4 kB/s), so a peer that is slow with one gets smaller ones.
	spliceFirst = 64 << 10
	spliceLeast = 8 << 10
	spliceMost  = 256 << 10
	// spliceSlow is what tells a slow peer: the least step in this time is 1.6 kB/s, and then the timeout leaves it a tenth of that.
	spliceSlow = 5 * time.Second
)

// Splice moves the rest of body to the client without bringing it into this process (splice(2) between two plain sockets). It reports false, having
// done nothing, when that cannot be done: TLS on either side, chunked framing on either side, or too little to be worth it.
// renew moves the deadlines of both sides; it is called before each wait for the source and again before what has arrived is sent on.
func (c *ServerConn) Splice(b *Body, renew func(now time.Time)) (bool, error) {
	if c.chunked || c.method == message.HEAD {
		return false, nil
	}
	return splice(&c.out, b, renew)
}

// Splice is the same for a request body on its way to the upstream.
func (c *ClientConn) Splice(b *Body, renew func(now time.Time)) (bool, error) {
	if c.chunked {
		return false, nil
	}
	return splice(&c.out, b, renew)
}

func splice(o *output, b *Body, renew func(now time.Time)) (bool, error) {
	src, plainSrc := b.in.conn.(*net.TCPConn)
	dst, plainDst := o.conn.(*net.TCPConn)
	known := b.framing == message.Length
	if !plainSrc || !plainDst || b.err != nil || !known && b.framing != message.UntilClose || known && b.left < SpliceMin {
		return false, nil
	}
	for b.in.r < b.in.w && b.err == nil {
		p, err := b.Next()
		if err != nil {
			return true, err
		}
		o.append(p)
	}
	o.flush()
	m := mover{o: o, dst: dst, from: io.LimitedReader{R: src}, renew: renew, size: spliceFirst}
	for b.err == nil && o.err == nil {
		if err := b.step(&m); err != nil {
			return true, err
		}
	}
	return true, o.err
}

// Ending reports, to the renew of a Splice, that the last of the body stands at the socket and is about to be moved: whoever gets it may act on it before Splice has returned.
func (b *Body) Ending() bool { return b.ending }

// mover is one splice under way.
type mover struct {
	o     *output
	dst   *net.TCPConn
	from  io.LimitedReader
	renew func(now time.Time)
	size  int64 // of the next step
}

// step waits for the source and then moves what has arrived, never more: a step that waited for the source in the middle could not tell whose
// deadline ran out.
func (b *Body) step(m *mover) error {
	o := m.o
	m.renew(time.Now())
	n, err := b.in.available()
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return b.fail(err)
	case err != nil: // reset: the source did not come to its end
		return b.fail(ErrTruncated)
	}
	if n == 0 {
		return b.end()
	}
	if m.from.N = min(m.size, int64(n)); b.framing == message.Length {
		m.from.N = min(m.from.N, b.left)
	}
	b.ending = b.framing == message.Length && m.from.N == b.left
	begin := time.Now()
	m.renew(begin)
	moved, err := m.dst.ReadFrom(&m.from)
	slow := m.adapt(time.Since(begin), moved)
	o.sent += moved
	b.received += moved
	b.left -= moved
	switch {
	case b.framing == message.Length && b.left == 0:
		b.err = io.EOF
	case err != nil && b.in.ended(): // the source broke in this very moment; an answer that ends with its connection must not look complete
		return b.fail(ErrTruncated)
	case err != nil:
		o.err = err
		return err
	case slow:
		o.err = ErrSlowReader
		return o.err
	}
	return nil
}

// adapt chooses the next step by how long this one took, and reports a peer that is too slow altogether.
func (m *mover) adapt(took time.Duration, moved int64) bool {
	if took < spliceSlow {
		m.size = min(2*m.size, spliceMost)
	} else {
		m.size = max(m.size/4, spliceLeast)
	}
	p := &m.o.pace
	if p.least == 0 || m.o.sent < p.free {
		return false
	}
	return p.add(took, moved) != nil
}

// end is an end of the stream where the socket ended.
func (b *Body) end() error {
	if err := b.fail(io.EOF); err != io.EOF {
		return err
	}
	return nil
}
