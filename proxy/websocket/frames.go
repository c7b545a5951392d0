package websocket

import "encoding/binary"

// frames is where one direction of a WebSocket is: between frames, in a header or in a payload. It is told of every byte from the beginning on. The zero value is that beginning.
type frames struct {
	head   [14]byte // a header as far as it has come: 2 bytes, 0, 2 or 8 of length, 0 or 4 of mask
	have   int      // of it; 0: in a payload, or between frames
	left   uint64   // of the payload
	amid   bool     // between frames of one message
	closed bool     // the last whole frame has closed the direction: nothing that follows is a frame
	lost   bool     // a length that no frame has: whatever this is, its frames are not known any more
}

// whole reports that the direction is between two messages. A close frame may stand between the frames of one too (§5.4), but then that message would be lost.
func (f *frames) whole() bool { return f.have == 0 && f.left == 0 && !f.amid && !f.closed && !f.lost }

// pass takes in all of p.
func (f *frames) pass(p []byte) {
	for len(p) > 0 {
		p = p[f.next(p):]
	}
}

// skip takes in n bytes of the payload, at most what is left of it.
func (f *frames) skip(n uint64) {
	if f.left -= n; f.left > 0 {
		return
	}
	const final, opcode, opClose = 0x80, 0xf, 8
	if kind := f.head[0] & opcode; kind < opClose { // of the others none is in pieces
		f.amid = f.head[0]&final == 0
	} else {
		f.closed = kind == opClose
	}
}

// next takes in p up to the end of the frame that it begins in, and says how much that is: all of it where no frame ends.
func (f *frames) next(p []byte) (n int) {
	if f.closed || f.lost {
		return len(p)
	}
	if f.left == 0 {
		for f.have < f.size() {
			if n == len(p) {
				return n
			}
			f.head[f.have] = p[n]
			f.have, n = f.have+1, n+1
		}
		if f.begin(); f.lost {
			return len(p)
		}
	}
	step := min(f.left, uint64(len(p)-n))
	f.skip(step)
	return n + int(step)
}

// size is how long the header is, as far as that is known.
func (f *frames) size() int {
	if f.have < 2 {
		return 2
	}
	n := 2
	switch f.head[1] & 0x7f {
	case 126:
		n += 2
	case 127:
		n += 8
	}
	if f.head[1]&0x80 != 0 {
		n += 4
	}
	return n
}

// begin reads a header that is whole.
func (f *frames) begin() {
	f.have = 0
	switch length := uint64(f.head[1] & 0x7f); length {
	case 126:
		f.left = uint64(binary.BigEndian.Uint16(f.head[2:]))
	case 127:
		if f.left = binary.BigEndian.Uint64(f.head[2:]); f.left>>63 != 0 {
			f.left, f.lost = 0, true
		}
	default:
		f.left = length
	}
}
