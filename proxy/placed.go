package proxy

import (
	"strings"
	"time"

	"github.com/valor-ivx/weir/proxy/message"
	"github.com/valor-ivx/weir/proxy/observe"
	"github.com/valor-ivx/weir/proxy/trace"
	"github.com/valor-ivx/weir/upstream"
)

// Tracing is how requests take part in traces. It never changes; what it leads to outlives it.
type Tracing struct {
	Sampler *trace.Sampler
	Tracer  *trace.Tracer
	Callers Callers
}

// Callers are those whose traces are gone on with; for others' requests a trace begins here.
type Callers uint8

// The kinds of callers.
const (
	AnyCaller Callers = iota
	TrustedCallers
	NoCaller
)

// placed is an exchange's place in a trace. Without Tracing it is off, and traceparent is forwarded as any other field.
type placed struct {
	on      bool
	context trace.Context  // of the trace; Span is the caller's, zero for none
	span    trace.SpanID   // our own
	request *trace.Request // nil: not sampled
}

// takePlace finds the request's place, when its head has been read and it is known who sent it. From here on a request that is not sampled differs from one without Tracing by one line for
// its upstream.
func (x *Exchange) takePlace(t *Tracing) {
	p, h := &x.placed, &x.req.Header
	p.on, p.context, p.span = true, trace.Context{}, trace.NewSpanID()
	known := false
	if t.Callers == AnyCaller || t.Callers == TrustedCallers && x.who.proxied {
		p.context, known = trace.Parse(lone(h, message.Traceparent))
	}
	var state trace.State
	for i := h.Find(message.Tracestate, 0); i >= 0 && known; i = h.Find(message.Tracestate, i+1) {
		state.Add(h.At(i).Value())
	}
	drop(h, message.Traceparent) // prepare writes ours
	if !known || !state.Valid() {
		drop(h, message.Tracestate)
	}
	sampled := false
	if known {
		sampled = t.Sampler.Child(&p.context, x.start)
	} else {
		p.context.Trace = trace.NewID()
		sampled = t.Sampler.Root(p.context.Trace, x.start)
	}
	if p.context.Flags &^= trace.FlagSampled; sampled {
		p.context.Flags |= trace.FlagSampled
		p.request = &trace.Request{State: x.traceState()}
	}
}

// drop removes every field with this ID.
func drop(h *message.Header, id message.ID) {
	for i := h.Find(id, 0); i >= 0; i = h.Find(id, i) {
		h.Remove(i)
	}
}

// longestState is how much of a tracestate a span is given: what W3C asks everybody to carry.
const longestState = 512

// traceState is the request's tracestate, "" for a long one, which is forwarded all the same.
func (x *Exchange) traceState() string {
	var b strings.Builder
	for i := x.req.Header.Find(message.Tracestate, 0); i >= 0; i = x.req.Header.Find(message.Tracestate, i+1) {
		v := x.req.Header.At(i).Value()
		if b.Len()+len(v) >= longestState {
			return ""
		}
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		b.Write(v)
	}
	return b.String()
}

// appendPlace appends the line that tells the upstream its place below a span.
func (p *placed) appendPlace(b []byte, span trace.SpanID) []byte {
	c := p.context
	c.Span = span
	return append(c.Append(append(b, "traceparent: "...)), "\r\n"...)
}

// waited notes a wait for others that ends now.
func (x *Exchange) waited(name string, from int64) {
	if r := x.placed.request; r != nil {
		r.Waits = append(r.Waits, trace.Wait{Name: name, From: from, To: x.proxy.options.Now()})
	}
}

// traced gives an attempt of a sampled request its span.
func (t *attempt) traced(hedge bool) {
	r := t.x.placed.request
	if r == nil {
		return
	}
	t.span = &trace.Attempt{
		Span: trace.NewSpanID(), Group: t.group.Name, Address: t.peer.Address(), Secure: t.x.service.Secure, Began: t.began, Hedge: hedge,
	}
	r.Attempts = append(r.Attempts, t.span)
}

// traceSay notes that the request is said and appends its place to the lines said with it.
func (t *attempt) traceSay(own []byte) []byte {
	t.span.Said, t.span.Reused = t.x.proxy.options.Now(), t.conn.Reused()
	return t.x.placed.appendPlace(own, t.span.Span)
}

// traceEnd notes the attempt's end.
func (t *attempt) traceEnd(now int64, outcome upstream.Outcome) {
	s := t.span
	s.End, s.Outrun = now, outcome == upstream.Outrun
	s.Failed = outcome != upstream.Success && outcome != upstream.Aborted && !s.Outrun
}

// longest texts of clients that a span is given, in bytes.
const (
	longestURLPath = 512
	longestAgent   = 256
)

func cut(b []byte, most int) string { return string(b[:min(len(b), most)]) }

// trace hands a sampled request over. It allocates: the request was chosen.
func (x *Exchange) trace(now int64) {
	r := x.placed.request
	x.placed.request = nil
	r.Context, r.Span, r.Wall, r.Clock, r.Start, r.End = x.placed.context, x.placed.span, time.Now(), now, x.start, now
	r.Client, r.Proto, r.Method, r.MethodName, r.Secure = x.who.ip, x.req.Proto, x.req.Method, cut(x.req.MethodName, len(r.Span)*4), x.who.secure
	if x.client.ip != x.who.ip {
		r.Source = x.client.ip
	}
	r.Host, r.Path, r.ID = cut(x.req.Host, longestAgent), cut(bare(x.req.Path), longestURLPath), string(x.id)
	if i := x.req.Header.Find(message.UserAgent, 0); i >= 0 {
		r.UserAgent = cut(x.req.Header.At(i).Value(), longestAgent)
	}
	r.Status, r.Reason, r.Failed, r.BytesIn, r.BytesOut = x.status, x.reason.String(), x.failed(), x.down.Received(), x.sent
	r.Listener, r.Route, r.Pattern = x.client.listener.Name, x.route.Name, x.route.Pattern
	if x.service != nil {
		r.Service = x.service.Name
	}
	if x.group != nil {
		r.Group = x.group.Name
	}
	x.snap.Tracing.Tracer.Add(r)
}

// whereabouts tells the log where the request is in a trace: where weir put it, or, without Tracing, where its caller says it is.
func (x *Exchange) whereabouts(e *observe.Entry) {
	switch {
	case x.placed.on:
		e.Trace, e.Span = x.placed.context.Trace, x.placed.span
	case x.snap.Tracing == nil:
		if c, ok := trace.Parse(lone(&x.req.Header, message.Traceparent)); ok {
			e.Trace = c.Trace
		}
	}
}
