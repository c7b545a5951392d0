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
func appendCombined(l *line, e *Entry, r *redactor) {
	dst := l.text[:0]
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
	dst = append3(dst, e.Status)
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
	l.text = append(dst, "\"\n"...)
}

// appendRequestLine writes method, target and version, "-" when no request line could be read.
func appendRequestLine(dst []byte, e *Entry, r *redactor) []byte {
	switch {
	case e.Method != message.MethodOther:
		dst = append(dst, e.Method.String()...)
	case len(e.MethodName) > 0:
		dst = bounded(dst, e.MethodName, escapeCombined)
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
	return bounded(dst, s, escapeCombined)
}

// escapeCombined writes quotes, backslashes, control and non-ASCII bytes as \xHH in upper case, which is what nginx does since 1.1.6.
func escapeCombined(dst, s []byte) []byte {
	const upperHex = "0123456789ABCDEF"
	for start := 0; ; {
		i := nextUnclean(s, start)
		dst = append(dst, s[start:i]...)
		if i == len(s) {
			return dst
		}
		dst = append(dst, '\\', 'x', upperHex[s[i]>>4], upperHex[s[i]&0xf])
		start = i + 1
	}
}

// appendLocalTime writes "02/Jan/2006:15:04:05 -0700" in t's location, by hand: time.AppendFormat reads its layout again for every line.
func appendLocalTime(dst []byte, t time.Time) []byte {
	const months = "JanFebMarAprMayJunJulAugSepOctNovDec"
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	_, offset := t.Zone()
	dst = append(append2(dst, day), '/')
	dst = append(dst, months[3*month-3:3*month]...)
	dst = append2(append2(append(dst, '/'), year/100), year)
	dst = append2(append(append2(append(append2(append(dst, ':'), hour), ':'), minute), ':'), second)
	sign := byte('+')
	if offset < 0 {
		sign, offset = '-', -offset
	}
	dst = append(dst, ' ', sign)
	return append2(append2(dst, offset/3600), offset/60%60)
}

// appendTimestamp writes RFC 3339 in UTC with microseconds.
func appendTimestamp(dst []byte, t time.Time) []byte { return appendMicros(appendSecond(dst, t), t) }

func appendSecond(dst []byte, t time.Time) []byte {
	t = t.UTC()
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	dst = append(append2(append2(dst, year/100), year), '-')
	dst = append(append2(append(append2(dst, int(month)), '-'), day), 'T')
	return append2(append(append2(append(append2(dst, hour), ':'), minute), ':'), second)
}

func appendMicros(dst []byte, t time.Time) []byte {
	micros := t.Nanosecond() / 1000
	return append(append2(append2(append2(append(dst, '.'), micros/10000), micros/100), micros), 'Z')
}

// append2 writes the last two digits of n, which is not negative.
func append2(dst []byte, n int) []byte {
	return append(dst, byte('0'+n/10%10), byte('0'+n%10))
}

// append3 writes the last three digits of a status.
func append3(dst []byte, n int) []byte {
	return append2(append(dst, byte('0'+n/100%10)), n)
}
