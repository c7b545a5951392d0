package observe

import (
	"strconv"
	"time"

	"github.com/valor-ivx/weir/proxy/message"
)

// appendCombined writes the entry as nginx's predefined "combined":
//
//	$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent"
//
// Fail2ban, GoAccess and awstats read it. A test compares it with a real nginx. Only secrets differ: they are replaced.
func appendCombined(dst []byte, e *Entry, r *redactor) []byte {
	if e.Client.IsValid() {
		dst = e.Client.WithZone("").AppendTo(dst)
	} else {
		dst = append(dst, '-')
	}
	dst = append(dst, " - "...)
	dst = escapedOrDash(dst, e.User)
	dst = append(dst, " ["...)
	dst = appendLocalTime(dst, e.Time)
	dst = append(dst, `] "`...)
	dst = appendRequestLine(dst, e, r)
	dst = append(dst, `" `...)
	dst = appendPadded(dst, e.Status, 3)
	dst = append(dst, ' ')
	dst = strconv.AppendInt(dst, e.BytesOut, 10)
	dst = append(dst, ` "`...)
	if len(e.Referer) == 0 {
		dst = append(dst, '-')
	} else {
		dst = r.append(dst, e.Referer, escapeCombined)
	}
	dst = append(dst, `" "`...)
	dst = escapedOrDash(dst, e.UserAgent)
	return append(dst, "\"\n"...)
}

// appendRequestLine writes method, target and version, "-" when no request line could be read.
func appendRequestLine(dst []byte, e *Entry, r *redactor) []byte {
	switch {
	case e.Method != message.MethodOther:
		dst = append(dst, e.Method.String()...)
	case len(e.MethodName) > 0:
		dst = escapeCombined(dst, e.MethodName)
	default:
		return append(dst, '-')
	}
	dst = append(dst, ' ')
	dst = r.append(dst, e.Target, escapeCombined)
	if e.Proto == 0 {
		return dst
	}
	dst = append(dst, ' ')
	return append(dst, e.Proto.String()...)
}

func escapedOrDash(dst, s []byte) []byte {
	if len(s) == 0 {
		return append(dst, '-')
	}
	return escapeCombined(dst, s)
}

// escapeCombined writes quotes, backslashes, control and non-ASCII bytes as \xHH in upper case, which is what nginx does since 1.1.6.
func escapeCombined(dst, s []byte) []byte {
	const upperHex = "0123456789ABCDEF"
	start := 0
	for i, c := range s {
		if c >= 0x20 && c < 0x7f && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, s[start:i]...)
		dst = append(dst, '\\', 'x', upperHex[c>>4], upperHex[c&0xf])
		start = i + 1
	}
	return append(dst, s[start:]...)
}

// appendLocalTime writes "02/Jan/2006:15:04:05 -0700" in t's location, by hand: time.AppendFormat reads its layout again for every line.
func appendLocalTime(dst []byte, t time.Time) []byte {
	const months = "JanFebMarAprMayJunJulAugSepOctNovDec"
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	_, offset := t.Zone()
	dst = append(appendPadded(dst, day, 2), '/')
	dst = append(dst, months[3*month-3:3*month]...)
	dst = append(appendPadded(append(dst, '/'), year, 4), ':')
	dst = append(appendPadded(dst, hour, 2), ':')
	dst = append(appendPadded(dst, minute, 2), ':')
	dst = append(appendPadded(dst, second, 2), ' ')
	sign := byte('+')
	if offset < 0 {
		sign, offset = '-', -offset
	}
	dst = appendPadded(append(dst, sign), offset/3600, 2)
	return appendPadded(dst, offset/60%60, 2)
}

// appendTimestamp writes RFC 3339 in UTC with microseconds.
func appendTimestamp(dst []byte, t time.Time) []byte {
	t = t.UTC()
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	dst = append(appendPadded(dst, year, 4), '-')
	dst = append(appendPadded(dst, int(month), 2), '-')
	dst = append(appendPadded(dst, day, 2), 'T')
	dst = append(appendPadded(dst, hour, 2), ':')
	dst = append(appendPadded(dst, minute, 2), ':')
	dst = append(appendPadded(dst, second, 2), '.')
	return append(appendPadded(dst, t.Nanosecond()/1000, 6), 'Z')
}

// appendPadded writes the last width digits of n, which is not negative and fits in them: dates, times and statuses do.
func appendPadded(dst []byte, n, width int) []byte {
	for range width {
		dst = append(dst, '0')
	}
	for i := len(dst) - 1; width > 0; i, width = i-1, width-1 {
		dst[i] = byte('0' + n%10)
		n /= 10
	}
	return dst
}
