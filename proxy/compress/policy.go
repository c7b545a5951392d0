package compress

import (
	"strings"

	"github.com/valor-ivx/weir/proxy/message"
)

// Policy is what a route compresses. It is a value: nothing in it changes.
type Policy struct {
	codings []message.Coding
	least   int64
	types   []mediaType
}

// mediaType is a type to compress: "text/html", "text/*", "application/*+json".
type mediaType struct {
	name string // up to "*", where there is one
	open bool   // there is one
	tail string // behind it
}

// New makes a policy of codings, the first of which wins where a client likes several equally, of the length in bytes from which on an answer is worth it, and of media types; "*" in one
// stands for any subtype, or for the beginning of one before a suffix.
func New(codings []message.Coding, least int64, types []string) *Policy {
	p := &Policy{codings: codings, least: least}
	for _, t := range types {
		name, tail, open := strings.Cut(t, "*")
		p.types = append(p.types, mediaType{name, open, tail})
	}
	return p
}

// Choose is the coding that a request asks for; ok is false where it takes none of the policy's.
func (p *Policy) Choose(h *message.Header) (c message.Coding, ok bool) {
	e := message.AcceptedEncoding(h)
	i := e.Best(p.codings)
	if i < 0 {
		return 0, false
	}
	return p.codings[i], true
}

// Fits reports an answer that is compressed for whoever takes it so. Those are left alone whose coding is not ours to choose: one that is coded already, a part of something, one whose sender
// forbids it (RFC 9111 §5.2.2.6) or vouches for its bytes (RFC 9530, RFC 1864); and event streams, which are many small answers.
func (p *Policy) Fits(req *message.Request, resp *message.Response) bool {
	switch {
	case req.Proto == message.HTTP10 || resp.Status < 200 || resp.Status == 204 || resp.Status == 205 || resp.Status == 206 || resp.Status == 304:
		return false // HTTP/1.0 would take a broken answer for a whole one: it has no other end than the connection's
	case resp.Framing == message.None && req.Method != message.HEAD:
		return false
	case resp.ContentLength >= 0 && (resp.ContentLength < p.least || resp.ContentLength == 0):
		return false
	case whole(&req.Header) || !p.worth(&resp.Header):
		return false
	}
	return !settled(&resp.Header)
}

// worth reports a media type of the policy's.
func (p *Policy) worth(h *message.Header) bool {
	i := h.Find(message.ContentType, 0)
	if i < 0 {
		return false
	}
	kind := h.At(i).Value()
	for j, c := range kind {
		if c == ';' {
			kind = kind[:j]
			break
		}
	}
	kind = message.Trim(kind)
	if message.EqualFold(kind, "text/event-stream") {
		return false
	}
	for j := range p.types {
		if p.types[j].matches(kind) {
			return true
		}
	}
	return false
}

func (t *mediaType) matches(kind []byte) bool {
	if !t.open {
		return message.EqualFold(kind, t.name)
	}
	return len(kind) > len(t.name)+len(t.tail) && message.EqualFold(kind[:len(t.name)], t.name) && message.EqualFold(kind[len(kind)-len(t.tail):], t.tail)
}

// whole reports a request for the bytes as they are: for a part of them, which a client will put together with others, or without anybody changing them on the way (RFC 9111 §5.2.1.6).
func whole(h *message.Header) bool {
	for i := range h.Len() {
		switch f := h.At(i); {
		case f.ID() != message.Other:
		case message.EqualFold(f.Name(), "range"), message.EqualFold(f.Name(), "cache-control") && message.HasToken(f.Value(), "no-transform"):
			return true
		}
	}
	return false
}

// settled reports fields of an answer by which its bytes have to stay as they are.
func settled(h *message.Header) bool {
	for i := range h.Len() {
		switch f := h.At(i); {
		case f.ID() == message.Trailer:
			for list := f.Value(); len(list) > 0; {
				var name []byte
				if name, list = message.NextToken(list); digest(name) {
					return true
				}
			}
		case f.ID() != message.Other:
		case digest(f.Name()), message.EqualFold(f.Name(), "content-encoding"), message.EqualFold(f.Name(), "content-range"),
			message.EqualFold(f.Name(), "cache-control") && message.HasToken(f.Value(), "no-transform"):
			return true
		}
	}
	return false
}

func digest(name []byte) bool {
	return message.EqualFold(name, "repr-digest") || message.EqualFold(name, "content-digest") || message.EqualFold(name, "digest") || message.EqualFold(name, "content-md5")
}
