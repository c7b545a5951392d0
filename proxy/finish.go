package proxy

import (
	"bytes"
	"time"

	"github.com/valor-ivx/weir/proxy/message"
	"github.com/valor-ivx/weir/proxy/observe"
)

// finish closes the books: metrics on children that were resolved when the snapshot was made, one log line.
func (x *Exchange) finish() {
	l := x.client.listener
	now := x.proxy.options.Now()
	elapsed := x.since(now)
	if !x.counted {
		x.counted = true
		m := x.route.Metrics[l.Index]
		m.Done(x.req.Method, x.req.Proto, x.status, elapsed)
		x.exemplify(m, elapsed)
		if x.group != nil {
			x.group.Metrics.Done(x.status)
		}
		if x.service != nil && x.service.Trial != nil {
			x.credit(now)
		}
		if x.service != nil && x.service.Recent != nil {
			x.remember(now)
		}
	}
	if x.encoder != nil {
		x.endEncoding()
	}
	if x.failed() {
		x.noteFailure(now)
	}
	if x.snap.Access != nil {
		x.log(now, elapsed)
	}
	if taps := x.proxy.options.Taps.Watching(); x.snap.Recorder != nil || taps != nil {
		x.record(now, elapsed, taps)
	}
	if x.placed.request != nil {
		x.trace(now)
	}
	if x.inspection != nil {
		x.endInspection()
	}
	if x.mirror != nil {
		x.reflect()
	}
	x.open = false
	l.Metrics.RequestEnd()
	x.peer = nil // a resting exchange keeps no old peer alive
	x.choice, x.attempt = choice{}, attempt{}
	x.down = nil
	x.snap, x.route, x.service, x.group, x.cause = nil, nil, nil, nil, nil
	x.refusal, x.socket.stream = refusal{}, nil
	x.user = guarded{} // an answer of an authenticator's may be long
}

func (x *Exchange) log(now int64, elapsed time.Duration) {
	e := &x.entry                            // which is empty: field by field spares the copy of half a kilobyte that a literal is
	e.Time, e.Duration = time.Now(), elapsed // not from now: the wall clock may have been set since the process began
	e.Client, e.Source = x.who.ip, x.client.ip
	e.Method, e.MethodName, e.Target, e.Host, e.Proto = x.req.Method, x.req.MethodName, x.req.Target, x.req.Host, x.req.Proto
	e.RequestID, e.BytesIn, e.BytesOut, e.Status = x.id, x.down.Received(), x.sent, x.status
	e.Listener, e.Route, e.Attempts, e.Reason = x.client.listener.Name, x.route.Name, x.attempts, x.reason.String()
	e.GRPCStatus = x.rpc.status
	x.whereabouts(e)
	if s := x.client.session; s != nil {
		e.TLSVersion, e.ServerName = s.Version, s.ServerName
		if c := s.Client(); c != nil {
			e.ClientSubject = c.Subject
		}
	}
	if i := x.req.Header.Find(message.Referer, 0); i >= 0 {
		e.Referer = x.req.Header.At(i).Value()
	}
	if i := x.req.Header.Find(message.UserAgent, 0); i >= 0 {
		e.UserAgent = x.req.Header.At(i).Value()
	}
	e.User = x.user.verdict.User
	if x.inspection != nil {
		e.WAFRules = x.inspection.Rules()
	}
	if i := bytes.IndexByte(x.req.Target, '?'); i >= 0 && x.user.verdict.Private {
		e.Target = x.req.Target[:i]
	}
	if x.service != nil {
		e.Service = x.service.Name
	}
	if x.group != nil {
		e.Group = x.group.Name
	}
	if x.peer != nil {
		e.Peer = x.peer.Address()
		if x.headAt > 0 {
			e.UpstreamStatus = x.status
			e.UpstreamDuration = time.Duration(now - x.start)
		}
	}
	// What went wrong upstream, of which the reason alone says little, as of a login that failed.
	if err, ok := x.cause.(*Error); ok && (err.Status >= 500 || x.user.verdict.Denial != nil) && err.Err != nil {
		e.Error = err.Err.Error()
	}
	x.snap.Access.Log(e)
	*e = observe.Entry{}
}
