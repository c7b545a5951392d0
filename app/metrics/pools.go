package metrics

import "github.com/prometheus/client_golang/prometheus"

// poolCollector reads the pools at each scrape.
type poolCollector func() []Pool

// poolDesc are the series of one pool.
type poolDesc struct {
	max, connections, waits, waited *prometheus.Desc
}

func describePools() poolDesc {
	d := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, append([]string{"pool"}, labels...), nil)
	}
	return poolDesc{
		max:         d("valor_db_connections_max", "Most connections the pool may open."),
		connections: d("valor_db_connections", "Open connections by state.", "state"),
		waits:       d("valor_db_waits_total", "Times a caller waited for a connection."),
		waited:      d("valor_db_wait_seconds_total", "Time callers waited for a connection."),
	}
}

// Describe implements prometheus.Collector.
func (c poolCollector) Describe(ch chan<- *prometheus.Desc) {
	d := describePools()
	for _, desc := range []*prometheus.Desc{d.max, d.connections, d.waits, d.waited} {
		ch <- desc
	}
}

// Collect implements prometheus.Collector.
func (c poolCollector) Collect(ch chan<- prometheus.Metric) {
	d := describePools()
	gauge, counter := prometheus.GaugeValue, prometheus.CounterValue
	for _, p := range c() {
		s := p.Stats
		send := func(desc *prometheus.Desc, t prometheus.ValueType, v float64, labels ...string) {
			ch <- prometheus.MustNewConstMetric(desc, t, v, append([]string{p.Name}, labels...)...)
		}
		send(d.max, gauge, float64(s.MaxOpenConnections))
		send(d.connections, gauge, float64(s.InUse), "in_use")
		send(d.connections, gauge, float64(s.Idle), "idle")
		send(d.waits, counter, float64(s.WaitCount))
		send(d.waited, counter, s.WaitDuration.Seconds())
	}
}
