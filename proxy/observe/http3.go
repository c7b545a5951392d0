package observe

import "github.com/prometheus/client_golang/prometheus"

// HTTP3Stats is what the HTTP/3 connections of clients have counted by the time of a scrape.
type HTTP3Stats struct {
	Streams                                              uint64
	Fault, Flood, HeadRefused, Malformed, Rejected, Slow uint64
}

// http3Collector asks at each scrape, so that streams count nothing twice.
type http3Collector struct {
	streams, errors *prometheus.Desc

	stats func() HTTP3Stats // set once, before the first scrape; nil: nobody speaks HTTP/3
}

func newHTTP3Collector() *http3Collector {
	return &http3Collector{
		streams: prometheus.NewDesc("weir_http3_streams_total", "HTTP/3 requests that clients began.", nil, nil),
		errors: prometheus.NewDesc("weir_http3_errors_total", "HTTP/3 faults, by kind: fault (connections closed for breaking the protocol), flood (connections closed for frames that do nothing), "+
			"head_refused (answered 4xx for their head), malformed (requests reset), rejected (requests behind the last GOAWAY), slow_head (requests reset).", []string{"kind"}, nil),
	}
}

// SetHTTP3Stats says where scrapes find what HTTP/3 counts. It is called once, before the first scrape.
func (m *Metrics) SetHTTP3Stats(stats func() HTTP3Stats) { m.http3.stats = stats }

// Describe implements prometheus.Collector.
func (c *http3Collector) Describe(out chan<- *prometheus.Desc) {
	out <- c.streams
	out <- c.errors
}

// Collect implements prometheus.Collector.
func (c *http3Collector) Collect(out chan<- prometheus.Metric) {
	if c.stats == nil {
		return
	}
	s := c.stats()
	out <- counter(c.streams, s.Streams)
	for _, e := range [...]struct {
		kind  string
		count uint64
	}{{"fault", s.Fault}, {"flood", s.Flood}, {"head_refused", s.HeadRefused}, {"malformed", s.Malformed}, {"rejected", s.Rejected}, {"slow_head", s.Slow}} {
		out <- counter(c.errors, e.count, e.kind)
	}
}
