package server

import (
	"sync/atomic"

	"github.com/valor-ivx/weir/proxy/observe"
	"github.com/valor-ivx/weir/upstream"
)

// targetMetrics turns what the registry tells about targets into metrics. The registry calls with its lock held, one event at a time, so the map needs no
// lock of its own.
type targetMetrics struct {
	metrics *observe.Metrics
	handles map[observe.TargetKey]*observe.Upstream
	left    atomic.Bool // a target is gone: its series are to be removed; read and cleared by the housekeeper
}

// ejectionReasons is the closed set that upstream.Events.Ejected names.
var ejectionReasons = [...]string{"consecutive", "error_ratio"}

func (t *targetMetrics) events() upstream.Events {
	t.handles = map[observe.TargetKey]*observe.Upstream{}
	return upstream.Events{
		Up:      func(service, group, target string, up bool) { t.handle(service, group, target).SetUp(up) },
		Ejected: func(service, group, target, reason string) { t.handle(service, group, target).Ejected(reason) },
		Gone: func(service, group, target string) {
			delete(t.handles, observe.TargetKey{Service: service, Group: group, Target: target})
			t.left.Store(true)
		},
	}
}

func (t *targetMetrics) handle(service, group, target string) *observe.Upstream {
	key := observe.TargetKey{Service: service, Group: group, Target: target}
	h := t.handles[key]
	if h == nil {
		h = t.metrics.Upstream(service, group, target, ejectionReasons[:]...)
		t.handles[key] = h
	}
	return h
}
