package proxy

import "time"

// record hands the exchange to the flight recorder. It comes behind the answer and allocates nothing: what is kept of texts is copied, what is a name is the configuration's.
func (x *Exchange) record(now int64, elapsed time.Duration) {
	r := &x.recorded
	r.End, r.Duration, r.Head = now, elapsed, 0
	if x.headAt > 0 {
		r.Head = time.Duration(x.headAt - x.start)
	}
	r.Client, r.Proto, r.Status, r.Reason, r.Failed = x.who.ip, x.req.Proto, x.status, x.reason.String(), x.failed()
	r.Listener, r.Route, r.Service, r.Group, r.Assigned, r.Peer = x.client.listener.Name, x.route.Name, "", "", "", ""
	r.FailedIn = ""
	r.Trace, r.Sampled = [16]byte{}, false
	if x.placed.on {
		r.Trace, r.Sampled = x.placed.context.Trace, x.placed.context.Sampled()
	}
	r.BytesIn, r.BytesOut, r.Attempts = x.down.Received(), x.sent, x.attempts
	if x.service != nil {
		r.Service = x.service.Name
		if x.service.Trial != nil && x.attempts > 0 && x.hearing.counted {
			r.Assigned = x.service.Groups[x.choice.assigned].Name
			if x.hearing.failed {
				r.FailedIn, r.Failed = r.Assigned, true
			}
		}
	}
	if x.group != nil {
		r.Group = x.group.Name
	}
	if x.peer != nil {
		r.Peer = x.peer.Address()
	}
	if method := x.req.MethodName; len(method) > 0 {
		r.SetMethod(method)
	} else {
		r.SetMethodName(x.req.Method.String())
	}
	r.SetTexts(x.req.Host, bare(x.req.Path), x.id)
	x.lane++
	x.snap.Recorder.Add(x.lane, r)
}
