package metrics

import "github.com/prometheus/client_golang/prometheus"

// Sockets is what the collaboration's connections count on.
type Sockets struct {
	Open, Documents prometheus.Gauge
	In, Out         prometheus.Counter // messages
	Batches         Batches
	Closed          Closed
	Refused         Refused
}

// Batches are the results of writes.
type Batches struct{ OK, Repeated, Refused, Failed prometheus.Counter }

// Closed are why connections ended.
type Closed struct{ Client, Slow, Silent, Policy, Expired, Shutdown prometheus.Counter }

// Refused are why connections did not come about.
type Refused struct{ Full, Draining, Origin, Unauthorized prometheus.Counter }

func newSockets(r *prometheus.Registry) *Sockets {
	vec := func(name, help, label string) func(string) prometheus.Counter {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{label})
		r.MustRegister(v)
		return func(value string) prometheus.Counter { return v.WithLabelValues(value) }
	}
	messages := vec("valor_websocket_messages_total", "Messages of collaboration by direction.", "direction")
	batches := vec("valor_collaboration_batches_total", "Writes to shared documents by result: ok, repeated (written before), refused, or failed for a fault of ours.", "result")
	closed := vec("valor_websocket_closed_total", "Connections that ended, by reason: client, slow (did not read), silent (no pong), policy (too much or not text), "+
		"expired (its token), shutdown.", "reason")
	refused := vec("valor_websocket_refused_total", "Connections that did not come about, by reason: full, draining, origin, unauthorized.", "reason")
	s := &Sockets{
		Open:      prometheus.NewGauge(prometheus.GaugeOpts{Name: "valor_websocket_connections", Help: "Open connections of collaboration."}),
		Documents: prometheus.NewGauge(prometheus.GaugeOpts{Name: "valor_collaboration_documents", Help: "Documents that somebody of this instance has open."}),
		In:        messages("in"), Out: messages("out"),
		Batches: Batches{batches("ok"), batches("repeated"), batches("refused"), batches("failed")},
		Closed:  Closed{closed("client"), closed("slow"), closed("silent"), closed("policy"), closed("expired"), closed("shutdown")},
		Refused: Refused{refused("full"), refused("draining"), refused("origin"), refused("unauthorized")},
	}
	r.MustRegister(s.Open, s.Documents)
	return s
}
