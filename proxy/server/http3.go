package server

import "github.com/valor-ivx/weir/proxy/observe"

// http3Stats is what the HTTP/3 connections of clients have counted, for a scrape.
func (s *Server) http3Stats() observe.HTTP3Stats {
	c := s.http3
	return observe.HTTP3Stats{
		Streams: c.Streams.Load(), Fault: c.Faults.Load(), Flood: c.Floods.Load(), HeadRefused: c.HeadsRefused.Load(),
		Malformed: c.Malformed.Load(), Rejected: c.Rejected.Load(), Slow: c.SlowHeads.Load(),
	}
}

// countStreams says where scrapes find what the protocols with streams count.
func (s *Server) countStreams() {
	s.metrics.SetHTTP2Stats(s.http2Stats)
	s.metrics.SetHTTP3Stats(s.http3Stats)
}
