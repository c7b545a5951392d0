package proxy

import "time"

// imfFixdate is the one form of dates that may be sent (RFC 9110 §5.6.7).
const imfFixdate = "Mon, 02 Jan 2006 15:04:05 GMT"

// datedLine is the Date field of one second, ready to send.
type datedLine struct {
	second int64  // of Options.Now
	line   []byte // with CRLF
}

// dateLine is the Date field (RFC 9110 §6.6.1) for answers that have none: our own, and those of an upstream without a clock. It is formatted once
// a second, from the wall clock of that moment: one that is set while weir runs is followed within a second.
func (p *Proxy) dateLine(now int64) []byte {
	second := now / int64(time.Second)
	if d := p.date.Load(); d != nil && d.second == second {
		return d.line
	}
	b := time.Now().UTC().AppendFormat([]byte("Date: "), imfFixdate)
	d := &datedLine{second, append(b, "\r\n"...)}
	p.date.Store(d)
	return d.line
}
