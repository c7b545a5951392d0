package message

import "strings"

// span is a piece of a head's arena.
type span struct{ from, to int32 }

func (s span) in(b []byte) []byte { return b[s.from:s.to:s.to] }
func (s span) empty() bool        { return s.from == s.to }

// fieldRef is one line of the arena, kept as positions because the arena may move while it grows.
type fieldRef struct {
	line    span
	nameLen int32
	id      ID
}

// The pseudo-header fields, as bits of head.seen.
const (
	seenMethod = 1 << iota
	seenPath
	seenScheme
	seenAuthority
	seenProtocol
)

// Limits bound one request head.
type Limits struct {
	Head   int // bytes of decoded names and values, 32 more per field (RFC 9113 §6.5.2, RFC 9114 §4.2.2); announced to clients
	Fields int // regular fields, and trailer fields
	Target int // bytes of :path
}

// Collector makes a request head, a response head, or trailers, of a header block of HTTP/2 or HTTP/3 while it is decoded: the two have the same rules (RFC 9113 §8, RFC 9114 §4),
// and what one refuses the other must not let through. Begin, Field for each field, Request, Response or Lines; then it can begin anew. One goroutine owns it; what it
// collects lies in the arena that Begin was given, or in a larger one that took its place.
type Collector struct {
	Limits   Limits
	Proto    Proto
	Extended bool // :protocol is allowed (RFC 8441, RFC 9220)
	// Responses says that the heads are those of responses: :status is the only pseudo-header field (RFC 9113 §8.3.2, RFC 9114 §4.3.2).
	Responses bool

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
	prio    Priority
	bad     *Error // malformed: the stream is reset
	refused *Error // beyond a limit: the stream is answered
}

// Begin readies for a block whose lines go to arena.
func (h *Collector) Begin(arena []byte, trailer bool) {
	*h = Collector{Limits: h.Limits, Proto: h.Proto, Extended: h.Extended, Responses: h.Responses, refs: h.refs[:0], arena: arena[:0], trailer: trailer, length: -1, prio: DefaultPriority()}
}

// Arena is the memory that holds what was collected.
func (h *Collector) Arena() []byte { return h.arena }

// Malformed is what is wrong with the fields so far, nil if nothing is.
func (h *Collector) Malformed() *Error { return h.bad }

// Refused is the limit that the fields so far are beyond, nil if there is none.
func (h *Collector) Refused() *Error { return h.refused }

// Length is what content-length says, -1 if there is none, or none that counts because the head is refused.
func (h *Collector) Length() int64 { return h.length }

// Priority is what the priority field says.
func (h *Collector) Priority() Priority { return h.prio }

// Method is what :method says.
func (h *Collector) Method() Method { return MethodOf(h.pseudo[0].in(h.arena)) }

// Scheme is :scheme, as the client claims it.
func (h *Collector) Scheme() []byte { return h.pseudo[2].in(h.arena) }

// Protocol is :protocol of an extended CONNECT, else empty.
func (h *Collector) Protocol() []byte { return h.pseudo[4].in(h.arena) }

// Field takes the next field of the block.
func (h *Collector) Field(name, value string) {
	if h.bad != nil || h.refused != nil {
		return // the rest is decoded only to keep the table true
	}
	h.size += len(name) + len(value) + 32
	if h.size > h.Limits.Head {
		h.refused = errHeadLarge
		return
	}
	if len(name) > 0 && name[0] == ':' {
		h.bad = h.pseudoField(name, value)
		return
	}
	h.regular = true
	h.bad = h.regularField(name, value)
}

func (h *Collector) pseudoField(name, value string) *Error {
	if h.trailer {
		return badPseudo
	}
	if h.regular {
		return badOrder
	}
	if h.Responses != (name == ":status") {
		return badPseudo
	}
	at := 0
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
		if at = 4; !h.Extended {
			return badPseudo
		}
	default:
		return badPseudo
	}
	if h.seen&(1<<at) != 0 {
		return badTwice
	}
	if !ValidValue(value) {
		return badValue
	}
	h.seen |= 1 << at
	from := len(h.arena)
	h.arena = append(h.arena, value...)
	h.pseudo[at] = span{int32(from), int32(len(h.arena))}
	return nil
}

func (h *Collector) regularField(name, value string) *Error {
	if len(name) == 0 || !All(name, LowerTokenByte) {
		return badName
	}
	if h.Responses { // applications of Go write such values, and net/http sends them; what HTTP/1 allows does no harm here
		value = strings.Trim(value, " \t")
	}
	if !ValidValue(value) {
		return badValue
	}
	id := IDOf(name)
	switch id {
	case Connection, KeepAlive, ProxyConnection, TransferEncoding, Upgrade:
		return badConnection // RFC 9113 §8.2.2, RFC 9114 §4.2; also where an underscore stands for the hyphen
	case TE:
		if value != "trailers" {
			return badTE
		}
	case ContentLength:
		if h.trailer {
			return nil
		}
		if h.length >= 0 || name != "content-length" {
			return badLength
		}
		if h.length = parseLength(value); h.length < 0 {
			return badLength
		}
	case Cookie:
		h.crumbs++
	case Host:
		h.hosts++
	case Other:
		if name == "priority" && !h.trailer {
			h.prio = ParsePriority([]byte(value))
		}
	}
	if h.trailer && (id == Host || id == Cookie || id == Authorization || id == Expect || id >= Forwarded && id <= XRequestID) {
		return nil // RFC 9110 §6.5.1: what routes, frames or authenticates has no meaning there; dropped
	}
	if len(h.refs) == h.Limits.Fields {
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

// Lines appends the collected fields to a header list. The arena moves no more.
func (h *Collector) Lines(to *Header) {
	for i := range h.refs {
		r := &h.refs[i]
		to.AppendLine(r.line.in(h.arena), int(r.nameLen), int(r.nameLen)+2, r.id)
	}
}

// joinCookies makes one field of a cookie that was split for compression (RFC 9113 §8.2.3, RFC 9114 §4.2.1), in the first crumb's place.
func (h *Collector) joinCookies() {
	from := len(h.arena)
	first := -1
	kept := h.refs[:0]
	h.arena = append(h.arena, "cookie: "...)
	for _, r := range h.refs {
		if r.id != Cookie {
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
