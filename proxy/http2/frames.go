package http2

import (
	"encoding/binary"
	"strconv"

	"github.com/valor-ivx/weir/proxy/message"
)

// Frame types (RFC 9113 §6, RFC 9218 §7.1).
const (
	frameData = iota
	frameHeaders
	framePriority
	frameReset
	frameSettings
	framePushPromise
	framePing
	frameGoAway
	frameWindowUpdate
	frameContinuation
	framePriorityUpdate = 0x10
)

// Flags.
const (
	flagAck        = 0x1
	flagEndStream  = 0x1
	flagEndHeaders = 0x4
	flagPadded     = 0x8
	flagPriority   = 0x20
)

const frameHeader = 9

// frame is one frame, its payload in the input buffer.
type frame struct {
	kind, flags byte
	stream      uint32
	payload     []byte
}

func (f *frame) has(flag byte) bool { return f.flags&flag != 0 }

// read takes the preface and then frame after frame. It returns what ended the connection.
func (c *Conn) read() error {
	preface, err := c.in.need(len(Preface))
	if err != nil {
		return err
	}
	if string(preface) != Preface {
		return failPreface
	}
	return c.frames()
}

// frames takes frame after frame. It returns what ended the connection.
func (c *Conn) frames() error {
	for {
		f, err := c.readFrame()
		if err != nil {
			return err
		}
		if fault := c.take(&f); fault != nil {
			return fault
		}
	}
}

func (c *Conn) readFrame() (frame, error) {
	h, err := c.in.need(frameHeader)
	if err != nil {
		return frame{}, err
	}
	length := int(h[0])<<16 | int(h[1])<<8 | int(h[2])
	f := frame{kind: h[3], flags: h[4], stream: binary.BigEndian.Uint32(h[5:]) & maxWindow}
	if length > frameSize {
		if c.client != nil && !c.first && string(h[:5]) == "HTTP/" {
			return f, failVersion
		}
		return f, failFrameLarge
	}
	if f.payload, err = c.in.need(length); err != nil {
		if err == errStopped {
			err = errTruncated
		}
		return f, err
	}
	if c.since.Load() != 0 && (c.blockOf == 0 || f.kind != frameContinuation) {
		c.since.Store(0)
	}
	return f, nil
}

