package http2

import (
	"bytes"

	"github.com/valor-ivx/weir/proxy/message"
)

// request turns a collected block into a request head. ended says that no DATA will follow. The first result is the answer a bad one deserves, the second that it
// is malformed and deserves none.
func (h *head) request(req *message.Request, ended bool) (refused, malformed *Error) {
	req.Reset()
	req.Proto = message.HTTP2
	if h.bad != nil {
		return nil, h.bad
	}
	if h.refused != nil { // what came before the limit still names the request in the log
		h.length = -1
		if name := h.pseudo[0].in(h.arena); all(name, tokenByte) {
			req.MethodName, req.Method = name, message.MethodOf(name)
		}
		return h.refused, nil
	}
	if bad := h.method(req); bad != nil {
		return nil, bad
	}
	if ended && h.length > 0 {
		return nil, badLength // RFC 9113 §8.1.1
	}
	switch {
	case ended || h.length == 0:
		req.Framing = message.None
	case h.length > 0:
		req.Framing, req.ContentLength = message.Length, h.length
	default:
		req.Framing = message.Chunked
	}
	if h.crumbs > 1 {
		h.joinCookies()
	}
	if err := h.target(req); err != nil {
		return err, nil
	}
	if err := h.host(req); err != nil {
		return err, nil
	}
	h.lines(&req.Header)
	return h.expect(req), nil
}

// method checks which pseudo-header fields are there (RFC 9113 §8.3.1, §8.5; RFC 8441 §4).
func (h *head) method(req *message.Request) *Error {
	name := h.pseudo[0].in(h.arena)
	if h.seen&seenMethod == 0 {
		return badMissing
	}
	if len(name) == 0 || !all(name, tokenByte) {
		return badMethod
	}
	req.MethodName, req.Method = name, message.MethodOf(name)
	const whole = seenPath | seenScheme
	switch {
	case req.Method == message.CONNECT && h.seen&seenProtocol == 0:
		if h.seen&whole != 0 || h.seen&seenAuthority == 0 {
			return badPseudo
		}
	case h.seen&whole != whole:
		return badMissing
	case h.seen&seenProtocol != 0 && (req.Method != message.CONNECT || h.seen&seenAuthority == 0 || h.pseudo[4].empty()):
		return badPseudo
	case h.pseudo[1].empty() || h.pseudo[2].empty():
		return badPseudo
	}
	return nil
}

// target splits :path: origin form, or "*" for OPTIONS.
func (h *head) target(req *message.Request) *Error {
	if h.seen&seenPath == 0 {
		req.Target = h.pseudo[3].in(h.arena)
		return nil
	}
	if scheme := h.pseudo[2].in(h.arena); !message.EqualFold(scheme, "https") && !message.EqualFold(scheme, "http") {
		return errScheme
	}
	t := h.pseudo[1].in(h.arena)
	req.Target = t
	switch {
	case len(t) > h.limits.Target:
		return errTargetLong
	case !all(t, targetByte):
		return errTarget
	case t[0] == '/':
	case len(t) == 1 && t[0] == '*' && req.Method == message.OPTIONS:
	default:
		return errTarget
	}
	req.Path = t
	if q := bytes.IndexByte(t, '?'); q >= 0 {
		req.Path, req.Query = t[:q:q], t[q+1:]
	}
	return nil
}

// host wants an authority, at most one Host field, and no contradiction between them (RFC 9113 §8.3.1), and leaves exactly one Host line.
func (h *head) host(req *message.Request) *Error {
	authority := h.pseudo[3].in(h.arena)
	if h.hosts > 1 {
		return errHostMany
	}
	for i := range h.refs {
		if r := &h.refs[i]; r.id == message.Host {
			req.Host = span{r.line.from + r.nameLen + 2, r.line.to}.in(h.arena)
		}
	}
	switch {
	case h.hosts == 1 && h.seen&seenAuthority != 0 && !message.EqualFold(authority, req.Host):
		return errAuthority
	case h.hosts == 0:
		if req.Host = authority; len(authority) == 0 {
			return errHostMissing
		}
	}
	if !validHost(req.Host) { // userinfo too: "@" is no byte of a host
		return errHost
	}
	if h.hosts == 0 {
		from := len(h.arena)
		h.arena = append(append(h.arena, "host: "...), authority...)
		line := h.arena[from:len(h.arena):len(h.arena)]
		req.Header.AppendLine(line, len("host"), len("host: "), message.Host)
	}
	return nil
}

// expect knows the one expectation there is (RFC 9110 §10.1.1).
func (h *head) expect(req *message.Request) *Error {
	i := req.Header.Find(message.Expect, 0)
	if i < 0 {
		return nil
	}
	if !message.EqualFold(req.Header.At(i).Value(), "100-continue") || req.Header.Find(message.Expect, i+1) >= 0 {
		return errExpect
	}
	req.Expect = req.Framing != message.None
	return nil
}
