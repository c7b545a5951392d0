package http2

import (
	"errors"
	"os"
	"time"
)

const (
	lingerTime  = time.Second // a client that has not read a GOAWAY in that time is not reading
	lingerBytes = 1 << 20
)

// linger reads on for a moment after our side is shut: closing on unread data resets the connection and can destroy what is on its way, as a GOAWAY (RFC 9112 §9.6). gently says
// that nobody has done wrong. Then a client that is still taking its last answer, of which the kernel holds megabytes, is listened to for as long as it takes some of it in every
// lingerTime, and WriteTimeout at most: what it says meanwhile, that it has room for more, would be that unread data.
func (c *Conn) linger(gently bool) {
	half, ok := c.conn.(interface{ CloseWrite() error }) // TCP and TLS both
	begin, left := time.Now(), untaken(c.conn)
	if !ok || half.CloseWrite() != nil || c.conn.SetReadDeadline(begin.Add(lingerTime)) != nil {
		return
	}
	sink := borrow(smallBlock)
	defer giveBack(sink)
	for total := 0; total < lingerBytes; {
		n, err := c.conn.Read(sink.buf)
		if total += n; err == nil {
			continue
		}
		before, now := left, time.Now()
		left = untaken(c.conn)
		if !gently || !errors.Is(err, os.ErrDeadlineExceeded) || left == 0 || left >= before || now.Sub(begin) >= c.o.WriteTimeout {
			return
		}
		if c.conn.SetReadDeadline(now.Add(lingerTime)) != nil {
			return
		}
	}
}
