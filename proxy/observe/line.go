package observe

import (
	"time"

	"github.com/valor-ivx/weir/proxy/message"
)

// line is the buffer of one access line. It remembers what it was last asked to encode of what most lines have in common: encoding is the most of what a log costs. Owned by whoever has it from the pool.
type line struct {
	text []byte

	second int64   // Unix time of stamp; meaningless while that is empty
	stamp  []byte  // RFC 3339 to the second
	kind   kind    // how it was asked
	where  [2]pair // listener and route, service and group

	space [1536]byte // what the slices above begin in: one allocation makes a line, unless something in it is unusually long
}

func newLine() *line {
	l := new(line)
	part := func(from, to int) []byte { return l.space[from:from:to] }
	l.text, l.stamp, l.kind.text, l.where[0].text, l.where[1].text = part(0, 1024), part(1024, 1056), part(1056, 1184), part(1184, 1360), part(1360, 1536)
	return l
}

// pair is two members whose values are names of the configuration, of which there are few.
type pair struct {
	first, second string
	text          []byte
}

// append writes both members. Names that are the same as last time are mostly the same string: comparing them reads no bytes.
func (p *pair) append(dst []byte, keys [2]string, first, second string) []byte {
	if p.first != first || p.second != second {
		p.first, p.second = first, second
		p.text = member(member(p.text[:0], keys[0], first), keys[1], second)
	}
	return append(dst, p.text...)
}

// appendTimestamp writes RFC 3339 in UTC with microseconds.
func (l *line) appendTimestamp(dst []byte, t time.Time) []byte {
	if second := t.Unix(); second != l.second || len(l.stamp) == 0 {
		l.second, l.stamp = second, appendSecond(l.stamp[:0], t)
	}
	return appendMicros(append(dst, l.stamp...), t)
}

// kind is the members of method, protocol and TLS, which have few values together.
type kind struct {
	method message.Method
	proto  message.Proto
	tls    uint16
	text   []byte
}

// append writes the members, without a method that has only its name.
func (k *kind) append(dst []byte, e *Entry) []byte {
	if k.method != e.Method || k.proto != e.Proto || k.tls != e.TLSVersion || len(k.text) == 0 { // a scheme there always is
		*k = kind{e.Method, e.Proto, e.TLSVersion, k.text[:0]}
		if e.Method != message.MethodOther {
			k.text = member(k.text, `,"`+KeyMethod+`":"`, e.Method.String())
		}
		k.text = member(k.text, `,"`+KeyHTTPVersion+`":"`, e.Proto.Version())
		if e.TLSVersion == 0 {
			k.text = append(k.text, `,"`+KeyURLScheme+`":"http"`...)
		} else {
			k.text = append(k.text, `,"`+KeyURLScheme+`":"https"`...)
			k.text = member(k.text, `,"`+KeyTLSVersion+`":"`, tlsVersion(e.TLSVersion))
		}
	}
	return append(dst, k.text...)
}
