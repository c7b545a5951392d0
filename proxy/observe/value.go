package observe

import "github.com/prometheus/client_golang/prometheus"

type number interface {
	~int | ~int64 | ~uint64 | ~float64
}

// gauge is a sample that a collector gives a scrape.
func gauge[N number](d *prometheus.Desc, v N, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(v), labels...)
}

// counter is gauge for what only grows.
func counter[N number](d *prometheus.Desc, v N, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
}

// flag is a gauge of something that is or is not.
func flag(d *prometheus.Desc, is bool, labels ...string) prometheus.Metric {
	if is {
		return gauge(d, 1, labels...)
	}
	return gauge(d, 0, labels...)
}
