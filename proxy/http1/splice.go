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
	// spliceStep is how much is spliced under one deadline. Smaller steps cost calls; larger ones would demand a higher rate of a slow peer
	// (256 KiB within a 60 s timeout is 4.4 kB/s).
	spliceStep = 256 << 10
)

// Splice moves the rest of body to the client without bringing it into this process (splice(2) between two plain sockets). It reports false, having
// done nothing, when that cannot be done: TLS on either side, chunked framing on either side, or too little to be worth it.
// renew is called before each step to move the deadlines.
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
		renew(time.Now())
		limit.N = spliceStep
		if known {
			limit.N = min(spliceStep, b.left)
		}
		want := limit.N
		n, err := dst.ReadFrom(&limit)
		o.sent += n
		b.received += n
		b.left -= n
		switch {
		case known && b.left == 0:
			b.err = io.EOF
		case err != nil:
			return true, b.blame(o, err)
		case n < want:
			return true, b.end()
		}
	}
	return true, o.err
}

// blame says which side a splice broke on, as far as can be told: the source when its socket has ended or its deadline is over, which makes this the body's
// error; else the destination. It matters because an answer that ends with its connection looks complete to a client unless somebody resets it.
func (b *Body) blame(o *output, err error) error {
	late := func(a *alarm) bool { return !a.at.IsZero() && !time.Now().Before(a.at) }
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		if late(&b.in.alarm) && !late(&o.alarm) {
			b.err = err
			return err
		}
	case b.in.ended():
		b.err = ErrTruncated
		return ErrTruncated
	}
	o.err = err
	return err
}

// end is an end of the stream where the socket ended.
func (b *Body) end() error {
	if err := b.fail(io.EOF); err != io.EOF {
		return err
	}
	return nil
}
