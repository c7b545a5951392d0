package proxy

import (
	"time"

	"github.com/valor-ivx/weir/proxy/observe"
)

// record hands the exchange to the flight recorder and to those who watch. It comes behind the answer and allocates nothing: what is kept of texts is copied, what is a name is
// the configuration's.
func (x *Exchange) record(now int64, elapsed time.Duration, taps []*observe.Tap) {
	x.describe(now, elapsed)
	if x.snap.Recorder != nil {
		x.lane++
		x.snap.Recorder.Add(x.lane, &x.recorded)
	}
	for _, tap := range taps {
		if tap.Header != "" {
			if _, has := x.req.Header.Get(tap.Header); !has {
				continue
			}
		}
		tap.Offer(&x.recorded)
	}
}

func (x *Exchange) describe(now int64, elapsed time.Duration) {
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
	r.SetTexts(bareHost(x.req.Host), bare(x.req.Path), x.id)
	x.describePlace(r)
}

// describePlace says how the request came to its group. Without a group a choice was made where only nobody could serve it.
func (x *Exchange) describePlace(r *observe.Recorded) {
	r.Generation, r.Dealt, r.Placed, r.Weight = x.snap.Generation, "", observe.PlacedNowhere, 0
	c := &x.choice
	if x.group == nil && x.reason != NoPeer && x.reason != GroupEvicted || c.assigned < 0 {
		return
	}
	r.Dealt, r.Weight, r.Placed = x.service.Groups[c.assigned].Name, x.service.Shares[c.assigned].Weight, x.service.placed(&c.Placement)
}

// placed is how a placement that Place has made came about.
func (s *Service) placed(p *Placement) observe.Placed {
	switch {
	case p.Forced:
		return observe.PlacedAsked
	case s.Sticky.Source == StickyOff:
		return observe.PlacedDealt
	case s.Sticky.Source == StickyOwn && !p.Known:
		return observe.PlacedNew
	case !p.Known:
		return observe.PlacedUnnamed
	case s.Sticky.Source == StickyOwn:
		return observe.PlacedCookie
	case s.Sticky.Source == StickyHeader:
		return observe.PlacedHeader
	case s.Sticky.Source == StickyCookieOf:
		return observe.PlacedAppCookie
	}
	return observe.PlacedAddress
}
