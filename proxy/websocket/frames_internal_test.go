package websocket

import (
	"bytes"
	"encoding/binary"
	"testing"

	"pgregory.net/rapid"
)

// frame is one frame with a header in any of its forms that can hold the length, the longer ones too.
func frame(op byte, length, form int, mask bool) []byte {
	b := []byte{op, 0}
	switch {
	case form == 0 && length < 126:
		b[1] = byte(length)
	case form <= 1 && length < 1<<16:
		b[1] = 126
		b = binary.BigEndian.AppendUint16(b, uint16(length))
	default:
		b[1] = 127
		b = binary.BigEndian.AppendUint64(b, uint64(length))
	}
	if mask {
		b[1] |= 0x80
		b = append(b, 1, 2, 3, 4)
	}
	return append(b, bytes.Repeat([]byte{0x88}, length)...) // what looks like a header of a close frame
}

// However a direction is cut into pieces, the frames and messages are where they are, and a frame that closes ends them.
func TestFrames(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var all []byte
		ends, places, closed, amid := map[int]bool{0: true}, map[int]bool{0: true}, -1, false
		for range rapid.IntRange(1, 12).Draw(t, "frames") {
			op := rapid.SampledFrom([]byte{0, 1, 2, 0x80, 0x81, 0x82, 0x89, 0x8a, 0x88}).Draw(t, "opcode")
			all = append(all, frame(op, rapid.SampledFrom([]int{0, 1, 2, 125, 126, 127, 1000, 70000}).Draw(t, "length"), rapid.IntRange(0, 2).Draw(t, "form"), rapid.Bool().Draw(t, "mask"))...)
			if ends[len(all)] = true; op == 0x88 && closed < 0 {
				closed = len(all)
			}
			if op&8 == 0 {
				amid = op&0x80 == 0
			}
			places[len(all)] = !amid
		}
		var f frames
		for at := 0; at < len(all); {
			if at < closed || closed < 0 {
				if f.whole() != places[at] || f.closed {
					t.Fatalf("at %d of %d: whole %v, closed %v", at, len(all), f.whole(), f.closed)
				}
			} else if f.whole() || !f.closed {
				t.Fatalf("at %d, past the close at %d: whole %v, closed %v", at, closed, f.whole(), f.closed)
			}
			n := min(len(all)-at, rapid.IntRange(1, 5000).Draw(t, "piece"))
			switch rapid.IntRange(0, 2).Draw(t, "how") {
			case 0:
				f.pass(all[at : at+n])
			case 1: // up to the end of the frame and no further
				was := at
				if n = f.next(all[at : at+n]); n <= 0 {
					t.Fatalf("nothing at %d", at)
				}
				for i := was + 1; i < was+n && (closed < 0 || i < closed); i++ {
					if ends[i] {
						t.Fatalf("%d bytes at %d, past the end at %d", n, was, i)
					}
				}
			case 2: // what nobody has seen
				if f.left > 0 {
					n = int(min(uint64(n), f.left))
					f.skip(uint64(n))
				} else {
					f.pass(all[at : at+n])
				}
			}
			at += n
		}
	})
}

// A length that no frame has is the end of what is known.
func TestFramesLost(t *testing.T) {
	var f frames
	f.pass([]byte{0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3})
	f.pass(closeFrame(GoingAway))
	if f.whole() || f.closed || f.left != 0 {
		t.Errorf("%+v", f)
	}
}

func FuzzFrames(f *testing.F) {
	f.Add([]byte{0x81, 3, 'a', 'b', 'c', 0x88, 2, 3, 0xe9}, 3)
	f.Add([]byte{0x82, 0xff, 0, 0, 0, 0, 0, 0, 1, 0, 1, 2, 3, 4}, 1)
	f.Fuzz(func(t *testing.T, b []byte, cut int) {
		var whole, parts frames
		whole.pass(b)
		cut = min(max(cut, 0), len(b))
		parts.pass(b[:cut])
		parts.pass(b[cut:])
		if whole != parts {
			t.Fatalf("%+v in one, %+v in two", whole, parts)
		}
	})
}
