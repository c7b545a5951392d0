package proxy

import (
	"github.com/valor-ivx/weir/proxy/message"
	"github.com/valor-ivx/weir/proxy/observe"
	"github.com/valor-ivx/weir/proxy/waf"
)

// Shield is a route's WAF.
type Shield struct {
	WAF     *waf.WAF
	Metrics *observe.WAF
}

// inspect has the request judged. It is where a request waits for its client, up to as much of its body as is inspected, and for its turn. A call's or a
// WebSocket's messages are a conversation, which cannot be waited for: of them the head is judged alone.
func (x *Exchange) inspect(s *Shield) *Error {
	body := x.req.Framing != message.None && !x.rpc.call && !x.req.Upgrade && x.socket.stream == nil
	x.inspection = s.WAF.Begin(waf.Request{Request: &x.req, Client: x.who.ip, ID: string(x.id)})
	if !x.inspection.Head(body) {
		return x.shielded()
	}
	if !body || x.inspection.Judged() {
		return nil
	}
	u := &x.upload
	u.begin(x)
	b := u.whole
	if u.stream {
		if err := u.prefetch(x, s.WAF.MaxBody); err != nil {
			return err
		}
		b = u.buf[:u.held]
	}
	if !x.inspection.Body(b) {
		return x.shielded()
	}
	return nil
}

// inspectAnswer has the head of an upstream's answer judged.
func (x *Exchange) inspectAnswer() *Error {
	if x.resp.Status == 101 || x.inspection.Answer(&x.resp) {
		return nil
	}
	return x.shielded()
}

var errBlocked = &Error{403, WAFBlocked, nil}

func (x *Exchange) shielded() *Error {
	if err := x.inspection.Failed(); err != nil {
		return &Error{503, WAFFailed, err}
	}
	return errBlocked
}

// endInspection closes the books of one.
func (x *Exchange) endInspection() {
	x.route.Shield.Metrics.Decided(uint8(x.inspection.Decision()))
	x.inspection.End()
	x.inspection = nil
}
