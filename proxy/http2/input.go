package http2

import (
	"errors"
	"io"
	"os"
	"time"
)

// input is the reading half: a buffer that holds a whole frame, which is parsed in place. Small while that serves, because most connections rest most of the time.
type input struct {
	conn  *Conn
	buf   []byte // unread bytes are buf[r:w]
	r, w  int
	total int64           // bytes read
	big   *[outBlock]byte // borrowed; buf lies in it
	tiny  []byte
}

const tinyInput = 4 << 10

func (in *input) prime(early []byte) {
	in.tiny = make([]byte, tinyInput)
	in.buf = in.tiny
	if len(early) > len(in.buf) {
		in.grow()
	}
	in.w = copy(in.buf, early) // a caller reads ahead a head's block at most, which the large buffer holds
}

func (in *input) grow() {
	in.big = outBlocks.Get().(*[outBlock]byte)
	in.w = copy(in.big[:], in.buf[in.r:in.w])
	in.r, in.buf = 0, in.big[:]
}

func (in *input) rest() {
	if in.big != nil {
		outBlocks.Put(in.big)
		in.big = nil
	}
	in.buf = in.tiny
	in.r, in.w = 0, 0
}

// need returns the next n bytes, n ≤ outBlock, valid until the following call.
func (in *input) need(n int) ([]byte, error) {
	for in.w-in.r < n {
		if err := in.fill(n); err != nil {
			return nil, err
		}
	}
	b := in.buf[in.r : in.r+n]
	in.r += n
	return b, nil
}

var errStopped = errors.New("stopped")

// fill reads once. Before it waits it makes room for n bytes, lets go what was gathered, and notes since when the frame is incomplete.
func (in *input) fill(n int) error {
	c := in.conn
	switch {
	case in.r == in.w:
		in.r, in.w = 0, 0
		if in.big != nil && n <= frameHeader && c.blockOf == 0 {
			in.rest()
		}
		if n > len(in.buf) {
			in.grow()
		}
	case n > len(in.buf):
		in.grow()
	case in.r > 0:
		in.w = copy(in.buf, in.buf[in.r:in.w])
		in.r = 0
	}
	c.beforeWait(in.w > 0 || n != frameHeader)
	got, err := c.conn.Read(in.buf[in.w:])
	in.w += got
	in.total += int64(got)
	if got > 0 {
		return nil
	}
	switch {
	case err == nil:
		return io.ErrNoProgress
	case errors.Is(err, os.ErrDeadlineExceeded):
		return c.stopReason()
	case err == io.EOF && in.w == 0:
		return errStopped
	}
	return err
}

// beforeWait runs when the reader is about to wait: partial says that it does so inside a frame.
func (c *Conn) beforeWait(partial bool) {
	partial = partial || c.blockOf != 0 || !c.first
	if !partial {
		c.since.Store(0)
	}
	c.mu.Lock()
	if c.client != nil {
		c.client.quietAt = c.now() // what there was to read has been: something arrived a moment ago
		c.client.taken = c.in.total
	}
	if partial && c.since.Load() == 0 {
		c.since.Store(c.now())
		c.watcher.arm()
	}
	if c.out.control > 0 && !c.out.scheduled {
		c.out.soon(c.busy)
	}
	c.mu.Unlock()
}

// stop makes the reader end. mu is held.
func (c *Conn) stop(why error) {
	if c.drain.why == nil {
		c.drain.why = why
	}
	_ = c.conn.SetReadDeadline(time.Unix(1, 0)) // fails only when the connection is closed already
}

func (c *Conn) stopReason() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.drain.why != nil {
		return c.drain.why
	}
	return errStopped
}
