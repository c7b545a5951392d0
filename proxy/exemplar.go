package proxy

import (
	"time"

	"github.com/valor-ivx/weir/proxy/message"
	"github.com/valor-ivx/weir/proxy/observe"
	"github.com/valor-ivx/weir/proxy/trace"
)

// exemplify names the trace of a request that was just counted, if somebody has recorded it: weir, or, without Tracing, its caller. Any other request pays for a look at its head.
func (x *Exchange) exemplify(m *observe.Route, took time.Duration) {
	c := x.placed.context
	if !x.placed.on {
		var ok bool
		if c, ok = trace.Parse(lone(&x.req.Header, message.Traceparent)); !ok || x.snap.Tracing != nil {
			return
		}
	}
	if c.Sampled() {
		m.Traced(took, c.Trace, time.Now())
	}
}
