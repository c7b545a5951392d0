package observe

import "github.com/prometheus/client_golang/prometheus"

// HTTP2Stats is what the HTTP/2 connections of clients have counted by the time of a scrape.
type HTTP2Stats struct {
	Connections, Streams uint64
	ResetsIn, ResetsOut  uint64 // RST_STREAM received and sent
	Errors, Floods       []HTTP2Stat
}

// HTTP2Stat is one kind of a counter.
type HTTP2Stat struct {
	Kind  string
	Count uint64
}

// http2Collector asks at each scrape, so that streams count nothing twice.
type http2Collector struct {
	connections, streams, resets, errors, floods *prometheus.Desc

	stats func() HTTP2Stats // set once, before the first scrape; nil: nobody speaks HTTP/2
}

func newHTTP2Collector() *http2Collector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	return &http2Collector{
		connections: desc("weir_http2_connections_total", "HTTP/2 connections of clients."),
		streams:     desc("weir_http2_streams_total", "HTTP/2 streams that clients opened."),
		resets:      desc("weir_http2_resets_total", "HTTP/2 streams reset, by client or by weir.", "by"),
		errors: desc("weir_http2_errors_total", "HTTP/2 faults, by kind: goaway (connections ended for one), head_refused (answered 414 or 431), "+
			"malformed (requests reset), stalled (streams whose client opened no window), slow_reader (streams reset, connections ended: min_send_rate), write_timeout, slow_frame, idle (connections ended).", "kind"),
		floods: desc("weir_http2_floods_total", "HTTP/2 connections ended because they flooded, by kind.", "kind"),
	}
}

// SetHTTP2Stats says where scrapes find what HTTP/2 counts. It is called once, before the first scrape.
func (m *Metrics) SetHTTP2Stats(stats func() HTTP2Stats) { m.http2.stats = stats }

// Describe implements prometheus.Collector.
func (c *http2Collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.connections, c.streams, c.resets, c.errors, c.floods} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c *http2Collector) Collect(out chan<- prometheus.Metric) {
	if c.stats == nil {
		return
	}
	s := c.stats()
	out <- counter(c.connections, s.Connections)
	out <- counter(c.streams, s.Streams)
	out <- counter(c.resets, s.ResetsIn, "client")
	out <- counter(c.resets, s.ResetsOut, "weir")
	for _, e := range s.Errors {
		out <- counter(c.errors, e.Count, e.Kind)
	}
	for _, f := range s.Floods {
		out <- counter(c.floods, f.Count, f.Kind)
	}
}
