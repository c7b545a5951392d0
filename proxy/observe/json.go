package observe

import (
	"bytes"
	"crypto/tls"
	"encoding/hex"
	"strconv"
	"unicode/utf8"

	"github.com/valor-ivx/weir/proxy/message"
)

// appendJSON writes the entry as one ECS object and a newline.
func appendJSON(l *line, e *Entry, r *redactor) {
	dst := append(l.text[:0], `{"`+KeyTime+`":"`...)
	dst = l.appendTimestamp(dst, e.Time)
	dst = append(dst, `","`+KeyLevel+`":"info","`+KeyECSVersion+`":"`+ecsVersion+`","`+KeyDataset+`":"weir.access","`+KeyDuration+`":`...)
	dst = strconv.AppendInt(dst, int64(e.Duration), 10)
	dst = l.appendJSONRequest(dst, e, r)
	dst = append(dst, `,"`+KeyStatus+`":`...)
	dst = strconv.AppendInt(dst, int64(e.Status), 10)
	dst = append(dst, `,"`+KeyRequestBytes+`":`...)
	dst = strconv.AppendInt(dst, e.BytesIn, 10)
	dst = append(dst, `,"`+KeyResponseBytes+`":`...)
	dst = strconv.AppendInt(dst, e.BytesOut, 10)
	dst = l.where[0].append(dst, [2]string{`,"` + KeyListener + `":"`, `,"` + KeyRoute + `":"`}, e.Listener, e.Route)
	dst = l.where[1].append(dst, [2]string{`,"` + KeyService + `":"`, `,"` + KeyGroup + `":"`}, e.Service, e.Group)
	l.text = append(appendJSONUpstream(dst, e), "}\n"...)
}

func (l *line) appendJSONRequest(dst []byte, e *Entry, r *redactor) []byte {
	if e.Client.IsValid() {
		dst = append(dst, `,"`+KeyClientIP+`":"`...)
		dst = append(e.Client.WithZone("").AppendTo(dst), '"')
	}
	if e.Source.IsValid() && e.Source != e.Client {
		dst = append(dst, `,"`+KeySourceIP+`":"`...)
		dst = append(e.Source.WithZone("").AppendTo(dst), '"')
	}
	dst = member(dst, `,"`+KeyRequestID+`":"`, e.RequestID)
	dst = appendJSONTrace(dst, e)
	if e.Method == message.MethodOther {
		dst = member(dst, `,"`+KeyMethod+`":"`, e.MethodName)
	}
	dst = l.kind.append(dst, e)
	if e.TLSVersion != 0 {
		dst = member(dst, `,"`+KeyTLSServerName+`":"`, e.ServerName)
		dst = member(dst, `,"`+KeyTLSSubject+`":"`, e.ClientSubject)
	}
	dst = appendJSONHost(dst, e.Host)
	dst = appendJSONTarget(dst, e.Target, r)
	if len(e.Referer) > 0 {
		dst = append(dst, `,"`+KeyReferer+`":"`...)
		dst = append(r.append(dst, e.Referer, escapeJSON[[]byte]), '"')
	}
	dst = member(dst, `,"`+KeyUserAgent+`":"`, e.UserAgent)
	return member(dst, `,"`+KeyUserName+`":"`, e.User)
}

func appendJSONUpstream(dst []byte, e *Entry) []byte {
	if e.Attempts > 0 {
		dst = append(dst, `,"`+KeyAttempts+`":`...)
		dst = strconv.AppendInt(dst, int64(e.Attempts), 10)
		dst = append(dst, `,"`+KeyUpstreamDuration+`":`...)
		dst = strconv.AppendInt(dst, int64(e.UpstreamDuration), 10)
	}
	if e.UpstreamStatus != 0 {
		dst = append(dst, `,"`+KeyUpstreamStatus+`":`...)
		dst = strconv.AppendInt(dst, int64(e.UpstreamStatus), 10)
	}
	dst = member(dst, `,"`+KeyPeer+`":"`, e.Peer)
	dst = member(dst, `,"`+KeyWAFRules+`":"`, e.WAFRules)
	dst = member(dst, `,"`+KeyGRPCStatus+`":"`, e.GRPCStatus)
	dst = member(dst, `,"`+KeyReason+`":"`, e.Reason)
	return member(dst, `,"`+KeyError+`":"`, e.Error)
}

func appendJSONTrace(dst []byte, e *Entry) []byte {
	if e.Trace != [16]byte{} {
		dst = append(dst, `,"`+KeyTraceID+`":"`...)
		dst = append(hex.AppendEncode(dst, e.Trace[:]), '"')
	}
	if e.Span != [8]byte{} {
		dst = append(dst, `,"`+KeySpanID+`":"`...)
		dst = append(hex.AppendEncode(dst, e.Span[:]), '"')
	}
	return dst
}

