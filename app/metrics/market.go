package metrics

import "github.com/prometheus/client_golang/prometheus"

// Market is what figures of companies are counted on.
type Market struct {
	Company, Statements, Prices Kind
	// Breaker is 0 closed, 1 half open, 2 open.
	Breaker prometheus.Gauge
}

// Kind is one kind of figures: how what was asked for was answered.
type Kind struct {
	Hit, Miss, Stale, Kept, Unknown, Failed prometheus.Counter
	Visits                                  Visits
}

// Visits are those to the provider, by result.
type Visits struct {
	OK, Unknown, Failed, Refused prometheus.Counter
	Duration                     prometheus.Observer
}

func newMarket(r *prometheus.Registry) *Market {
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "valor_financial_data_requests_total",
		Help: "Figures asked for by kind and result: hit, miss, stale (shown while new ones are fetched), kept (the last known, because the provider failed), unknown, failed."}, []string{"kind", "result"})
	visits := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "valor_provider_requests_total",
		Help: "Visits to the provider of figures by kind and result: ok, unknown, failed, or refused by the circuit breaker."}, []string{"kind", "result"})
	duration := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "valor_provider_request_duration_seconds", Help: "How long visits to the provider took.",
		Buckets: []float64{.001, .01, .05, .1, .25, .5, 1, 2.5, 5, 10}}, []string{"kind"})
	m := &Market{Breaker: prometheus.NewGauge(prometheus.GaugeOpts{Name: "valor_provider_circuit_breaker_state", Help: "Circuit breaker of the provider: 0 closed, 1 half open, 2 open."})}
	r.MustRegister(requests, visits, duration, m.Breaker)
	kind := func(name string) Kind {
		c := func(v *prometheus.CounterVec, result string) prometheus.Counter {
			return v.WithLabelValues(name, result)
		}
		return Kind{
			Hit: c(requests, "hit"), Miss: c(requests, "miss"), Stale: c(requests, "stale"), Kept: c(requests, "kept"), Unknown: c(requests, "unknown"), Failed: c(requests, "failed"),
			Visits: Visits{OK: c(visits, "ok"), Unknown: c(visits, "unknown"), Failed: c(visits, "failed"), Refused: c(visits, "refused"), Duration: duration.WithLabelValues(name)},
		}
	}
	m.Company, m.Statements, m.Prices = kind("company"), kind("statements"), kind("prices")
	return m
}
