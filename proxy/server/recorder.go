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
	now, clock := time.Now(), c.s.registry.Now()
	found := c.s.current.Load().snapshot.Recorder.Read(observe.Query{Slow: q.Slow, Failed: q.Failed, Service: q.Service, Route: q.Route, Group: q.Group, Limit: q.Limit})
	return admin.Requests{Requests: describeRecorded(found, now, clock)}
}

// describeRecorded is what was recorded as the admin API shows it. clock is the proxy's at now.
func describeRecorded(found []observe.Recorded, now time.Time, clock int64) []admin.RequestSummary {
	list := make([]admin.RequestSummary, len(found))
	for i := range found {
		r := &found[i]
		list[i] = admin.RequestSummary{
			At: now.Add(-time.Duration(clock - r.End)).UTC(), Client: r.Client.String(), Method: r.Method(), Host: r.Host(), Path: r.Path(), Proto: r.Proto.String(), Status: r.Status,
			Reason: r.Reason, Listener: r.Listener, Route: r.Route, Service: r.Service, Group: r.Group, Target: r.Peer, Assigned: r.Assigned, FailedIn: r.FailedIn,
			DurationUS: r.Duration.Microseconds(), HeadUS: r.Head.Microseconds(), BytesIn: r.BytesIn, BytesOut: r.BytesOut, Attempts: r.Attempts,
			Slow: r.Slow, Failed: r.Failed, RequestID: r.RequestID(), Sampled: r.Sampled,
		}
		if r.Trace != [16]byte{} {
			list[i].TraceID = hex.EncodeToString(r.Trace[:])
		}
	}
	return list
}
