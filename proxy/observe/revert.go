package observe

import "github.com/prometheus/client_golang/prometheus"

// newReverts is the family of configurations that were taken back.
func newReverts() *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "weir_config_reverts_total",
		Help: "Configurations put in force by weir reload --confirm that were taken back unconfirmed (success), or could not be (failure).",
	}, []string{"result"})
}

// Revert counts an attempt to take a configuration back. One that was taken back is not in force, as one that was refused is not.
func (m *Metrics) Revert(done bool) {
	if !done {
		m.reverts[1].Inc()
		return
	}
	m.reverts[0].Inc()
	m.lastGood.Set(0)
}
