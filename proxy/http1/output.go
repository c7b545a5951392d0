package http1

import (
	"net"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/valor-ivx/weir/proxy/message"
)

// output is the writing half of a connection. What is appended gathers in one borrowed block and leaves in one write; a body slice that does not fit goes
// out beside the block with one writev. After an error everything is discarded and the first error stays.
type output struct {
	conn  net.Conn
	buf   []byte // borrowed, len = gathered
	alarm alarm
	err   error
	sent  int64 // bytes accepted by the kernel
	pace  pace
	// stopped says that writes are interrupted for good: written by whoever interrupts, who is not the writer.
	stopped atomic.Bool

	vec   net.Buffers
	parts [3][]byte
}

func (o *output) space() []byte {
	if o.buf == nil {
		o.buf = borrowSmall()[:0]
	}
	return o.buf
}

// append gathers b, sending what is there when it no longer fits.
func (o *output) append(b []byte) {
	if len(o.space())+len(b) > cap(o.buf) {
		o.writev(b, nil)
		return
	}
	o.buf = append(o.buf, b...)
}

// chunk gathers or sends one chunk (RFC 9112 §7.1). An empty slice is not a chunk: it would be the last one.
func (o *output) chunk(b []byte) {
	if len(b) == 0 {
		return
	}
	if len(o.space())+18 > cap(o.buf) {
		o.flush()
		o.space()
	}
	o.buf = strconv.AppendUint(o.buf, uint64(len(b)), 16)
	o.buf = append(o.buf, "\r\n"...)
	if len(o.buf)+len(b)+2 > cap(o.buf) {
		o.writev(b, crlf)
		return
	}
	o.buf = append(o.buf, b...)
	o.buf = append(o.buf, "\r\n"...)
}

var crlf = []byte("\r\n")

// flush sends what was gathered.
func (o *output) flush() {
	if len(o.buf) == 0 || o.err != nil {
		o.buf = o.buf[:0]
		return
	}
	from := o.pace.begin(o.sent)
	n, err := o.conn.Write(o.buf)
	o.count(from, int64(n), err)
	o.buf = o.buf[:0]
}

// count books a write.
func (o *output) count(from time.Time, n int64, err error) {
	o.sent += n
	if err == nil {
		err = o.pace.end(from, n)
	}
	o.err = err
}

func (o *output) writev(b, tail []byte) {
	if o.err == nil {
		o.vec = o.parts[:0]
		if len(o.buf) > 0 {
			o.vec = append(o.vec, o.buf)
		}
		o.vec = append(o.vec, b)
		if len(tail) > 0 {
			o.vec = append(o.vec, tail)
		}
		from := o.pace.begin(o.sent)
		n, err := o.vec.WriteTo(o.conn)
		o.count(from, n, err)
		o.parts = [3][]byte{}
	}
	o.buf = o.buf[:0]
}

// rest gives the block back.
func (o *output) rest() {
	if o.buf != nil {
		giveBack(o.buf)
		o.buf = nil
	}
}

// within bounds the following writes like input.within bounds reads.
func (o *output) within(now time.Time, d time.Duration) {
	at, move := o.alarm.due(now, d)
	if !move {
		return
	}
	err := o.conn.SetWriteDeadline(at)
	if o.stopped.Load() { // see input.within
		err = o.conn.SetWriteDeadline(past())
	}
	if err != nil && o.err == nil {
		o.err = err
	}
}

// stop is input.stop for writes. Nothing lifts it.
func (o *output) stop() error {
	o.stopped.Store(true)
	return o.conn.SetWriteDeadline(past())
}

// line gathers one field line and its CRLF.
func (o *output) line(b []byte) {
	if len(o.space())+len(b)+2 > cap(o.buf) {
		o.writev(b, crlf)
		return
	}
	o.buf = append(o.buf, b...)
	o.buf = append(o.buf, "\r\n"...)
}

// lastChunk gathers the end of a chunked body.
func (o *output) lastChunk(trailers *message.Header) {
	o.append(zeroChunk)
	if trailers != nil {
		for i := range trailers.Len() {
			o.line(trailers.At(i).Line())
		}
	}
	o.append(crlf)
}

var zeroChunk = []byte("0\r\n")
