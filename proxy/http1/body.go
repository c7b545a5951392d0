package http1

import (
	"errors"
	"io"
	"os"

	"github.com/valor-ivx/weir/proxy/message"
)

// Body reads one message body off its connection, whatever its framing, and never a byte further.
type Body struct {
	in       *input
	framing  message.Framing
	left     int64 // Length: bytes to come
	chunks   chunks
	trailers message.Header
	fields   int // limit of trailer fields
	received int64
	err      error // sticky: io.EOF after a complete body
	ending   bool  // the step of a splice under way completes it

	aside *[]byte // where the block of a head still in use goes when the body needs the room; nil when there is none to keep
}

func (b *Body) reset(in *input, f message.Framing, length int64, fields int) {
	b.in, b.framing, b.left, b.fields = in, f, length, fields
	b.chunks = chunks{}
	b.trailers.Reset()
	b.received, b.err, b.ending = 0, nil, false
	if f == message.None {
		b.err = io.EOF
	}
}

// Framing says how the body ends.
func (b *Body) Framing() message.Framing { return b.framing }

// Left is the number of bytes still to come when Framing is Length.
func (b *Body) Left() int64 { return b.left }

// Received is the number of body bytes handed out.
func (b *Body) Received() int64 { return b.received }

// Complete reports whether the whole body was read.
func (b *Body) Complete() bool { return b.err == io.EOF }

// Buffered reports whether Next would return without waiting for the peer. Bytes at hand are not enough: behind a chunk's data its CRLF usually
// arrives too, and a relay that took it for data would wait for the next chunk with the last one still in its own buffer.
func (b *Body) Buffered() bool {
	if b.framing == message.Chunked {
		return b.advance()
	}
	return b.err != nil || b.in.r < b.in.w
}

// AtHand consumes and returns the whole body if it has arrived already, in memory that lives as long as the head does; else it reads nothing.
func (b *Body) AtHand() ([]byte, bool) {
	if b.framing != message.Length || b.err != nil || int64(b.in.w-b.in.r) < b.left {
		return nil, false
	}
	p, _ := b.Next()
	return p, true
}

// ReadNow is Read without waiting, for bodies of known length: 0 when nothing more is at hand.
func (b *Body) ReadNow(p []byte) int {
	if b.err != nil || b.framing != message.Length {
		return 0
	}
	if b.in.r < b.in.w {
		n, _ := b.Read(p)
		return n
	}
	n := b.in.readNow(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	b.received += int64(n)
	if b.left == 0 {
		b.err = io.EOF
	}
	return n
}

// Trailers are the trailer fields, valid once the body is complete.
func (b *Body) Trailers() *message.Header { return &b.trailers }

// Next returns the next bytes of the body, valid until the following call, without copying them. It waits only when none are at hand. io.EOF ends a
// complete body; ErrTruncated, *Error or the connection's error end a broken one.
func (b *Body) Next() ([]byte, error) {
	if b.err != nil {
		return nil, b.err
	}
	if b.framing == message.Chunked {
		return b.nextChunked()
	}
	if b.in.r == b.in.w {
		if err := b.refill(); err != nil {
			return nil, b.fail(err)
		}
	}
	p := b.in.buffered()
	if b.framing == message.Length {
		if int64(len(p)) >= b.left {
			p = p[:b.left]
			b.err = io.EOF
		}
		b.left -= int64(len(p))
	}
	b.in.r += len(p)
	b.received += int64(len(p))
	return p, nil
}

// Read is Next into the caller's memory. With nothing buffered, a body of known length is read straight from the connection.
func (b *Body) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	if b.framing == message.Length && b.in.r == b.in.w {
		if int64(len(p)) > b.left {
			p = p[:b.left]
		}
		n, err := b.in.conn.Read(p)
		b.left -= int64(n)
		b.received += int64(n)
		if b.left == 0 {
			b.err = io.EOF
			return n, nil
		}
		if err != nil {
			return n, b.fail(err)
		}
		return n, nil
	}
	s, err := b.nextUpTo(len(p))
	return copy(p, s), err
}

// nextUpTo is Next bounded to n bytes.
func (b *Body) nextUpTo(n int) ([]byte, error) {
	p, err := b.Next()
	if over := len(p) - n; over > 0 {
		b.in.r -= over
		b.received -= int64(over)
		p = p[:n]
		switch b.framing {
		case message.Length:
			b.left += int64(over)
			b.err = nil
		case message.Chunked:
			b.chunks.left += int64(over)
			b.chunks.dataEnd = false
		}
	}
	return p, err
}

// nextChunked hands out data of the current chunk.
func (b *Body) nextChunked() ([]byte, error) {
	for !b.advance() {
		if err := b.refill(); err != nil {
			return nil, b.fail(err)
		}
	}
	if b.err != nil {
		return nil, b.err
	}
	return b.chunkData(), nil
}

// advance reads size lines and trailers as far as they are at hand, and reports whether data, the body's end or an error is.
func (b *Body) advance() bool {
	c := &b.chunks
	for b.err == nil {
		at := b.in.buffered()
		if c.left > 0 {
			return len(at) > 0
		}
		used, err := 0, (*Error)(nil)
		if c.last {
			if used, err = parseTrailers(&b.trailers, at, b.fields); used > 0 {
				b.err = io.EOF
			}
		} else {
			used, err = c.line(at)
		}
		b.in.r += used
		switch {
		case err != nil:
			b.err = err
		case used == 0:
			return false
		}
	}
	return true
}

func (b *Body) chunkData() []byte {
	c := &b.chunks
	p := b.in.buffered()
	if int64(len(p)) > c.left {
		p = p[:c.left]
	}
	c.left -= int64(len(p))
	c.dataEnd = c.left == 0
	b.in.r += len(p)
	b.received += int64(len(p))
	return p
}

// refill waits for more. The head that stands before the body in the same block stays where it is, and what follows is read in large steps.
func (b *Body) refill() error {
	switch in := b.in; {
	case in.keep > 0 && b.aside != nil:
		*b.aside = in.detach()
	case in.keep == 0 && in.r == in.w && len(in.buf) == smallBlock:
		giveBack(in.buf)
		in.buf, in.r, in.w = borrowLarge(), 0, 0
	}
	return b.in.fill()
}

func (b *Body) fail(err error) error {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return err // nothing was lost: the next call goes on where this one was
	case err == io.EOF && b.framing == message.UntilClose:
	case err == io.EOF:
		err = ErrTruncated
	}
	b.err = err
	return err
}
