package http1

import (
	"bytes"
	"time"
)

// Begins reports whether the connection begins with preface, another protocol's. Wait has seen its first byte; more is waited for only while what has come is
// the preface's beginning, which no request's first bytes are for long. If so, early is all that was read, and the connection is the caller's: this ServerConn
// is not used again.
func (c *ServerConn) Begins(preface string) (early []byte, yes bool) {
	for waited := false; len(c.in.buffered()) < len(preface); waited = true {
		b := c.in.buffered()
		if string(b) != preface[:len(b)] {
			return nil, false
		}
		if !waited && c.in.within(time.Now(), c.options.HeaderTimeout) != nil || c.in.fill() != nil {
			return nil, false // what follows is for ReadRequest to find
		}
	}
	if !bytes.HasPrefix(c.in.buffered(), []byte(preface)) {
		return nil, false
	}
	early = bytes.Clone(c.in.buffered())
	c.in.drop()
	_ = c.conn.SetReadDeadline(time.Time{}) // on a closed connection the next read tells
	return early, true
}
