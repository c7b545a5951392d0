package proxy

import (
	"github.com/valor-ivx/weir/proxy/header"
	"github.com/valor-ivx/weir/proxy/message"
)

// appendPolicy applies the route's policy for response fields to a final response and appends the lines that it writes. A 101 is left alone: what follows it
// is another protocol.
func (x *Exchange) appendPolicy(b []byte, resp *message.Response) []byte {
	p := x.policy()
	if p == nil || resp.Status == 101 {
		return b
	}
	nonced := p.Nonced()
	if nonced && resp.Status == 304 {
		p, nonced = p.Unmodified(), false
	}
	start := len(b)
	if x.ours {
		b = p.Answer(b, &resp.Header, x.who.secure)
	} else {
		b = p.Forward(b, &resp.Header, x.who.secure)
	}
	if nonced {
		header.Fill(b[start:], x.nonced())
	}
	return b
}

// policy is the route's own, or the one of the listener that the request came in by; nil: none.
func (x *Exchange) policy() *header.Policy {
	if i := x.client.listener.Index; i < len(x.route.Headers) {
		return x.route.Headers[i]
	}
	return nil
}
