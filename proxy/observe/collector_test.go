package observe_test

import "github.com/prometheus/client_golang/prometheus"

// blockingCollector holds a scrape until it is released.
type blockingCollector struct{ entered, release chan struct{} }

func (c blockingCollector) Describe(out chan<- *prometheus.Desc) {
	out <- prometheus.NewDesc("test_blocking", "Blocks.", nil, nil)
}

func (c blockingCollector) Collect(out chan<- prometheus.Metric) {
	c.entered <- struct{}{}
	<-c.release
	out <- prometheus.MustNewConstMetric(prometheus.NewDesc("test_blocking", "Blocks.", nil, nil), prometheus.GaugeValue, 1)
}
