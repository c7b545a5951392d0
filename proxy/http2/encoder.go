package http2

import (
	"bytes"
	"strconv"

	"github.com/cespare/xxhash/v2"

	"github.com/valor-ivx/weir/proxy/message"
)

const (
	tableSize  = 4096 // bytes, the protocol's default; a client may ask for less, more is not worth its memory
	tableSlots = 64   // entries, of 64 bytes on average if the table is to be full
	entryCost  = 32   // RFC 7541 §4.1
)

// encoder writes header blocks (RFC 7541) from byte slices. A field enters the dynamic table when it is seen for the second time: what is different in
// every response (dates, lengths, identifiers) then never pushes out what repeats, and costs no copy. Values are not Huffman-coded: a repeating one
// is sent once, and for the others the bytes saved do not pay for the coding (nginx and HAProxy code them, at a tenth of their time per response).
type encoder struct {
	slots    [tableSlots]slot // ring: entry n lies in slots[n%tableSlots]
	newest   uint32           // number of the newest entry; entries count from 1
	count    uint32           // entries in the table
	size     int
	max      int         // what the client allows, at most tableSize
	announce bool        // max changed: say so at the next block (RFC 7541 §4.2)
	smallest int         // the smallest max since the last block
	index    [256]uint32 // newest entry by hash
	met      [256]uint32 // hashes seen once
	scratch  []byte      // the field being encoded, name in lower case
}

type slot struct {
	line    []byte // name, then value
	nameLen int
}

func (e *encoder) init() { e.max, e.smallest = tableSize, tableSize }

// resize follows the client's SETTINGS_HEADER_TABLE_SIZE.
func (e *encoder) resize(n uint32) {
	e.max = int(min(n, tableSize))
	e.smallest = min(e.smallest, e.max)
	e.announce = true
	e.evict(e.max)
}

// begin starts a block.
func (e *encoder) begin(dst []byte) []byte {
	if !e.announce {
		return dst
	}
	e.announce = false
	if e.smallest < e.max { // x/net's decoder takes a second update only when the first has emptied its table
		e.evict(0)
		dst = appendInt(dst, 0x20, 5, 0)
	}
	e.smallest = e.max
	return appendInt(dst, 0x20, 5, uint64(e.max))
}

// status appends the :status field.
func (e *encoder) status(dst []byte, status int) []byte {
	if i := staticStatus(status); i > 0 {
		return append(dst, 0x80|i)
	}
	var digits [4]byte
	v := strconv.AppendInt(digits[:0], int64(status), 10)
	return append(appendInt(append(dst, 0x08), 0, 7, uint64(len(v))), v...) // literal without indexing, name of entry 8
}

// request appends :method and :scheme.
func (e *encoder) request(dst []byte, method message.Method, name []byte, scheme string) []byte {
	switch method {
	case message.GET:
		dst = append(dst, 0x80|2)
	case message.POST:
		dst = append(dst, 0x80|3)
	default:
		dst = e.field(dst, methodName, name)
	}
	if scheme == "https" {
		return append(dst, 0x80|7)
	}
	return append(dst, 0x80|6)
}

var methodName = []byte(":method")

// field appends one field; its name is put into lower case (RFC 9113 §8.2.1).
func (e *encoder) field(dst, name, value []byte) []byte {
	s := append(e.scratch[:0], name...)
	for i, c := range s {
		if 'A' <= c && c <= 'Z' {
			s[i] = c + 'a' - 'A'
		}
	}
	s = append(s, value...)
	hash := uint32(xxhash.Sum64(s)) // of name and value without a border: what is found by it is compared
	e.scratch = s
	name = s[:len(name)]
	at := &e.index[hash&255]
	if e.holds(*at) {
		if held := &e.slots[*at%tableSlots]; held.nameLen == len(name) && bytes.Equal(held.line, s) {
			return appendInt(dst, 0x80, 7, uint64(61+e.newest-*at+1))
		}
	}
	cost := len(s) + entryCost
	if met := &e.met[hash&255]; *met != hash || cost > e.max/4 || secret(name) {
		*met = hash
		return appendLiteral(dst, 0, 4, name, value)
	}
	e.evict(e.max - cost)
	if e.count == tableSlots {
		e.drop()
	}
	e.newest++
	e.count++
	e.size += cost
	fresh := &e.slots[e.newest%tableSlots]
	fresh.line, fresh.nameLen = append(fresh.line[:0], s...), len(name)
	*at = e.newest
	return appendLiteral(dst, 0x40, 6, name, value)
}

// secret fields stay out of the table: who can make others' values enter it could guess them by size (RFC 7541 §7.1). A connection to an upstream carries many clients' requests.
func secret(name []byte) bool {
	switch message.IDOf(name) {
	case message.Cookie, message.Authorization:
		return true
	}
	return message.EqualFold(name, "set-cookie")
}

// holds is safe when the numbers wrap: an entry is as old as its distance from the newest.
func (e *encoder) holds(n uint32) bool { return e.newest-n < e.count }

func (e *encoder) evict(size int) {
	for e.size > size && e.count > 0 {
		e.drop()
	}
}

// drop evicts the oldest entry. Early, when the slots are full: the client's table then holds entries that no index of ours names.
func (e *encoder) drop() {
	e.size -= len(e.slots[(e.newest-e.count+1)%tableSlots].line) + entryCost
	e.count--
}

// appendLiteral is a literal field with the given first bits and length of the name's index.
func appendLiteral(dst []byte, bits byte, prefix uint, name, value []byte) []byte {
	if i := staticName(name); i > 0 {
		dst = appendInt(dst, bits, prefix, i)
	} else {
		dst = appendInt(append(dst, bits), 0, 7, uint64(len(name)))
		dst = append(dst, name...)
	}
	dst = appendInt(dst, 0, 7, uint64(len(value)))
	return append(dst, value...)
}

// appendInt is RFC 7541 §5.1.
func appendInt(dst []byte, bits byte, prefix uint, n uint64) []byte {
	limit := uint64(1)<<prefix - 1
	if n < limit {
		return append(dst, bits|byte(n))
	}
	dst = append(dst, bits|byte(limit))
	for n -= limit; n >= 0x80; n >>= 7 {
		dst = append(dst, 0x80|byte(n&0x7f))
	}
	return append(dst, byte(n))
}
