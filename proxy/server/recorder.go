package server

import (
	"encoding/hex"
	"time"

	"github.com/valor-ivx/weir/configs"
	"github.com/valor-ivx/weir/proxy/admin"
	"github.com/valor-ivx/weir/proxy/observe"
)

// recorderOf is the flight recorder that a configuration wants: the one in force goes on if it is that, another one begins empty. Under Server.mu.
func (s *Server) recorderOf(c configs.Recorder) *observe.Recorder {
	o := observe.RecorderOptions{Requests: c.Requests, Slow: c.Slow}
	switch {
	case c.Requests == 0:
		s.recorder = nil
	case s.recorder == nil || s.recorder.Options() != o:
		s.recorder = observe.NewRecorder(o)
	}
	return s.recorder
}

// Requests implements admin.Control.
func (c control) Requests(q admin.RequestQuery) admin.Requests {
	t := c.s.teller()
	list := []admin.RequestSummary{}
	for _, r := range t.g.snapshot.Recorder.Read(recorderQuery(q)) {
		list = append(list, t.tell(&r))
	}
	return admin.Requests{Requests: list}
}

func recorderQuery(q admin.RequestQuery) observe.Query {
	return observe.Query{
		Slow: q.Slow, Failed: q.Failed, Service: q.Service, Route: q.Route, Group: q.Group, Method: q.Method, Path: q.Path, Client: q.Client, Status: q.Status, Took: q.MinDuration,
		ID: q.ID, Limit: q.Limit,
	}
}

// teller puts requests that have ended into the admin API's words, by the configuration in force and the clocks as they are when it is made.
type teller struct {
	g     *generation
	now   time.Time
	clock int64 // the proxy's at now
}

func (s *Server) teller() teller { return teller{s.current.Load(), time.Now(), s.registry.Now()} }

func (t *teller) tell(r *observe.Recorded) admin.RequestSummary {
	summary := admin.RequestSummary{
		At: t.now.Add(-time.Duration(t.clock - r.End)).UTC(), Client: r.Client.String(), Method: r.Method(), Host: r.Host(), Path: r.Path(), Proto: r.Proto.String(), Status: r.Status,
		Reason: r.Reason, Listener: r.Listener, Generation: r.Generation, Route: r.Route, RouteWhy: t.g.routeWhy(r), Service: r.Service, GroupWhy: t.g.groupWhy(r),
		Group: r.Group, Target: r.Peer, Dealt: r.Dealt, Assigned: r.Assigned, FailedIn: r.FailedIn,
		DurationUS: r.Duration.Microseconds(), HeadUS: r.Head.Microseconds(), BytesIn: r.BytesIn, BytesOut: r.BytesOut, Attempts: r.Attempts,
		Slow: r.Slow, Failed: r.Failed, RequestID: r.RequestID(), Sampled: r.Sampled,
	}
	if r.Trace != [16]byte{} {
		summary.TraceID = hex.EncodeToString(r.Trace[:])
	}
	return summary
}
