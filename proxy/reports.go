package proxy

import (
	"time"

	"github.com/valor-ivx/weir/proxy/csp"
	"github.com/valor-ivx/weir/proxy/message"
	"github.com/valor-ivx/weir/proxy/route"
)

// Reports is where browsers report to. It is asked before routes are: a page's host may have no route for the path.
type Reports struct {
	Table    *route.Table // of exact paths, for the hosts whose pages name them
	Policies []string     // by the table's indices
	Sink     *csp.Collector
}

// policyOf is the policy that the exchange's request reports on; "" is no report.
func (r *Reports) policyOf(x *Exchange) string {
	if x.req.Method != message.POST {
		return ""
	}
	if i := r.Table.Match(x.req.Host, x.path); i >= 0 {
		return r.Policies[i]
	}
	return ""
}

// collect takes a report in: nobody else is asked, and nothing is kept of it but what csp keeps.
func (x *Exchange) collect() *Error {
	if wait := x.snap.Reports.Sink.Admit(x.who.ip, x.proxy.wall(x.start)); wait > 0 {
		x.refusal = refusal{retry: wait}
		return errLimited
	}
	if x.req.Framing == message.Length && x.req.ContentLength > csp.MaxBody {
		return errBodyLarge
	}
	body, err := x.readWhole()
	if err != nil {
		return err
	}
	contentType := ""
	if i := x.req.Header.Find(message.ContentType, 0); i >= 0 {
		contentType = string(x.req.Header.At(i).Value())
	}
	switch err := x.snap.Reports.Sink.Take(x.reportOn, contentType, body, time.Now()); err {
	case nil:
	case csp.ErrType:
		return &Error{415, BadRequest, err}
	default:
		return &Error{400, BadRequest, err}
	}
	x.resp.Reset()
	return x.reply(204, nil)
}

// readWhole reads a body that must fit the replay buffer into it. It is where a request waits for its client.
func (x *Exchange) readWhole() ([]byte, *Error) {
	u := &x.upload
	u.begin(x)
	if !u.stream {
		return u.whole, nil
	}
	if err := u.prefetch(x, replayLimit); err != nil {
		return nil, err
	}
	if !u.body.Complete() {
		return nil, errBodyLarge
	}
	return u.buf[:u.held], nil
}
