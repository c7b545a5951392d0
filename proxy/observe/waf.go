package observe

import (
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// WAF counts what one WAF decided. Its methods are safe for concurrent use and allocate nothing.
type WAF struct {
	decided []prometheus.Counter // by decision; read-only
}

// Decided counts one request, by the index of its decision in SetWAFs.
func (w *WAF) Decided(decision uint8) { w.decided[decision].Inc() }

// wafVecs are the series of all WAFs.
type wafVecs struct {
	total *prometheus.CounterVec
	good  *prometheus.Desc
	stats func() []GuardStat // set once, before the first scrape; nil: none

	mu   sync.Mutex // guards wafs
	wafs map[string]*WAF
}

func newWAFVecs() *wafVecs {
	return &wafVecs{
		wafs: map[string]*WAF{},
		total: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_waf_decisions_total",
			Help: "Requests that a WAF judged, by what it decided: allowed, partial (allowed, of which only the beginning was inspected), detected (would have been blocked), blocked, " +
				"failed_open and failed_closed (could not be judged).",
		}, []string{"waf", "decision"}),
		good: prometheus.NewDesc("weir_waf_last_reload_successful",
			"1 if the rules of a WAF were good when they were last read, 0 if they had a mistake and those before are in force.", []string{"waf"}, nil),
	}
}

// SetWAFs makes the series of these WAFs and decisions, at 0 where they are new, and removes those of all others. The handle of each is the same as long as it is named.
func (m *Metrics) SetWAFs(names, decisions []string) map[string]*WAF {
	v := m.waf
	v.mu.Lock()
	defer v.mu.Unlock()
	for name := range v.wafs {
		if !slices.Contains(names, name) {
			v.total.DeletePartialMatch(prometheus.Labels{"waf": name})
			delete(v.wafs, name)
		}
	}
	handles := map[string]*WAF{}
	for _, name := range names {
		if v.wafs[name] == nil {
			w := &WAF{}
			for _, d := range decisions {
				w.decided = append(w.decided, v.total.WithLabelValues(name, d))
			}
			v.wafs[name] = w
		}
		handles[name] = v.wafs[name]
	}
	return handles
}

// SetWAFStats says where scrapes find how the rules of WAFs were. It is called once, before the first scrape.
func (m *Metrics) SetWAFStats(stats func() []GuardStat) { m.waf.stats = stats }

// Describe implements prometheus.Collector.
func (v *wafVecs) Describe(out chan<- *prometheus.Desc) {
	v.total.Describe(out)
	out <- v.good
}

// Collect implements prometheus.Collector.
func (v *wafVecs) Collect(out chan<- prometheus.Metric) {
	v.total.Collect(out)
	if v.stats == nil {
		return
	}
	for _, s := range v.stats() {
		out <- flag(v.good, s.Good, s.Name)
	}
}
