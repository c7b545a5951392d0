package http2

import (
	"golang.org/x/net/http2/hpack"

	"github.com/valor-ivx/weir/proxy/message"
)

// span is a piece of a head's arena.
type span struct{ from, to int32 }

func (s span) in(b []byte) []byte { return b[s.from:s.to:s.to] }
func (s span) empty() bool        { return s.from == s.to }

// fieldRef is one line of the arena, kept as positions because the arena may move while it grows.
type fieldRef struct {
	line    span
	nameLen int32
	id      message.ID
}

// The pseudo-header fields, as bits of head.seen.
const (
	seenMethod = 1 << iota
	seenPath
	seenScheme
	seenAuthority
	seenProtocol
)

// head collects one header block as it is decoded. The connection's reader owns it; what it collects moves to the stream.
type head struct {
	limits   Limits
	extended bool // :protocol is allowed
	response bool

	arena   []byte
	refs    []fieldRef
	pseudo  [5]span // by the order of the seen bits
	seen    uint8
	regular bool // a regular field was seen: no pseudo-header field may follow
	trailer bool
	size    int // RFC 9113 §6.5.2
	length  int64
	crumbs  int // cookie fields
	hosts   int
	prio    priority
	bad     *Error // malformed: the stream is reset
	refused *Error // beyond a limit: the stream is answered
}

// begin readies for a block whose lines go to arena.
func (h *head) begin(arena []byte, trailer bool) {
	*h = head{limits: h.limits, extended: h.extended, refs: h.refs[:0], arena: arena[:0], trailer: trailer, length: -1, prio: defaultPriority}
}

// field is the decoder's callback.
func (h *head) field(f hpack.HeaderField) {
	if h.bad != nil || h.refused != nil {
		return // the rest is decoded only to keep the table true
	}
	h.size += len(f.Name) + len(f.Value) + 32
	if h.size > h.limits.Head {
		h.refused = errHeadLarge
		return
	}
	if len(f.Name) > 0 && f.Name[0] == ':' {
		h.bad = h.pseudoField(f.Name, f.Value)
		return
	}
	h.regular = true
	h.bad = h.regularField(f.Name, f.Value)
}

func (h *head) pseudoField(name, value string) *Error {
	if h.trailer {
		return badPseudo
	}
	if h.regular {
		return badOrder
	}
	at := 0
	if h.response != (name == ":status") {
		return badPseudo
	}
	switch name {
	case ":status":
	case ":method":
	case ":path":
		at = 1
	case ":scheme":
		at = 2
	case ":authority":
		at = 3
	case ":protocol":
		if at = 4; !h.extended {
			return badPseudo
		}
	default:
		return badPseudo
	}
	if h.seen&(1<<at) != 0 {
		return badTwice
	}
	if !validValue(value) {
		return badValue
	}
	h.seen |= 1 << at
	from := len(h.arena)
	h.arena = append(h.arena, value...)
	h.pseudo[at] = span{int32(from), int32(len(h.arena))}
	return nil
}

func (h *head) regularField(name, value string) *Error {
	if len(name) == 0 || !all(name, nameByte) {
		return badName
	}
	if !validValue(value) {
		return badValue
	}
	id := message.IDOf(name)
	switch id {
	case message.Connection, message.KeepAlive, message.ProxyConnection, message.TransferEncoding, message.Upgrade:
		return badConnection // RFC 9113 §8.2.2, also where an underscore stands for the hyphen
	case message.TE:
		if value != "trailers" {
			return badTE
		}
	case message.ContentLength:
		if h.trailer {
			return nil
		}
		if h.length >= 0 || name != "content-length" {
			return badLength
		}
		if h.length = parseLength(value); h.length < 0 {
			return badLength
		}
	case message.Cookie:
		h.crumbs++
	case message.Host:
		h.hosts++
	case message.Other:
		if name == "priority" && !h.trailer {
			h.prio = parsePriority([]byte(value))
		}
	}
	if h.trailer && (id == message.Host || id == message.Cookie || id == message.Authorization || id == message.Expect) {
		return nil // RFC 9110 §6.5.1: what routes, frames or authenticates has no meaning there; dropped
	}
	if len(h.refs) == h.limits.Fields {
		h.refused = errFieldsMany
		return nil
	}
	from := len(h.arena)
	h.arena = append(h.arena, name...)
	h.arena = append(h.arena, ": "...)
	h.arena = append(h.arena, value...)
	h.refs = append(h.refs, fieldRef{span{int32(from), int32(len(h.arena))}, int32(len(name)), id})
	return nil
}

// lines appends the collected fields to a header list. The arena moves no more.
func (h *head) lines(to *message.Header) {
	for i := range h.refs {
		r := &h.refs[i]
		to.AppendLine(r.line.in(h.arena), int(r.nameLen), int(r.nameLen)+2, r.id)
	}
}

// joinCookies makes one field of a cookie that was split for compression (RFC 9113 §8.2.3), in the first crumb's place.
func (h *head) joinCookies() {
	from := len(h.arena)
	first := -1
	kept := h.refs[:0]
	h.arena = append(h.arena, "cookie: "...)
	for _, r := range h.refs {
		if r.id != message.Cookie {
			kept = append(kept, r)
			continue
		}
		value := span{r.line.from + r.nameLen + 2, r.line.to}
		if first < 0 {
			first = len(kept)
			kept = append(kept, r)
		} else {
			h.arena = append(h.arena, "; "...)
		}
		h.arena = append(h.arena, value.in(h.arena)...)
	}
	kept[first].line = span{int32(from), int32(len(h.arena))}
	kept[first].nameLen = int32(len("cookie"))
	h.refs = kept
}
