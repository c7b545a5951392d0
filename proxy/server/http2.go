package server

import (
	"github.com/valor-ivx/weir/proxy/http2"
	"github.com/valor-ivx/weir/proxy/observe"
)

// http2Stats is what the HTTP/2 connections of clients have counted, for a scrape.
func (s *Server) http2Stats() observe.HTTP2Stats {
	c := s.http2
	out := observe.HTTP2Stats{
		Connections: c.Connections.Load(), Streams: c.Streams.Load(), ResetsIn: c.ResetsIn.Load(), ResetsOut: c.ResetsOut.Load(),
		Errors: []observe.HTTP2Stat{
			{Kind: "goaway", Count: c.GoAways.Load()}, {Kind: "head_refused", Count: c.HeadsRefused.Load()},
			{Kind: "malformed", Count: c.Malformed.Load()}, {Kind: "stalled", Count: c.Stalls.Load()}, {Kind: "slow_reader", Count: c.SlowReaders.Load()},
			{Kind: "write_timeout", Count: c.WriteTimeouts.Load()}, {Kind: "slow_frame", Count: c.SlowFrames.Load()}, {Kind: "idle", Count: c.Idle.Load()},
		},
	}
	for kind := range http2.FloodKinds {
		out.Floods = append(out.Floods, observe.HTTP2Stat{Kind: kind.String(), Count: c.Floods[kind].Load()})
	}
	return out
}