// appendJSONTarget writes the target whole and, when it is a path, in its two parts. The parts are copied out of what was just written: escaping and
// redaction neither add nor move a question mark.
func appendJSONTarget(dst, target []byte, r *redactor) []byte {
	if len(target) == 0 {
		return dst
	}
	dst = append(dst, `,"`+KeyURLOriginal+`":"`...)
	start := len(dst)
	dst = r.append(dst, target, escapeJSON[[]byte])
	end := len(dst)
	dst = append(dst, '"')
	if target[0] != '/' {
		return dst // absolute, authority or asterisk form
	}
	path := end
	if i := bytes.IndexByte(dst[start:end], '?'); i >= 0 {
		path = start + i
	}
	dst = append(dst, `,"`+KeyURLPath+`":"`...)
	dst = append(append(dst, dst[start:path]...), '"')
	if path+1 < end {
		dst = append(dst, `,"`+KeyURLQuery+`":"`...)
		dst = append(append(dst, dst[path+1:end]...), '"')
	}
	return dst
}

// appendJSONHost splits the port off the authority. An authority that is not host or host:port (of a refused request) is written as it came.
func appendJSONHost(dst, host []byte) []byte {
	if i := bytes.LastIndexByte(host, '@'); i >= 0 { // a password can stand before it, and the request was refused for it (RFC 9110 §4.2.4)
		dst = append(dst, `,"`+KeyURLDomain+`":"`+hiddenMark...)
		return append(bounded(dst, host[i:], escapeJSON), '"')
	}
	name, port := host, []byte(nil)
	if i := bytes.LastIndexByte(host, ':'); i > 0 && i+1 < len(host) && bytes.IndexByte(host[i:], ']') < 0 && isPort(host[i+1:]) {
		name, port = host[:i], host[i+1:]
	}
	dst = member(dst, `,"`+KeyURLDomain+`":"`, name)
	if port != nil {
		dst = append(dst, `,"`+KeyURLPort+`":`...)
		dst = append(dst, port...)
	}
	return dst
}

// isPort accepts what is also a JSON number: no leading zero, at most 65535.
func isPort(b []byte) bool {
	if len(b) > 5 || b[0] == '0' {
		return false
	}
	n := 0
	for _, c := range b {
		if c < '0' || c > '9' {
			return false
		}
		n = n*10 + int(c-'0')
	}
	return n <= 65535
}

// tlsVersion is the version as ECS writes it, without the protocol's name.
func tlsVersion(v uint16) string {
	switch v {
	case tls.VersionTLS10:
		return "1.0"
	case tls.VersionTLS11:
		return "1.1"
	case tls.VersionTLS12:
		return "1.2"
	case tls.VersionTLS13:
		return "1.3"
	}
	return "unknown"
}

// member writes prefix (comma, key, colon, quote), the escaped value and a quote; nothing for an empty value.
func member[S []byte | string](dst []byte, prefix string, value S) []byte {
	if len(value) == 0 {
		return dst
	}
	dst = append(dst, prefix...)
	if len(value) > LongestField {
		dst = bounded(dst, value, escapeJSON)
	} else {
		dst = escapeJSON(dst, value)
	}
	return append(dst, '"')
}

// escapeJSON writes s as the inside of a JSON string (RFC 8259 §7). Besides what JSON demands it escapes DEL and the C1 controls, which a terminal
// that shows the log could obey, and replaces every byte that is not UTF-8 by U+FFFD, as encoding/json does.
func escapeJSON[S []byte | string](dst []byte, s S) []byte {
	for start := 0; ; {
		i := nextUnclean(s, start)
		dst = append(dst, s[start:i]...)
		if i == len(s) {
			return dst
		}
		if s[i] < utf8.RuneSelf {
			dst = escapeASCII(dst, s[i])
			start = i + 1
			continue
		}
		rest := s[i:min(i+utf8.UTFMax, len(s))]
		r, size := utf8.DecodeRune([]byte(rest))
		switch {
		case r == utf8.RuneError && size == 1:
			dst = append(dst, `\ufffd`...)
		case r < 0xa0:
			dst = append(dst, '\\', 'u', '0', '0', lowerHex[r>>4], lowerHex[r&0xf])
		default:
			dst = append(dst, rest[:size]...)
		}
		start = i + size
	}
}

const lowerHex = "0123456789abcdef"

func escapeASCII(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\n':
		return append(dst, `\n`...)
	case '\r':
		return append(dst, `\r`...)
	case '\t':
		return append(dst, `\t`...)
	}
	return append(dst, '\\', 'u', '0', '0', lowerHex[c>>4], lowerHex[c&0xf])
}
