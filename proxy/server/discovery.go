package server

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/valor-ivx/weir/proxy/admin"
	"github.com/valor-ivx/weir/proxy/observe"
	"github.com/valor-ivx/weir/upstream"
)

// lookupWait is how long a start or a reload waits for what new names mean: enough for a name server that loses a packet and for an API server that a pod can only reach after its first second or two.
const lookupWait = 4 * time.Second

// silent are the names of a pool that have not been answered for: its targets are not known.
func silent(pool *upstream.Pool) (warnings []string) {
	for _, source := range pool.Sources() {
		if source.Answered.IsZero() && source.Targets == 0 {
			warnings = append(warnings, fmt.Sprintf("service %s, group %s: the targets of %s are not known yet: %s", pool.Options().Service, pool.Options().Group, source.Source, cmp.Or(source.Error, "no answer has come")))
		}
	}
	return warnings
}

// sources are all that targets are found by, once each, by name. Of two that have one name, as while a reload changes the API server, the one that answers counts.
func (s *Server) sources() []upstream.SourceStatus {
	list := s.registry.Sources()
	slices.SortFunc(list, func(a, b upstream.SourceStatus) int {
		return cmp.Or(cmp.Compare(a.Source, b.Source), b.Answered.Compare(a.Answered))
	})
	return slices.CompactFunc(list, func(a, b upstream.SourceStatus) bool { return a.Source == b.Source })
}

// discoveryStats is what scrapes ask for.
func (s *Server) discoveryStats() (list []observe.DiscoveryStat) {
	for _, source := range s.sources() {
		list = append(list, observe.DiscoveryStat{
			Source: source.Source, Up: source.Up, Answered: source.Answered, Targets: source.Targets - source.Leaving, Draining: source.Leaving, Failures: source.Failures, Changes: source.Changes,
		})
	}
	return list
}

// describeDiscovery is the same as status shows it, with a warning for each that has failed.
func (s *Server) describeDiscovery() (list []admin.Discovery, warnings []string) {
	for _, source := range s.sources() {
		d := admin.Discovery{Source: source.Source, Up: source.Up, Since: source.Since, Error: source.Error, Targets: source.Targets, Draining: source.Leaving}
		if !source.Answered.IsZero() {
			d.AnsweredAt = &source.Answered
		}
		list = append(list, d)
		switch {
		case source.Error == "":
		case source.Targets == 0:
			warnings = append(warnings, fmt.Sprintf("%s does not answer, and has named no target: %s", source.Source, source.Error))
		default:
			warnings = append(warnings, fmt.Sprintf("%s has not answered since %s, the last targets it named stay: %s", source.Source, source.Since.Format(time.RFC3339), source.Error))
		}
	}
	return list, warnings
}
