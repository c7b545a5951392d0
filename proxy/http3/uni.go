package http3

import (
	"bufio"
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/valor-ivx/weir/proxy/message"
)

// Types of one-way streams (RFC 9114 §6.2, RFC 9204 §4.2).
const (
	streamControl = 0x0
	streamPush    = 0x1
	streamEncoder = 0x2
	streamDecoder = 0x3
)

// Settings (RFC 9114 §7.2.4.1, RFC 9220, RFC 9297).
const (
	settingMaxFieldSection = 0x6
	settingExtendedConnect = 0x8
	settingDatagram        = 0x33
)

const (
	maxControlFrame = 1 << 10 // bytes of a control frame whose meaning we know: ten times what any client sends
	maxControlIdle  = 1000    // control frames beyond those that requests may be the reason for
	controlPerReq   = 4       // control frames that a request may be the reason for: priorities change
)

// acceptControl takes the client's one-way streams in, until the connection ends.
func (c *Conn) acceptControl() {
	for {
		q, err := c.quic.AcceptUniStream(context.Background()) // ends with the connection
		if err != nil {
			return
		}
		c.work.Go(func() {
			if fault := c.oneWay(q); fault != nil {
				c.fail(fault)
			}
		})
	}
}

// first reports that a stream is the first of a kind that there is one of.
func (c *Conn) first(kind uint64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	twice := c.kinds[kind]
	c.kinds[kind] = true
	return !twice
}

// oneWay reads one stream of the client's to its end.
func (c *Conn) oneWay(q *quic.ReceiveStream) *connError {
	_ = q.SetReadDeadline(time.Now().Add(c.o.HeaderTimeout)) // never fails
	r := bufio.NewReaderSize(q, 64)
	kind, err := readVarint(r)
	if err != nil {
		q.CancelRead(quic.StreamErrorCode(StreamCreationError))
		return nil // RFC 9114 §6.2: it may end before its type
	}
	_ = q.SetReadDeadline(time.Time{})
	switch kind {
	case streamControl, streamEncoder, streamDecoder:
	case streamPush:
		return failPush
	default:
		q.CancelRead(quic.StreamErrorCode(StreamCreationError)) // §9: types that nobody knows are not read
		return nil
	}
	if !c.first(kind) {
		return failTwice
	}
	switch kind {
	case streamEncoder:
		return c.critical(readEncoder(r))
	case streamDecoder:
		return c.critical(readDecoder(r))
	}
	return c.critical(c.readControl(r))
}

// critical judges the end of a stream that must not end (RFC 9114 §6.2.1) before the connection does.
func (c *Conn) critical(err error) *connError {
	if fault := asConnError(err); fault != nil {
		return fault
	}
	var reset *quic.StreamError
	if err == io.EOF || errors.As(err, &reset) {
		return failCritical
	}
	return nil
}

// readEncoder reads instructions for a table that has no room: its size may be set, to nothing (RFC 9204 §4.3.1).
func readEncoder(r *bufio.Reader) error {
	for {
		switch b, err := r.ReadByte(); {
		case err != nil:
			return err
		case b != 0x20:
			return failEncoderStream
		}
	}
}

// readDecoder reads what a client may say of sections that refer to no table: that it dropped some (RFC 9204 §4.4.2).
func readDecoder(r *bufio.Reader) error {
	for {
		b, err := r.ReadByte()
		if err != nil {
			return err
		}
		if b&0xc0 != 0x40 {
			return failDecoderStream
		}
		for more := b&0x3f == 0x3f; more; more = b&0x80 != 0 {
			if b, err = r.ReadByte(); err != nil {
				return err
			}
		}
	}
}

// controlState is what a control stream has said so far.
type controlState struct {
	maxPush uint64
	goAway  uint64
	frames  int
}

// readControl reads the client's control stream: SETTINGS first, then priorities and what there is no use for without push.
func (c *Conn) readControl(r io.Reader) error {
	f := &frames{from: r}
	if err := f.next(); err != nil {
		return err
	}
	if f.kind != frameSettings {
		return failNoSettings
	}
	payload, err := f.control(nil)
	if err != nil {
		return err
	}
	if !validSettings(payload) {
		return failSettings
	}
	state := controlState{goAway: 1<<64 - 1}
	for {
		if err = f.next(); err != nil {
			return err
		}
		if state.frames++; state.frames > maxControlIdle+controlPerReq*c.requests() {
			return failIdle
		}
		if !known(f.kind) {
			if f.left > maxUnknownFrame {
				return failLarge
			}
			err = f.skip()
		} else if payload, err = f.control(payload); err == nil {
			err = c.takeControl(f.kind, payload, &state)
		}
		if err != nil {
			return err
		}
	}
}

// control reads the payload of a frame that is acted on.
func (f *frames) control(b []byte) ([]byte, error) {
	if f.left > maxControlFrame {
		return b, failLarge
	}
	return f.whole(b[:0])
}

func (c *Conn) takeControl(kind uint64, payload []byte, state *controlState) error {
	switch kind {
	default: // DATA, HEADERS, PUSH_PROMISE, a second SETTINGS, what HTTP/2 had
		return failUnexpected
	case frameCancelPush, framePriorityOfPush: // of what we never promised
		return failID
	case frameGoAway, frameMaxPushID, framePriority:
	}
	id, rest, ok := takeVarint(payload)
	if !ok || kind != framePriority && len(rest) > 0 {
		return failFrame
	}
	switch kind {
	case frameGoAway: // RFC 9114 §5.2: identifiers of pushes, which only fall
		if id > state.goAway {
			return failID
		}
		state.goAway = id
	case frameMaxPushID: // §7.2.7: only grows
		if id < state.maxPush {
			return failID
		}
		state.maxPush = id
	case framePriority:
		if id%4 != 0 {
			return failID
		}
		c.prioritise(quic.StreamID(id), message.ParsePriority(rest))
	}
	return nil
}

// prioritise acts on RFC 9218 §7.2 for a request that runs. One that has not come yet says its priority in its head.
func (c *Conn) prioritise(id quic.StreamID, p message.Priority) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.live[id]; s != nil {
		s.quic.SetPriority(int8(p.Urgency), p.Incremental)
	}
}

// requests is the number of requests that have come.
func (c *Conn) requests() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return int(c.next / 4)
}

// validSettings checks RFC 9114 §7.2.4: pairs of identifier and value, none twice, none that HTTP/2 had.
func validSettings(b []byte) bool {
	var seen []uint64
	for len(b) > 0 {
		id, rest, ok := takeVarint(b)
		if !ok {
			return false
		}
		value, rest, ok := takeVarint(rest)
		if !ok || slices.Contains(seen, id) || id >= 0x2 && id <= 0x5 {
			return false
		}
		if (id == settingExtendedConnect || id == settingDatagram) && value > 1 {
			return false
		}
		seen, b = append(seen, id), rest
	}
	return true
}

// readVarint reads RFC 9000 §16.
func readVarint(r *bufio.Reader) (uint64, error) {
	var b [8]byte
	first, err := r.ReadByte()
	if err != nil {
		return 0, err
	}
	b[0] = first
	if _, err := io.ReadFull(r, b[1:1<<(first>>6)]); err != nil {
		return 0, err
	}
	v, _ := varint(b[:])
	return v, nil
}