// take acts on one frame. A nil result goes on.
func (c *Conn) take(f *frame) *connError {
	if !c.first {
		if f.kind != frameSettings || f.has(flagAck) {
			return failFirst
		}
		c.first = true
	}
	if c.blockOf != 0 && (f.kind != frameContinuation || f.stream != c.blockOf) {
		return failContinuation
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.out.backlog() {
		c.o.Counters.Floods[FloodBacklog].Add(1)
		return failBacklog
	}
	switch f.kind {
	case frameData:
		return c.takeData(f)
	case frameHeaders:
		return c.takeHeaders(f)
	case frameContinuation:
		return c.takeContinuation(f)
	case frameWindowUpdate:
		return c.takeWindowUpdate(f)
	case frameReset:
		return c.takeReset(f)
	case frameSettings:
		return c.takeSettings(f)
	case framePing:
		return c.takePing(f)
	case framePriority:
		return c.takePriority(f)
	case framePriorityUpdate:
		return c.takePriorityUpdate(f)
	case framePushPromise: // from a client never, from an upstream because we told it not to
		return failPush
	case frameGoAway:
		if c.client != nil {
			return c.client.takeGoAway(f)
		}
		if f.stream != 0 {
			return failStreamZero
		}
		if len(f.payload) < 8 {
			return failFrameSize
		}
		return c.spend(FloodUnknown)
	}
	return c.spend(FloodUnknown) // RFC 9113 §5.5: to be ignored
}

// unpad cuts the padding off (RFC 9113 §6.1).
func (f *frame) unpad() *connError {
	if !f.has(flagPadded) {
		return nil
	}
	if len(f.payload) == 0 {
		return failFrameSize
	}
	pad := int(f.payload[0])
	if pad >= len(f.payload) {
		return failPadding
	}
	f.payload = f.payload[1 : len(f.payload)-pad]
	return nil
}

// idle reports a stream that the client has not opened, on either side of the connection; even ones are never its to open.
func (c *Conn) idle(id uint32) bool { return id > c.lastID || id&1 == 0 }

// wasReset reports a stream that we reset lately: its client may not know yet, what it sends is ignored (RFC 9113 §5.1).
func (c *Conn) wasReset(id uint32) bool {
	for _, r := range c.recent {
		if r == id {
			return true
		}
	}
	return c.drain.last && id > c.refused
}

func (c *Conn) remember(id uint32) {
	if len(c.recent) < 4*c.o.MaxStreams {
		c.recent = append(c.recent, id)
		return
	}
	c.recent[c.nextOne] = id
	c.nextOne = (c.nextOne + 1) % len(c.recent)
}

// punish resets a stream for its client's fault. Such resets count like the client's own, because they cancel work just as well (CVE-2025-8671).
func (c *Conn) punish(id uint32, code Code) *connError {
	c.out.reset(id, code)
	c.remember(id)
	if s := c.find(id); s != nil {
		if s.client != nil {
			s.gone(&Error{Status: 502, Text: "stream reset for the upstream's fault (code " + strconv.Itoa(int(code)) + ")"})
		} else {
			s.gone(&GoneError{Code: code, Text: "stream reset for its client's fault"})
		}
	}
	return c.spend(FloodReset)
}

func (c *Conn) takeReset(f *frame) *connError {
	switch {
	case len(f.payload) != 4:
		return failFrameSize
	case f.stream == 0:
		return failStreamZero
	case c.idle(f.stream):
		return failIdle
	}
	c.o.Counters.ResetsIn.Add(1)
	s := c.find(f.stream)
	if s != nil && s.fault == nil && s.client != nil {
		return c.client.takeReset(s, Code(binary.BigEndian.Uint32(f.payload)))
	}
	if s == nil || s.fault != nil || s.sentEnd && !s.forever { // a tunnel has another direction, which ends with it
		return c.spend(FloodWindow) // too late to cancel work: honest clients do it with answers they stop reading
	}
	s.gone(&GoneError{Code: Code(binary.BigEndian.Uint32(f.payload)), Remote: true, Text: "stream reset by its client"})
	return c.spend(FloodReset)
}

func (c *Conn) takePriority(f *frame) *connError {
	switch {
	case f.stream == 0:
		return failStreamZero
	case len(f.payload) != 5:
		if c.idle(f.stream) {
			return failFrameSize
		}
		return c.punish(f.stream, FrameSizeError) // RFC 9113 §6.3: a stream error
	case binary.BigEndian.Uint32(f.payload)&maxWindow == f.stream:
		if c.idle(f.stream) {
			return failStreamID
		}
		return c.punish(f.stream, ProtocolError)
	}
	return c.spend(FloodPriority)
}

// takePriorityUpdate is RFC 9218 §7.1. One for a stream that is not open yet is forgotten: remembering it would be state for nothing.
func (c *Conn) takePriorityUpdate(f *frame) *connError {
	switch {
	case f.stream != 0 || c.client != nil: // RFC 9218 §7.1: only clients send it
		return failStreamZero
	case len(f.payload) < 4:
		return failFrameSize
	}
	id := binary.BigEndian.Uint32(f.payload) & maxWindow
	if id == 0 || id&1 == 0 {
		return failStreamZero
	}
	if s := c.find(id); s != nil {
		s.prio = message.ParsePriority(f.payload[4:])
		c.next() // the stream that was woken last gives way to one that goes before it now, which must not sleep on
	}
	return c.spend(FloodPriority)
}

func (c *Conn) takePing(f *frame) *connError {
	switch {
	case f.stream != 0:
		return failStreamZero
	case len(f.payload) != 8:
		return failFrameSize
	case f.has(flagAck):
		return c.pingAnswered(f.payload)
	}
	c.out.ping(true, f.payload)
	return c.spend(FloodPing)
}
