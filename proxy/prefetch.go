package proxy

import (
	"time"

	"github.com/valor-ivx/weir/proxy/http1"
	"github.com/valor-ivx/weir/proxy/message"
)

// prefetch waits for the first bytes of a streaming body, until most of them are held or the body has ended. It comes before send, while nobody else reads.
func (u *upload) prefetch(x *Exchange, most int) *Error {
	if err := x.invite(); err != nil {
		return err
	}
	for u.held < most && !u.body.Complete() {
		if u.held == len(u.buf) {
			u.buf = append(make([]byte, 0, most), u.buf...)[:most]
		}
		begin := x.proxy.options.Now()
		if err := x.awaitBody(); err != nil {
			return clientError(err)
		}
		n, err := u.body.Read(u.buf[u.held:min(most, len(u.buf))])
		u.held += n
		switch {
		case err != nil && !u.body.Complete():
			return clientError(err)
		case u.limit >= 0 && u.body.Received() > u.limit:
			return errBodyLarge
		case u.slow.waited(time.Duration(x.proxy.options.Now()-begin), int64(n)) && !u.body.Complete():
			return errSlowBody
		}
	}
	return nil
}

// invite answers a client that waits for a 100 before it sends its body (RFC 9110 §10.1.1), in place of the upstream, which is not asked yet and then hears of
// no expectation.
func (x *Exchange) invite() *Error {
	if !x.req.Expect {
		return nil
	}
	x.req.Expect = false
	if i := x.req.Header.Find(message.Expect, 0); i >= 0 {
		x.req.Header.Remove(i)
	}
	x.resp.Reset()
	x.resp.Status, x.resp.Reason = 100, []byte(http1.StatusText(100))
	return x.interim()
}
