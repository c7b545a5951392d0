package http1

import (
	"bytes"

	"github.com/valor-ivx/weir/proxy/message"
)

// ParseRequest reads a whole request head, ending in the empty line, into req. Its slices point into head.
func ParseRequest(req *message.Request, head []byte, lim Limits) *Error {
	end := bytes.IndexByte(head, '\n')
	if end < 1 || head[end-1] != '\r' {
		return errBareLF
	}
	if err := parseRequestLine(req, head[:end-1], lim.Target); err != nil {
		return err
	}
	if err := parseFields(&req.Header, head[end+1:], lim.Fields); err != nil {
		return err
	}
	f, err := examine(&req.Header, req.Proto)
	if err != nil {
		return err
	}
	switch {
	case f.chunked:
		req.Framing = message.Chunked
	case f.length > 0:
		req.Framing, req.ContentLength = message.Length, f.length
	default:
		req.Framing = message.None
	}
	req.Close = f.close || req.Proto == message.HTTP10 && !f.keepAlive
	req.Nominates = f.nominates
	req.Upgrade = f.upgrade && f.hasUpgrade && !f.otherHTTP && req.Proto == message.HTTP11
	if err := checkExpect(req); err != nil {
		return err
	}
	return checkHost(req)
}

// parseRequestLine reads "METHOD SP TARGET SP HTTP/x.y": single spaces, nothing else (RFC 9112 §3).
func parseRequestLine(req *message.Request, line []byte, targetLimit int) *Error {
	sp := bytes.IndexByte(line, ' ')
	if sp < 0 {
		return errRequestLine
	}
	if sp == 0 || !all(line[:sp], tokenByte) {
		return errMethod
	}
	req.MethodName, req.Method = line[:sp:sp], message.MethodOf(line[:sp])
	rest := line[sp+1:]
	sp = bytes.IndexByte(rest, ' ')
	if sp < 0 {
		return errRequestLine // HTTP/0.9 included
	}
	if sp > targetLimit {
		return errTargetLong
	}
	if err := parseVersion(&req.Proto, rest[sp+1:]); err != nil {
		return err
	}
	req.Target = rest[:sp:sp]
	return parseTarget(req)
}

func parseVersion(p *message.Proto, v []byte) *Error {
	switch string(v) {
	case "HTTP/1.1":
		*p = message.HTTP11
	case "HTTP/1.0":
		*p = message.HTTP10
	default:
		if len(v) == 8 && string(v[:5]) == "HTTP/" && isDigit(v[5]) && v[6] == '.' && isDigit(v[7]) {
			return errVersionOther
		}
		return errVersion
	}
	return nil
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// parseTarget splits the four forms of RFC 9112 §3.2 and leaves the authority of an absolute form in req.Host for checkHost.
func parseTarget(req *message.Request) *Error {
	t := req.Target
	if len(t) == 0 || !all(t, targetByte) {
		return errTarget
	}
	switch {
	case req.Method == message.CONNECT: // authority form only
		req.Host = t
		return nil
	case t[0] == '/':
	case len(t) == 1 && t[0] == '*' && req.Method == message.OPTIONS:
		req.Path = t
		return nil
	default:
		rest, ok := cutScheme(t)
		if !ok {
			return errTarget
		}
		end := bytes.IndexAny(rest, "/?")
		if end < 0 {
			end = len(rest)
		}
		if end == 0 {
			return errTarget
		}
		req.Host, t = rest[:end:end], rest[end:]
	}
	if q := bytes.IndexByte(t, '?'); q >= 0 {
		req.Path, req.Query = t[:q:q], t[q+1:]
	} else {
		req.Path = t
	}
	switch {
	case len(req.Path) > 0:
	case req.Method == message.OPTIONS && req.Query == nil:
		req.Path = asterisk // RFC 9112 §3.2.4
	default:
		req.Path = rootPath
	}
	return nil
}

var (
	rootPath = []byte("/")
	asterisk = []byte("*")
)

func cutScheme(t []byte) ([]byte, bool) {
	for _, scheme := range [...]string{"http://", "https://"} {
		if len(t) > len(scheme) && message.EqualFold(t[:len(scheme)], scheme) {
			return t[len(scheme):], true
		}
	}
	return nil, false
}

// checkHost wants exactly one Host in HTTP/1.1, at most one before, and no contradiction with an absolute target (RFC 9112 §3.2, §3.2.2: the
// target would win; a difference is refused because somebody in the chain may let the field win).
func checkHost(req *message.Request) *Error {
	authority := req.Host
	i := req.Header.Find(message.Host, 0)
	if i < 0 {
		if req.Proto == message.HTTP11 {
			return errHostMissing
		}
		if len(authority) > 0 {
			if !message.ValidHost(authority) {
				return errHost
			}
			req.Header.AddBytes("Host", authority) // the next hop is told in HTTP/1.1, with a target that no longer says it
		}
		return nil
	}
	fld := req.Header.At(i)
	if req.Header.Find(message.Host, i+1) >= 0 {
		return errHostMany
	}
	host := fld.Value()
	if !message.ValidHost(host) {
		return errHost
	}
	if len(authority) > 0 && !message.EqualFold(authority, host) {
		return errAuthority
	}
	req.Host = host
	return nil
}

// checkExpect knows the one expectation there is (RFC 9110 §10.1.1); an HTTP/1.0 client's is ignored, as the section says.
func checkExpect(req *message.Request) *Error {
	i := req.Header.Find(message.Expect, 0)
	if i < 0 {
		return nil
	}
	if !message.EqualFold(req.Header.At(i).Value(), "100-continue") || req.Header.Find(message.Expect, i+1) >= 0 {
		return errExpect
	}
	req.Expect = req.Proto == message.HTTP11 && req.Framing != message.None
	return nil
}
