package observe

import "github.com/prometheus/client_golang/prometheus"

// newOnDemand makes the counter of names that handshakes brought.
func newOnDemand() *prometheus.CounterVec {
	v := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "weir_tls_on_demand_total",
		Help: "Names without a certificate that clients asked for, by what came of it: obtained, refused (by the ask endpoint, or no public host name), " +
			"no_answer (of that endpoint), limited (by tls.on_demand), busy (too many at once), failed (the CA gave none).",
	}, []string{"result"})
	for _, result := range [...]string{"obtained", "refused", "no_answer", "limited", "busy", "failed"} {
		v.WithLabelValues(result)
	}
	return v
}

// OnDemand counts a name by one of the results that newOnDemand lists.
func (m *Metrics) OnDemand(result string) { m.onDemand.WithLabelValues(result).Inc() }
