package observe

import "github.com/prometheus/client_golang/prometheus"

// logCounters are what the logs lost, and what they were told to leave out.
type logCounters struct{ dropped, audit, sampled prometheus.Counter }

func newLogCounters() logCounters {
	return logCounters{
		dropped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "weir_log_dropped_total",
			Help: "Log lines lost because the output was stalled or failed. Requests never wait for the log.",
		}),
		audit: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "weir_audit_log_dropped_total",
			Help: "Lines of the audit log lost because its own output ([log] audit) was stalled or failed. Without one they count as log lines.",
		}),
		sampled: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "weir_log_sampled_out_total",
			Help: "Access lines that were not written because [log] sample leaves them out. None of them is a loss.",
		}),
	}
}

func (c logCounters) collectors() []prometheus.Collector {
	return []prometheus.Collector{c.dropped, c.audit, c.sampled}
}

// LogDropped adds lost log lines; it is what SinkOptions.OnDrop is set to.
func (m *Metrics) LogDropped(lines int) { m.logs.dropped.Add(float64(lines)) }

// AuditDropped adds lost lines of an audit log with an output of its own.
func (m *Metrics) AuditDropped(lines int) { m.logs.audit.Add(float64(lines)) }

// LogSampledOut counts an access line that sampling left out; it is what Sampling.OnLeftOut is set to.
func (m *Metrics) LogSampledOut() { m.logs.sampled.Inc() }
