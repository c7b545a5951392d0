package message

import "bytes"

// Request turns a collected block into a request head. ended says that no DATA will follow. The first result is the answer a bad one deserves, the second that it
// is malformed and deserves none.
func (h *Collector) Request(req *Request, ended bool) (refused, malformed *Error) {
	req.Reset()
	req.Proto = h.Proto
	if h.bad != nil {
		return nil, h.bad
	}
	if h.refused != nil { // what came before the limit still names the request in the log
		h.length = -1
		if name := h.pseudo[0].in(h.arena); All(name, TokenByte) {
			req.MethodName, req.Method = name, MethodOf(name)
		}
		return h.refused, nil
	}
	if bad := h.method(req); bad != nil {
		return nil, bad
	}
	if ended && h.length > 0 {
		return nil, badLength // RFC 9113 §8.1.1, RFC 9114 §4.1.2
	}
	switch {
	case ended || h.length == 0:
		req.Framing = None
	case h.length > 0:
		req.Framing, req.ContentLength = Length, h.length
	default:
		req.Framing = Chunked
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
	h.Lines(&req.Header)
	return h.expect(req), nil
}

// method checks which pseudo-header fields are there (RFC 9113 §8.3.1, §8.5; RFC 9114 §4.3.1, §4.4; RFC 8441 §4).
func (h *Collector) method(req *Request) *Error {
	name := h.pseudo[0].in(h.arena)
	if h.seen&seenMethod == 0 {
		return badMissing
	}
	if len(name) == 0 || !All(name, TokenByte) {
		return badMethod
	}
	req.MethodName, req.Method = name, MethodOf(name)
	const whole = seenPath | seenScheme
	switch {
	case req.Method == CONNECT && h.seen&seenProtocol == 0:
		if h.seen&whole != 0 || h.seen&seenAuthority == 0 {
			return badPseudo
		}
	case h.seen&whole != whole:
		return badMissing
	case h.seen&seenProtocol != 0 && (req.Method != CONNECT || h.seen&seenAuthority == 0 || h.pseudo[4].empty()):
		return badPseudo
	case h.pseudo[1].empty() || h.pseudo[2].empty():
		return badPseudo
	}
	return nil
}

// target splits :path: origin form, or "*" for OPTIONS.
func (h *Collector) target(req *Request) *Error {
	if h.seen&seenPath == 0 {
		req.Target = h.pseudo[3].in(h.arena)
		return nil
	}
	if scheme := h.pseudo[2].in(h.arena); !EqualFold(scheme, "https") && !EqualFold(scheme, "http") {
		return errScheme
	}
	t := h.pseudo[1].in(h.arena)
	req.Target = t
	switch {
	case len(t) > h.Limits.Target:
		return errTargetLong
	case !All(t, TargetByte):
		return errTarget
	case t[0] == '/':
	case len(t) == 1 && t[0] == '*' && req.Method == OPTIONS:
	default:
		return errTarget
	}
	req.Path = t
	if q := bytes.IndexByte(t, '?'); q >= 0 {
		req.Path, req.Query = t[:q:q], t[q+1:]
	}
	return nil
}

// host wants an authority, at most one Host field, and no contradiction between them (RFC 9113 §8.3.1, RFC 9114 §4.3.1), and leaves exactly one Host line.
func (h *Collector) host(req *Request) *Error {
	authority := h.pseudo[3].in(h.arena)
	if h.hosts > 1 {
		return errHostMany
	}
	for i := range h.refs {
		if r := &h.refs[i]; r.id == Host {
			req.Host = span{r.line.from + r.nameLen + 2, r.line.to}.in(h.arena)
		}
	}
	switch {
	case h.hosts == 1 && h.seen&seenAuthority != 0 && !EqualFold(authority, req.Host):
		return errAuthority
	case h.hosts == 0:
		if req.Host = authority; len(authority) == 0 {
			return errHostMissing
		}
	}
	if !ValidHost(req.Host) { // userinfo too: "@" is no byte of a host
		return errHost
	}
	if h.hosts == 0 {
		from := len(h.arena)
		h.arena = append(append(h.arena, "host: "...), authority...)
		line := h.arena[from:len(h.arena):len(h.arena)]
		req.Header.AppendLine(line, len("host"), len("host: "), Host)
	}
	return nil
}

// expect knows the one expectation there is (RFC 9110 §10.1.1).
func (h *Collector) expect(req *Request) *Error {
	i := req.Header.Find(Expect, 0)
	if i < 0 {
		return nil
	}
	if !EqualFold(req.Header.At(i).Value(), "100-continue") || req.Header.Find(Expect, i+1) >= 0 {
		return errExpect
	}
	req.Expect = req.Framing != None
	return nil
}
