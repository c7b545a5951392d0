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
	// spliceStep is how much is spliced under one write deadline at most. Smaller steps cost calls; larger ones would demand a higher rate of a slow
	// peer (256 KiB within a 60 s timeout is 4.4 kB/s).
	spliceStep = 256 << 10
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
	limit := io.LimitedReader{R: src}
	for b.err == nil && o.err == nil {
		if err := b.step(o, dst, &limit, renew); err != nil {
			return true, err
		}
	}
	return true, o.err
}

// step waits for the source and then moves what has arrived, never more: a step that waited for the source in the middle could not tell whose
// deadline ran out.
func (b *Body) step(o *output, dst *net.TCPConn, limit *io.LimitedReader, renew func(now time.Time)) error {
	renew(time.Now())
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
	if limit.N = min(spliceStep, int64(n)); b.framing == message.Length {
		limit.N = min(limit.N, b.left)
	}
	renew(time.Now())
	moved, err := dst.ReadFrom(limit)
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
	}
	return nil
}

// end is an end of the stream where the socket ended.
func (b *Body) end() error {
	if err := b.fail(io.EOF); err != io.EOF {
		return err
	}
	return nil
}
