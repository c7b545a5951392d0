package http3

import (
	"bytes"
	"encoding/binary"
	"strconv"

	"github.com/valor-ivx/weir/proxy/message"
)

// headersHead is the room that is left for a HEADERS frame's type and length, which is written as four bytes when it is known.
const headersHead = 1 + 4

// beginHeaders begins a HEADERS frame and its field section: no dynamic table, so the required insert count and the base are 0 (RFC 9204 §4.5.1).
func beginHeaders(b []byte) []byte { return append(b, frameHeaders, 0, 0, 0, 0, 0, 0) }

// endHeaders writes the length of the frame that begins at open.
func endHeaders(b []byte, open int) {
	binary.BigEndian.PutUint32(b[open+1:], uint32(len(b)-open-headersHead)|2<<30)
}

// appendStatus appends the :status field: indexed where the static table has it, else a literal with the name of entry 24.
func appendStatus(b []byte, status int) []byte {
	if i := staticStatus(status); i > 0 {
		return appendInt(b, 0xc0, 6, i)
	}
	var digits [4]byte
	v := strconv.AppendInt(digits[:0], int64(status), 10)
	return append(appendInt(appendInt(b, 0x50, 4, 24), 0, 7, len(v)), v...)
}

// staticStatus is the entry of RFC 9204 appendix A that holds a status, 0: none.
func staticStatus(status int) int {
	switch status {
	case 103:
		return 24
	case 200:
		return 25
	case 304:
		return 26
	case 404:
		return 27
	case 503:
		return 28
	case 100:
		return 63
	case 204:
		return 64
	case 206:
		return 65
	case 302:
		return 66
	case 400:
		return 67
	case 403:
		return 68
	case 421:
		return 69
	case 425:
		return 70
	case 500:
		return 71
	}
	return 0
}

// appendField appends one field as a literal, its name in lower case (RFC 9114 §4.2). Common names are entries of the static table; nothing is Huffman-coded: the
// bytes saved do not pay for the coding.
func appendField(b, name, value []byte, id message.ID) []byte {
	if entry := staticName(id); entry > 0 && bytes.IndexByte(name, '_') < 0 { // an ID stands for the alias with underscores too
		b = appendInt(b, 0x50, 4, entry)
	} else {
		b = appendInt(b, 0x20, 3, len(name))
		for _, c := range name {
			if 'A' <= c && c <= 'Z' {
				c += 'a' - 'A'
			}
			b = append(b, c)
		}
	}
	return append(appendInt(b, 0, 7, len(value)), value...)
}

// staticName is an entry whose name is a known field's, 0: none.
func staticName(id message.ID) int {
	switch id {
	case message.ContentLength:
		return 4
	case message.Date:
		return 6
	case message.ContentType:
		return 44
	case message.Server:
		return 92
	}
	return 0
}

// appendInt appends an integer with a prefix of so many bits (RFC 7541 §5.1) behind the bits of first.
func appendInt(b []byte, first byte, prefix uint, v int) []byte {
	most := 1<<prefix - 1
	if v < most {
		return append(b, first|byte(v))
	}
	b = append(b, first|byte(most))
	for v -= most; v >= 0x80; v >>= 7 {
		b = append(b, byte(v)|0x80)
	}
	return append(b, byte(v))
}
