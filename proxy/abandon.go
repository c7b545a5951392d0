package proxy

import (
	"go.uber.org/zap"

	"github.com/valor-ivx/weir/proxy/observe"
	"github.com/valor-ivx/weir/upstream"
)

// abandon closes the books of an exchange whose goroutine panicked: the peer's and the service's counts, the upstream connection, the body's goroutine and buffer,
// metrics and log. It runs on that goroutine, while it recovers; the exchange is not used again. A bug in here must not take the process with it either.
func (x *Exchange) abandon() {
	if !x.open {
		return
	}
	defer func() {
		if bug := recover(); bug != nil {
			x.client.panicked(bug)
			if x.open {
				x.client.listener.Metrics.RequestEnd()
			}
		}
	}()
	defer x.leave() // whatever happens to the rest
	defer x.countOut()
	if x.waiter != nil {
		x.unqueue()
	}
	x.abandonHedge()
	x.attempt.abandon()
	x.upload.release(x)
	if !x.began {
		x.status = 500
	}
	if x.reason == ReasonNone {
		x.reason = Internal
	}
	x.finish()
}

// abandon takes an attempt that never ended out of the books: it says nothing about the peer.
func (t *attempt) abandon() {
	if !t.open {
		return
	}
	t.done(t.began, 0, upstream.Aborted)
	if t.conn != nil {
		t.leave()
		t.conn.Break() // first, so that a body's goroutine does not go on
		_ = t.x.upload.join(t.x)
		t.conn.End(false, false, 0)
		t.conn = nil
	}
}

// panicked tells of a bug.
func (c *client) panicked(bug any) {
	c.proxy.options.Logger.Error("panic in an exchange", zap.Any("weir.panic", bug), zap.String(observe.KeyClientIP, string(c.address)), zap.Stack(observe.KeyStack))
}
