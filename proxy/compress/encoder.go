package compress

import (
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/valor-ivx/weir/proxy/message"
)

// AtOnce is how many bodies are compressed at a time. Each takes about 1.2 MiB (TestMemory) for as long as its client takes to read it, and a thousand slow clients must not take a gigabyte:
// those beyond get the answer as it is.
const AtOnce = 256

// gathered is how many bytes are put together before they are passed on: encoders give some away a few hundred at a time, which would each be a chunk or a frame.
const gathered = 8 << 10

// Encoders are where encoders come from and go back to. The zero value is ready; it is safe for concurrent use.
type Encoders struct {
	resting [message.Codings]sync.Pool
	busy    atomic.Int64
}

// Sink is who is given compressed bytes, which are its own until it returns.
type Sink interface{ Write([]byte) }

// Take lends an encoder for one body, nil when as many as may are at work.
func (e *Encoders) Take(c message.Coding, to Sink) *Encoder {
	if e.busy.Add(1) > AtOnce {
		e.busy.Add(-1)
		return nil
	}
	z, _ := e.resting[c].Get().(*Encoder)
	if z == nil {
		z = &Encoder{Coding: c, library: newLibrary(c)}
		z.out.buf = make([]byte, 0, gathered)
	}
	z.In, z.pending, z.broken = 0, false, false
	z.out.to, z.out.sent, z.out.buf = to, 0, z.out.buf[:0]
	z.library.Reset(&z.out)
	return z
}

// Return takes an encoder back, in whatever state its body is. One that has failed, or panicked, is not lent again.
func (e *Encoders) Return(z *Encoder) {
	e.busy.Add(-1)
	if z.out.to = nil; !z.broken {
		e.resting[z.Coding].Put(z)
	}
}

// Encoder compresses one body. One goroutine uses it.
type Encoder struct {
	Coding  message.Coding
	In      int64 // bytes of the body so far
	library library
	out     outlet
	pending bool // something was written since the last Flush
	broken  bool // a call into the library has failed, or has not come back
}

// library is an encoder of a library's.
type library interface {
	io.WriteCloser
	Flush() error
	Reset(io.Writer)
}

// Sent is the number of compressed bytes that the Sink has been given.
func (z *Encoder) Sent() int64 { return z.out.sent }

// Write takes a part of the body.
func (z *Encoder) Write(p []byte) error {
	z.In += int64(len(p))
	z.pending, z.broken = true, true
	_, err := z.library.Write(p)
	return z.after(err)
}

// Flush passes on all that was written, so that a client can read it although the body goes on. It costs a few bytes each time.
func (z *Encoder) Flush() error {
	if !z.pending {
		return nil
	}
	z.pending, z.broken = false, true
	err := z.library.Flush()
	z.out.pass()
	return z.after(err)
}

// Close ends the body. Without it a client sees that there is something missing.
func (z *Encoder) Close() error {
	z.broken = true
	err := z.library.Close()
	z.out.pass()
	return z.after(err)
}

func (z *Encoder) after(err error) error {
	if err != nil {
		return fmt.Errorf("compress %s: %w", z.Coding, err)
	}
	z.broken = false
	return nil
}

// outlet gathers what an encoder gives.
type outlet struct {
	to   Sink
	buf  []byte
	sent int64
}

// Write implements io.Writer.
func (o *outlet) Write(p []byte) (int, error) {
	if len(o.buf)+len(p) > cap(o.buf) {
		o.pass()
	}
	if len(p) > cap(o.buf) {
		o.to.Write(p)
		o.sent += int64(len(p))
	} else {
		o.buf = append(o.buf, p...)
	}
	return len(p), nil
}

func (o *outlet) pass() {
	if len(o.buf) > 0 {
		o.to.Write(o.buf)
		o.sent += int64(len(o.buf))
		o.buf = o.buf[:0]
	}
}

// newLibrary makes an encoder of the level that takes off the most for its time: docs/compression.md has the table. Windows are far below what a client must take (RFC 9659: 8 MiB): they are
// memory of each stream, and answers of services are seldom longer.
func newLibrary(c message.Coding) library {
	switch c {
	case message.Zstd:
		z, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(128<<10), zstd.WithEncoderConcurrency(1), // in the caller's goroutine
			zstd.WithLowerEncoderMem(true), zstd.WithZeroFrames(true)) // an empty body is a frame too, or it would be none
		if err != nil {
			panic(err) // an option of ours is wrong
		}
		return z
	case message.Brotli:
		return brotli.NewWriterOptions(nil, brotli.WriterOptions{Quality: 3, LGWin: 18})
	}
	z, err := gzip.NewWriterLevel(nil, 5)
	if err != nil {
		panic(err) // likewise
	}
	return z
}
