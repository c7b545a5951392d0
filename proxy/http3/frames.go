package http3

import (
	"encoding/binary"
	"errors"
	"io"
)

// Frame types (RFC 9114 §7.2, RFC 9218 §7.2).
const (
	frameData           = 0x0
	frameHeaders        = 0x1
	frameCancelPush     = 0x3
	frameSettings       = 0x4
	framePushPromise    = 0x5
	frameGoAway         = 0x7
	frameMaxPushID      = 0xd
	framePriority       = 0xf0700
	framePriorityOfPush = 0xf0701
)

// known reports frame types that have a meaning, or had one in HTTP/2 and are forbidden (RFC 9114 §7.2.8): out of place they are errors, all others are skipped.
func known(kind uint64) bool {
	switch kind {
	case framePriority, framePriorityOfPush:
		return true
	}
	return kind <= 0x9 || kind == frameMaxPushID
}

// frames reads a stream frame by frame. A read that ends at a deadline can be taken up again: no byte is lost, wherever it stopped.
type frames struct {
	from io.Reader
	head [16]byte
	have int    // bytes of head
	kind uint64 // of the frame whose payload comes next
	left uint64 // bytes of that payload
	idle int    // frames so far that carried nothing
}

// maxIdleFrames is how many empty or unknown frames a request may have: both are allowed (RFC 9114 §9 wants unknown types used), and a stream of nothing
// else is an attack.
const maxIdleFrames = 100

// next reads a frame's type and length. The payload before it has been read. io.EOF is a clean end.
func (f *frames) next() error {
	for {
		if need := f.need(); need > f.have {
			n, err := f.from.Read(f.head[f.have:need])
			f.have += n
			switch {
			case f.have >= need: // the end, if this is one, shows again
			case err == io.EOF && f.have > 0:
				return failTruncated
			case err != nil:
				return err
			}
			continue
		}
		at := 0
		f.kind, at = varint(f.head[:])
		f.left, _ = varint(f.head[at:])
		f.have = 0
		return nil
	}
}

// need is how many bytes the frame's head has, as far as it can be told.
func (f *frames) need() int {
	if f.have < 2 {
		return 2
	}
	kind := 1 << (f.head[0] >> 6)
	if f.have <= kind {
		return kind + 1
	}
	return kind + 1<<(f.head[kind]>>6)
}

// read reads of the present payload.
func (f *frames) read(p []byte) (int, error) {
	if uint64(len(p)) > f.left {
		p = p[:f.left]
	}
	n, err := f.from.Read(p)
	f.left -= uint64(n)
	if err == io.EOF {
		if f.left > 0 {
			return n, failTruncated
		}
		err = nil // it shows again
	}
	return n, err
}

// skip drops the rest of the present payload.
func (f *frames) skip() error {
	var waste [512]byte
	for f.left > 0 {
		if _, err := f.read(waste[:]); err != nil {
			return err
		}
	}
	return nil
}

// whole appends the rest of the present payload to b, which it returns in any case.
func (f *frames) whole(b []byte) ([]byte, error) {
	for f.left > 0 {
		if len(b) == cap(b) {
			b = append(b, make([]byte, min(f.left, 4096))...)[:len(b)] // not all at once: a length costs the client nothing
		}
		n, err := f.read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if err != nil {
			return b, err
		}
	}
	return b, nil
}

// maxUnknownFrame is how large a frame of unknown type may be, in bytes: RFC 9114 §9 has us skip it, and leaves open at what cost.
const maxUnknownFrame = 16 << 10

// unknown judges a frame that will be skipped.
func (f *frames) unknown() error {
	if f.left > maxUnknownFrame {
		return failLarge
	}
	return f.spend()
}

// spend counts a frame that carries nothing.
func (f *frames) spend() error {
	if f.idle++; f.idle > maxIdleFrames {
		return failIdle
	}
	return nil
}

// varint reads RFC 9000 §16 of a slice that has room for the longest one, and returns its length.
func varint(b []byte) (uint64, int) {
	switch b[0] >> 6 {
	case 0:
		return uint64(b[0]), 1
	case 1:
		return uint64(binary.BigEndian.Uint16(b)) & (1<<14 - 1), 2
	case 2:
		return uint64(binary.BigEndian.Uint32(b)) & (1<<30 - 1), 4
	}
	return binary.BigEndian.Uint64(b) & (1<<62 - 1), 8
}

// takeVarint cuts one off the front of b.
func takeVarint(b []byte) (v uint64, rest []byte, ok bool) {
	if len(b) == 0 || len(b) < 1<<(b[0]>>6) {
		return 0, nil, false
	}
	v, n := varint(b)
	return v, b[n:], true
}

// appendVarint appends the shortest form.
func appendVarint(b []byte, v uint64) []byte {
	switch {
	case v < 1<<6:
		return append(b, byte(v))
	case v < 1<<14:
		return binary.BigEndian.AppendUint16(b, uint16(v)|1<<14)
	case v < 1<<30:
		return binary.BigEndian.AppendUint32(b, uint32(v)|2<<30)
	}
	return binary.BigEndian.AppendUint64(b, v|3<<62)
}

// asConnError is err if it ends the connection, nil if it does not.
func asConnError(err error) *connError {
	var fault *connError
	if errors.As(err, &fault) {
		return fault
	}
	return nil
}
