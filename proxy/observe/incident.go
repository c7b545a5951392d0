package observe

// Incident counts a rollback whose circumstances were kept, or could not be.
func (m *Metrics) Incident(kept bool) {
	if kept {
		m.incidents[0].Inc()
		return
	}
	m.incidents[1].Inc()
}
