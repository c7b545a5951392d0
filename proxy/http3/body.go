package http3

import (
	"io"
	"os"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/valor-ivx/weir/proxy/message"
)

const (
	// glance is how long what is on its way is waited for where the caller wants what is at hand: quic-go has no read that does not wait. Packets of one
	// flight are further apart than this only when they are not one flight any more.
	glance = 200 * time.Microsecond
	// handSize is the largest body, in bytes, that is kept at hand in one piece.
	handSize = 16 << 10
)

// Body is a request's body. One goroutine at a time reads it.
type Body struct {
	s        *Stream
	frames   frames // of the stream, from the frame behind the head
	framing  message.Framing
	declared int64 // content-length, -1: none
	arrived  int64 // bytes of DATA read off the stream
	received int64 // bytes handed out
	hand     []byte
	taken    int // of hand
	done     bool
	behind   bool // the trailers were read: nothing may follow
	block    []byte
	trailers message.Header
	err      error // why nothing more comes, but for io.EOF and deadlines
}

func (b *Body) open(q *quic.Stream) {
	b.frames = frames{from: q}
	b.framing, b.declared, b.arrived, b.received = message.None, -1, 0, 0
	b.hand, b.taken, b.done, b.behind, b.err = b.hand[:0], 0, false, false, nil
	b.block = b.block[:0]
	b.trailers.Reset()
}

// Framing says how the body ends.
func (b *Body) Framing() message.Framing { return b.framing }

// Left is the number of bytes still to come when Framing is Length.
func (b *Body) Left() int64 { return b.declared - b.received }

// Received is the number of body bytes handed out.
func (b *Body) Received() int64 { return b.received }

// Complete reports whether the whole body was read, its end included.
func (b *Body) Complete() bool { return b.done && b.taken == len(b.hand) }

// Buffered reports whether Read would return without waiting for the client.
func (b *Body) Buffered() bool { return b.taken < len(b.hand) || b.done || b.err != nil }

// Trailers are the trailer fields, valid once the body is complete.
func (b *Body) Trailers() *message.Header { return &b.trailers }

// AtHand consumes and returns the whole body if it is short and has arrived already, in memory that lives as long as the head does; else it consumes nothing.
func (b *Body) AtHand() ([]byte, bool) {
	if b.framing != message.Length || b.declared > handSize || b.received > 0 {
		return nil, false
	}
	b.glance(func() {
		for !b.done {
			if cap(b.hand) < int(b.declared)+1 { // one more, so that there is room to see the end
				b.hand = append(make([]byte, 0, b.declared+1), b.hand...)
			}
			n, err := b.pull(b.hand[len(b.hand):cap(b.hand)])
			b.hand = b.hand[:len(b.hand)+n]
			if err != nil {
				return
			}
		}
	})
	if !b.done || b.trailers.Len() > 0 {
		return nil, false
	}
	b.taken = len(b.hand)
	b.received = int64(len(b.hand))
	return b.hand, true
}

// Read reads the body into p. It waits only when nothing is at hand. io.EOF ends a complete body; os.ErrDeadlineExceeded, *Error or *GoneError end a broken one.
func (b *Body) Read(p []byte) (int, error) {
	if b.taken < len(b.hand) {
		n := copy(p, b.hand[b.taken:])
		b.taken += n
		b.received += int64(n)
		return n, nil
	}
	n, err := b.pull(p)
	b.received += int64(n)
	return n, err
}

// ReadNow is Read without waiting for more than a glance: 0 when nothing more is at hand.
func (b *Body) ReadNow(p []byte) (n int) {
	b.glance(func() { n, _ = b.Read(p) }) // an error shows again
	return n
}

// glance runs read with the shortest wait there is.
func (b *Body) glance(read func()) {
	b.s.readBy(time.Now().Add(glance))
	read()
	b.s.readBy(time.Now().Add(b.s.conn.o.BodyTimeout))
}

// pull reads of the stream: content as it comes, frames of other kinds and the end on the way.
func (b *Body) pull(p []byte) (int, error) {
	switch {
	case b.done:
		return 0, io.EOF
	case b.err != nil:
		return 0, b.err
	}
	n, err := b.content(p)
	b.arrived += int64(n)
	if err == nil {
		return n, nil
	}
	if err == io.EOF {
		if b.declared >= 0 && b.arrived != b.declared {
			err = errLength
		} else {
			b.done = true
			return n, io.EOF
		}
	}
	if fault := asConnError(err); fault != nil {
		b.s.conn.fail(fault)
		err = &GoneError{Code: fault.code, Text: fault.text}
	}
	if err = translate(err); err != os.ErrDeadlineExceeded {
		b.err = err
	}
	return n, err
}

func (b *Body) content(p []byte) (int, error) {
	f := &b.frames
	for {
		if f.left > 0 && f.kind == frameData {
			return f.read(p)
		}
		if f.left == 0 {
			if err := f.next(); err != nil {
				return 0, err
			}
			if err := b.allowed(); err != nil {
				return 0, err
			}
		}
		switch f.kind {
		case frameData:
		case frameHeaders:
			if err := b.takeTrailers(); err != nil {
				return 0, err
			}
		default:
			if err := f.skip(); err != nil {
				return 0, err
			}
		}
	}
}

// allowed judges a frame that has just begun.
func (b *Body) allowed() error {
	f := &b.frames
	switch {
	case f.kind == frameData && !b.behind:
		if b.declared >= 0 && f.left > uint64(b.declared-b.arrived) {
			return errLength
		}
		if f.left == 0 {
			return f.spend()
		}
	case f.kind == frameHeaders && !b.behind:
		if f.left > uint64(b.s.conn.o.Limits.Head) {
			return errTrailers
		}
	case known(f.kind):
		return failUnexpected
	default:
		return f.unknown()
	}
	return nil
}

// takeTrailers reads and decodes the trailer section (RFC 9114 §4.1).
func (b *Body) takeTrailers() (err error) {
	if b.block, err = b.frames.whole(b.block); err != nil {
		return err
	}
	b.behind = true
	h := message.Collector{Limits: b.s.conn.o.Limits}
	h.Begin(nil, true)
	if fault := decode(b.block, &h); fault != nil {
		return fault
	}
	if h.Malformed() != nil || h.Refused() != nil {
		return errTrailers
	}
	h.Lines(&b.trailers)
	return nil
}
