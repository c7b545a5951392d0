package http2

import (
	"encoding/binary"
	"errors"
	"os"
	"runtime"
	"time"
)

// output gathers the frames of all streams for one write. Its fields are guarded by Conn.mu; one goroutine at a time, any that asked for a flush, takes
// what was gathered and writes it while others gather the next.
//
// When it is written: at once, if no other handler is at work; when it is full; and otherwise as soon as every goroutine that can run now has had its turn (a
// goroutine that yields once stands behind them all). So the answers that are ready at the same moment share a write and a TLS record, and none ever waits for a
// stream that waits for its upstream, because such a stream cannot run. No timer is involved.
type output struct {
	c         *Conn
	buf       []byte
	block     *[outBlock]byte // buf lies in it unless it outgrew it
	data      *Stream         // whose DATA frame is the last one in buf, at dataAt
	dataAt    int
	control   int  // bytes of buf that no window bounds
	writing   bool // a goroutine is in conn.Write
	wanted    bool // a flush was asked for meanwhile
	scheduled bool // a goroutine that will flush was started
	flush     func()
	alarm     time.Time // write deadline in force
	open      int       // where the frame that is being put together begins
	err       error     // the socket takes nothing more, but an upstream's answers may still come
}

const (
	outFull    = outBlock - 512 // room for the frames that go beside DATA
	maxControl = 64 << 10       // control frames that wait for a client that does not read: a PING costs it and us 17 bytes
	maxRounds  = 4              // writes that a handler does for others before a goroutine takes over
)

func (o *output) init(c *Conn) {
	o.c = c
	o.flush = o.later
}

func (o *output) ready() {
	if o.buf == nil {
		o.block = outBlocks.Get().(*[outBlock]byte)
		o.buf = o.block[:0]
	}
}

// rest gives the buffer back.
func (o *output) rest() {
	if o.block != nil {
		outBlocks.Put(o.block)
	}
	o.block, o.buf, o.data = nil, nil, nil
}

// frame begins a frame whose payload the caller appends to the result and hands to close.
func (o *output) frame(length int, kind, flags byte, stream uint32) []byte {
	o.ready()
	o.data = nil
	o.open = len(o.buf)
	b := append(o.buf, byte(length>>16), byte(length>>8), byte(length), kind, flags)
	return binary.BigEndian.AppendUint32(b, stream)
}

// close ends the frame begun last.
func (o *output) close(b []byte) {
	n := len(b) - o.open - frameHeader
	b[o.open], b[o.open+1], b[o.open+2] = byte(n>>16), byte(n>>8), byte(n)
	o.buf = b
}

func (o *output) windowUpdate(stream uint32, n uint32) {
	b := o.frame(4, frameWindowUpdate, 0, stream)
	o.closeControl(binary.BigEndian.AppendUint32(b, n))
}

func (o *output) reset(stream uint32, code Code) {
	o.c.o.Counters.ResetsOut.Add(1)
	b := o.frame(4, frameReset, 0, stream)
	o.closeControl(binary.BigEndian.AppendUint32(b, uint32(code)))
}

func (o *output) ping(ack bool, data []byte) {
	flags := byte(0)
	if ack {
		flags = flagAck
	}
	o.closeControl(append(o.frame(8, framePing, flags, 0), data...))
}

func (o *output) settingsAck() { o.closeControl(o.frame(0, frameSettings, flagAck, 0)) }

func (o *output) goAway(last uint32, code Code, text string) {
	b := o.frame(0, frameGoAway, 0, 0)
	b = binary.BigEndian.AppendUint32(b, last)
	b = binary.BigEndian.AppendUint32(b, uint32(code))
	o.close(append(b, text...))
}

func (o *output) closeControl(b []byte) {
	o.close(b)
	o.control += len(b) - o.open
}

// backlog reports control frames beyond what a reading client leaves lying.
func (o *output) backlog() bool { return o.writing && o.control > maxControl }

// soon asks for a flush; others is the number of handlers at work but the caller's. Conn.mu is held; it is released while this goroutine writes.
func (o *output) soon(others int) {
	switch {
	case len(o.buf) == 0:
	case o.writing:
		o.wanted = true
	case others <= 0 || len(o.buf) >= outFull:
		o.write()
	case !o.scheduled:
		o.scheduled = true
		go o.flush()
	}
}

// apart asks for a flush by another goroutine than the caller's.
func (o *output) apart() {
	switch {
	case o.writing:
		o.wanted = true
	case !o.scheduled && len(o.buf) > 0:
		o.scheduled = true
		go o.flush()
	}
}

// later is the goroutine that soon starts: it lives for one yield and the writes that follow.
func (o *output) later() {
	runtime.Gosched()
	o.c.mu.Lock()
	o.scheduled = false
	if o.writing {
		o.wanted = true
	} else {
		o.write()
	}
	o.c.ended.Broadcast()
	o.c.mu.Unlock()
}

// write sends what was gathered, and what was asked to be flushed meanwhile. Conn.mu is held, and released during each write.
func (o *output) write() {
	c := o.c
	if o.writing {
		return
	}
	o.writing = true
	for round := 0; len(o.buf) > 0; round++ {
		if round == maxRounds && !o.scheduled {
			o.scheduled = true
			go o.flush()
			break
		}
		buf, block := o.buf, o.block
		o.buf, o.block, o.data, o.wanted, o.control = nil, nil, nil, false, 0
		broken := c.drain.broken
		c.mu.Unlock()
		var err error
		if !broken {
			err = o.send(buf)
		}
		if block != nil {
			outBlocks.Put(block)
		}
		c.mu.Lock()
		if err != nil {
			o.broke(err)
		}
		c.next()
		if !o.wanted && len(o.buf) < outFull {
			break
		}
	}
	o.writing = false
	c.ended.Broadcast()
}

// settle sends all that was gathered before it returns, whoever is at it: a writer that has done its rounds leaves the rest to a goroutine that may not run yet.
func (o *output) settle() {
	for o.writing || o.scheduled || len(o.buf) > 0 {
		if o.writing || o.scheduled {
			o.c.ended.Wait()
			continue
		}
		o.write()
	}
}

// unwritable is what streams hear of a socket that failed.
func unwritable(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return ErrWriteTimeout
	}
	return ErrClosed
}

// broke is a write that failed. A client that takes nothing is given up. An upstream may have answered before it closed: what it said is read first, for lingerTime.
func (o *output) broke(err error) {
	c := o.c
	c.drain.broken = true
	if c.client == nil {
		c.abort(unwritable(err))
		c.stop(err)
		return
	}
	o.err = err
	for _, s := range c.live {
		s.canSend.Signal()
	}
	_ = c.conn.SetReadDeadline(time.Now().Add(lingerTime)) // fails only when the connection is closed already
}

// send is one write under the write timeout. A deadline asked for "in d" is met between d and 1.25 d, so it is moved once in d/4, not once a write.
func (o *output) send(b []byte) error {
	c := o.c
	c.o.Counters.Flushes.Add(1)
	now, d := time.Now(), c.o.WriteTimeout
	if left := o.alarm.Sub(now); left < d || left > d+d/4 {
		o.alarm = now.Add(d + d/4)
		if err := c.conn.SetWriteDeadline(o.alarm); err != nil {
			return err
		}
	}
	_, err := c.conn.Write(b)
	if err != nil && errors.Is(err, os.ErrDeadlineExceeded) {
		c.o.Counters.WriteTimeouts.Add(1)
	}
	return err
}
