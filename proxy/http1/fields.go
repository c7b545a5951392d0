package http1

import (
	"bytes"

	"github.com/valor-ivx/weir/proxy/message"
)

// parseFields reads field lines up to and including the empty line and appends them to h. b ends with that empty line's CRLF.
func parseFields(h *message.Header, b []byte, limit int) *Error {
	for {
		end := bytes.IndexByte(b, '\n')
		if end < 1 || b[end-1] != '\r' {
			return errBareLF
		}
		line := b[:end-1]
		if len(line) == 0 {
			return nil
		}
		if h.Len() == limit {
			return errFieldsMany
		}
		if err := parseField(h, line); err != nil {
			return err
		}
		b = b[end+1:]
	}
}

func parseField(h *message.Header, line []byte) *Error {
	if line[0] == ' ' || line[0] == '\t' {
		return errFold // RFC 9112 §5.2: a server may replace it by spaces or refuse; we refuse
	}
	n := 0
	for n < len(line) && class[line[n]]&tokenByte != 0 {
		n++
	}
	// White space before the colon lands here too (RFC 9112 §5.1: it must be refused).
	if n == 0 || n == len(line) || line[n] != ':' {
		return errFieldName
	}
	start := n + 1
	for start < len(line) && (line[start] == ' ' || line[start] == '\t') {
		start++
	}
	end := len(line)
	for end > start && (line[end-1] == ' ' || line[end-1] == '\t') {
		end--
	}
	for _, c := range line[start:end] {
		if class[c]&valueByte == 0 {
			if c == '\r' {
				return errBareCR
			}
			return errFieldValue
		}
	}
	h.AppendLine(line[:end:end], n, start, message.IDOf(line[:n]))
	return nil
}

// bareLF refuses a head or trailer section, finished or not, that holds a line feed without its carriage return at or behind from.
func bareLF(b []byte, from int) *Error {
	for {
		i := bytes.IndexByte(b[from:], '\n')
		if i < 0 {
			return nil
		}
		if at := from + i; at == 0 || b[at-1] != '\r' {
			return errBareLF
		}
		from += i + 1
	}
}

// lfFirst is the error of a section that was refused with err once it was complete. While it arrives only bareLF is looked for; looking for it first
// here too makes the verdict independent of how the bytes were cut, and costs nothing where nothing is wrong.
func lfFirst(b []byte, err *Error) *Error {
	if lf := bareLF(b, 0); lf != nil {
		return lf
	}
	return err
}

// framing is what a head says about its body, gathered in one pass over the fields.
type framing struct {
	length     int64 // -1: not stated
	chunked    bool
	close      bool
	keepAlive  bool
	upgrade    bool // Connection: upgrade
	hasUpgrade bool // an Upgrade field
	otherHTTP  bool // one that names another HTTP
	nominates  bool // Connection names fields that we would otherwise forward
}

// examine collects the framing of a head and refuses every combination that two parsers could read differently (RFC 9112 §6.1, §6.3, §11.2).
func examine(h *message.Header, proto message.Proto) (f framing, err *Error) {
	f.length = -1
	for i := range h.Len() {
		fld := h.At(i)
		switch fld.ID() {
		case message.ContentLength:
			if aliased(fld) {
				return f, errFramingAlias
			}
			if f.length >= 0 {
				return f, errLengthMany
			}
			if f.length = parseLength(fld.Value()); f.length < 0 {
				return f, errLength
			}
		case message.TransferEncoding:
			if aliased(fld) {
				return f, errFramingAlias
			}
			if f.chunked || !message.EqualFold(fld.Value(), "chunked") {
				return f, errCoding
			}
			f.chunked = true
		case message.Connection:
			if err := f.connection(fld.Value()); err != nil {
				return f, err
			}
		case message.Upgrade:
			f.hasUpgrade = true
			f.otherHTTP = f.otherHTTP || namesHTTP(fld.Value())
		}
	}
	if f.chunked && proto == message.HTTP10 {
		return f, errCodingOld
	}
	if f.chunked && f.length >= 0 {
		return f, errLengthCoding
	}
	return f, nil
}

// connection reads one Connection field. Naming an end-to-end field that framing or routing stands on would make us drop it (RFC 9110 §7.6.1 forbids it).
func (f *framing) connection(list []byte) *Error {
	for len(list) > 0 {
		var token []byte
		token, list = message.NextToken(list)
		switch {
		case message.EqualFold(token, "close"):
			f.close = true
		case message.EqualFold(token, "keep-alive"):
			f.keepAlive = true
		case message.EqualFold(token, "upgrade"):
			f.upgrade = true
		default:
			switch message.IDOf(token) {
			case message.Host, message.ContentLength, message.TransferEncoding:
				return errConnection
			}
			f.nominates = true
		}
	}
	return nil
}

// namesHTTP reports a list of protocols (RFC 9110 §7.8) with another HTTP or TLS in it. A client that got its upstream to speak that would send it requests
// which nobody here sees ("h2c smuggling"); RFC 9113 §3.1 has taken the h2c upgrade back. Not upgrading is always allowed.
func namesHTTP(list []byte) bool {
	for len(list) > 0 {
		var item []byte
		item, list = message.NextToken(list)
		name, _, _ := bytes.Cut(item, slash)
		for _, p := range [...]string{"h2c", "h2", "http", "tls"} {
			if message.EqualFold(name, p) {
				return true
			}
		}
	}
	return false
}

var slash = []byte("/")

// aliased reports whether a name was recognised only because an underscore counts as a hyphen.
func aliased(f *message.Field) bool { return bytes.IndexByte(f.Name(), '_') >= 0 }

// parseLength reads 1*DIGIT, at most 18 of them so that it fits; -1 if it is anything else ("+5", "5, 5", "0x5").
func parseLength(b []byte) int64 {
	if len(b) == 0 || len(b) > 18 {
		return -1
	}
	var n int64
	for _, c := range b {
		if c < '0' || c > '9' {
			return -1
		}
		n = n*10 + int64(c-'0')
	}
	return n
}
