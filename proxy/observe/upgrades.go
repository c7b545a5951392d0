package observe

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// upgrades counts what the whole line of processes has seen, each of which takes the figures over from the one before.
type upgrades struct {
	desc         *prometheus.Desc
	done, failed atomic.Uint64 // written by SetUpgrades, read by scrapes
}

func newUpgrades() *upgrades {
	return &upgrades{desc: prometheus.NewDesc("weir_upgrades_total",
		"Upgrades of the running program since the first process of the line: done, and failed, after which the process before went on.", []string{"result"}, nil)}
}

// Describe implements prometheus.Collector.
func (u *upgrades) Describe(ch chan<- *prometheus.Desc) { ch <- u.desc }

// Collect implements prometheus.Collector.
func (u *upgrades) Collect(ch chan<- prometheus.Metric) {
	ch <- counter(u.desc, u.done.Load(), "done")
	ch <- counter(u.desc, u.failed.Load(), "failed")
}

// SetUpgrades says how many upgrades were done and failed in the line of processes that this one ends.
func (m *Metrics) SetUpgrades(done, failed uint64) {
	m.upgrades.done.Store(done)
	m.upgrades.failed.Store(failed)
}
