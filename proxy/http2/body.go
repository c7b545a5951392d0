package http2

import (
	"io"
	"os"

	"github.com/valor-ivx/weir/proxy/message"
)

// Body is a message's body: what has arrived and was not read. One goroutine reads it; Conn.mu orders it with the connection's reader.
type Body struct {
	s           *Stream
	front, back *block
	lent        int   // bytes handed out of front whose memory the reader still has
	kept        bool  // front was handed out for the life of the stream
	arrived     int64 // bytes
	received    int64 // bytes handed out
}

// store copies a frame's data behind what is there. Conn.mu is held. Frames of one byte share blocks, so memory is bounded by the window.
func (b *Body) store(p []byte) {
	for len(p) > 0 {
		if b.back == nil || b.back.w == len(b.back.buf) {
			size := smallBlock
			if b.s.declared < 0 && b.back != nil || b.s.declared > smallBlock {
				size = largeBlock
			}
			fresh := borrow(size)
			if b.back == nil {
				b.front = fresh
			} else {
				b.back.next = fresh
			}
			b.back = fresh
		}
		n := copy(b.back.buf[b.back.w:], p)
		b.back.w += n
		p = p[n:]
	}
}

// settle takes back what the last Next handed out.
func (b *Body) settle() {
	if b.lent == 0 || b.kept {
		return
	}
	b.front.r += b.lent
	n := int64(b.lent)
	b.lent = 0
	if f := b.front; f.r == f.w {
		if b.front = f.next; b.front == nil {
			b.back = nil
		}
		giveBack(f)
	}
	b.s.readOff(n)
}

// drop gives all memory back. What was not read is given back to the connection's window.
func (b *Body) drop() {
	b.kept = false
	b.settle()
	for b.front != nil {
		f := b.front
		b.s.conn.readOff(int64(f.w - f.r))
		b.front = f.next
		giveBack(f)
	}
	b.back = nil
}

// unread is the number of bytes at hand in front that were not handed out.
func (b *Body) unread() int {
	if b.front == nil {
		return 0
	}
	n := b.front.w - b.front.r - b.lent
	if n == 0 && b.front.next != nil {
		return b.front.next.w
	}
	return n
}

func (b *Body) complete() bool { return b.s.recvDone && b.received == b.arrived }

// Framing says how the body ends.
func (b *Body) Framing() message.Framing { return b.s.framing }

// Left is the number of bytes still to come when Framing is Length.
func (b *Body) Left() int64 { return b.s.length - b.received }

// Received is the number of body bytes handed out.
func (b *Body) Received() int64 { return b.received }

// Complete reports whether the whole body was read.
func (b *Body) Complete() bool {
	b.s.conn.mu.Lock()
	defer b.s.conn.mu.Unlock()
	return b.complete()
}

// Buffered reports whether Next would return without waiting for the client.
func (b *Body) Buffered() bool {
	b.s.conn.mu.Lock()
	defer b.s.conn.mu.Unlock()
	return b.unread() > 0 || b.s.recvDone || b.s.failed() != nil
}

// AtHand consumes and returns the whole body if it has arrived already in one piece, in memory that lives as long as the head does; else it reads nothing.
func (b *Body) AtHand() ([]byte, bool) {
	b.s.conn.mu.Lock()
	defer b.s.conn.mu.Unlock()
	if b.s.framing != message.Length || !b.s.recvDone || b.received > 0 || b.front == nil || b.front.next != nil || b.s.failed() != nil {
		return nil, false
	}
	b.lent, b.kept = b.front.w-b.front.r, true
	b.received += int64(b.lent)
	return b.front.buf[b.front.r:b.front.w], true
}

// Trailers are the trailer fields, valid once the body is complete.
func (b *Body) Trailers() *message.Header { return &b.s.trailers }

// Next returns the next bytes of the body, valid until the following call, without copying them. It waits only when none are at hand. io.EOF ends a complete body;
// os.ErrDeadlineExceeded, *GoneError or ErrClosed end a broken one.
func (b *Body) Next() ([]byte, error) {
	b.s.conn.mu.Lock()
	defer b.s.conn.mu.Unlock()
	return b.next(outBlock)
}

// Read is Next into the caller's memory.
func (b *Body) Read(p []byte) (int, error) {
	b.s.conn.mu.Lock()
	defer b.s.conn.mu.Unlock()
	got, err := b.next(len(p))
	n := copy(p, got)
	b.settleNow()
	return n, err
}

// ReadNow is Read without waiting: 0 when nothing more is at hand.
func (b *Body) ReadNow(p []byte) int {
	b.s.conn.mu.Lock()
	defer b.s.conn.mu.Unlock()
	b.settle()
	n := 0
	for n < len(p) && b.unread() > 0 {
		got, _ := b.next(len(p) - n)
		n += copy(p[n:], got)
		b.settle()
	}
	b.settleNow()
	return n
}

// settleNow settles and lets a window update go.
func (b *Body) settleNow() {
	b.settle()
	c := b.s.conn
	if len(c.out.buf) > 0 && c.out.control > 0 {
		c.out.soon(c.busy - 1)
	}
}

func (b *Body) next(most int) ([]byte, error) {
	b.settleNow()
	for b.unread() == 0 {
		s := b.s
		switch err := s.failed(); {
		case b.complete():
			return nil, io.EOF
		case err != nil:
			return nil, err
		case s.stopped || s.bodyLate:
			return nil, os.ErrDeadlineExceeded
		case s.client != nil:
			if !s.client.wait() {
				return nil, os.ErrDeadlineExceeded
			}
			continue
		}
		if s.bodyWait > 0 && s.bodyAt == 0 {
			s.bodyAt = s.conn.now() + s.bodyWait
		}
		s.canRead.Wait()
	}
	b.s.bodyAt = 0
	f := b.front
	n := min(f.w-f.r, most)
	b.lent = n
	b.received += int64(n)
	return f.buf[f.r : f.r+n], nil
}
