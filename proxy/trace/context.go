package trace

import (
	"encoding/hex"
	"math/rand/v2"
)

// ID is a trace's, SpanID a span's. All zeros is none.
type (
	ID     [16]byte
	SpanID [8]byte
)

// Flags of a Context (W3C Trace Context, Level 2, 4.2.1).
const (
	FlagSampled = 1 << iota // the caller may have recorded this
	FlagRandom              // the right half of the trace's ID is random
)

// Context is a place in a trace: what a traceparent field says.
type Context struct {
	Trace ID
	Span  SpanID // of the caller
	Flags byte   // only those above
}

// Sampled reports that the caller may have recorded the trace.
func (c *Context) Sampled() bool { return c.Flags&FlagSampled != 0 }

// parentLength is the length of version 00: 2, 32, 16 and 2 digits with a hyphen between.
const parentLength = 55

// Parse reads the value of a traceparent field, strictly: lower-case hex, no zero IDs. A version to come may have more behind what version 00 has (Level 1, 3.2.4).
func Parse(value []byte) (c Context, ok bool) {
	if len(value) < parentLength || value[2] != '-' || value[35] != '-' || value[52] != '-' {
		return Context{}, false
	}
	var version, flags [1]byte
	if !unhex(version[:], value[:2]) || !unhex(c.Trace[:], value[3:35]) || !unhex(c.Span[:], value[36:52]) || !unhex(flags[:], value[53:55]) {
		return Context{}, false
	}
	switch longer := len(value) > parentLength; {
	case version[0] == 0xff, version[0] == 0 && longer, longer && value[parentLength] != '-', c.Trace == ID{}, c.Span == SpanID{}:
		return Context{}, false
	}
	c.Flags = flags[0] & (FlagSampled | FlagRandom)
	return c, true
}

// Append appends the value of a traceparent field, always version 00.
func (c *Context) Append(b []byte) []byte {
	b = append(b, "00-"...)
	b = hex.AppendEncode(b, c.Trace[:])
	b = append(b, '-')
	b = hex.AppendEncode(b, c.Span[:])
	return append(b, '-', '0', '0'+c.Flags)
}

// unhex fills dst from lower-case digits, which encoding/hex does not insist on.
func unhex(dst, digits []byte) bool {
	for i := range dst {
		high, low := digit(digits[2*i]), digit(digits[2*i+1])
		if high|low > 15 {
			return false
		}
		dst[i] = high<<4 | low
	}
	return true
}

func digit(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	}
	return 0xff
}

// NewID is a trace's ID, from the generator that request ids come from: 128 random bits, which are an identity and no secret.
func NewID() (id ID) {
	for id == (ID{}) {
		put(id[:8], rand.Uint64())
		put(id[8:], rand.Uint64())
	}
	return id
}

// NewSpanID is a span's.
func NewSpanID() (id SpanID) {
	for id == (SpanID{}) {
		put(id[:], rand.Uint64())
	}
	return id
}

func put(b []byte, n uint64) {
	for i := range b {
		b[i] = byte(n >> (56 - 8*i))
	}
}
