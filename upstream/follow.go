package upstream

import (
	"context"
	"time"

	"github.com/valor-ivx/weir/upstream/kubernetes"
)

// follow is a source's goroutine where the answers come by themselves.
func (s *source) follow(ctx context.Context, r *Registry, c *kubernetes.Client) {
	defer r.running.Done()
	c.Watch(ctx, s.key.service, func(list []kubernetes.Endpoint, err error) {
		if ctx.Err() == nil {
			r.resolved(s, endpointPlaces(list), err)
		}
	})
}

func endpointPlaces(list []kubernetes.Endpoint) []place {
	places := make([]place, len(list))
	for i, e := range list {
		places[i] = place{addr: e.Address.Addr(), port: e.Address.Port(), share: 1, leaving: e.Draining}
	}
	return places
}

// clientOf is the one client of an API server. Registry.mu is held.
func (r *Registry) clientOf(api kubernetes.API) *kubernetes.Client {
	c := r.clients[api]
	if c == nil {
		c = kubernetes.New(api)
		r.clients[api] = c
	}
	return c
}

// dropClient closes the client of an API server that no source needs any more. Watches that are about to end close what they hold themselves. Registry.mu is held.
func (r *Registry) dropClient(api kubernetes.API) {
	for k := range r.sources {
		if k.service.API == api && k.service != (kubernetes.Service{}) {
			return
		}
	}
	if c := r.clients[api]; c != nil {
		c.Close()
		delete(r.clients, api)
	}
}

// String names a source as status, logs and metrics do.
func (k sourceKey) String() string {
	switch {
	case k.srv:
		return "srv:" + k.name
	case k.name != "":
		return "dns:" + k.name
	default:
		return "kubernetes:" + k.service.String()
	}
}

// SourceStatus is a name or a Service that targets are found by, at one moment.
type SourceStatus struct {
	// Source is "dns:NAME", "srv:NAME" or "kubernetes:[NAMESPACE/]SERVICE:PORT".
	Source string
	// Up says that the last answer was a good one; Since when it is so, or not so.
	Up    bool
	Since time.Time
	// Answered is when the last good answer came; zero: none has.
	Answered time.Time
	// Error is the last answer's.
	Error string
	// Targets and Leaving count the addresses of the last good answer: all, and those that get nothing new.
	Targets, Leaving int
	// Failures and Changes count, since somebody began to ask, answers that were no good and those that changed something.
	Failures, Changes uint64
}

// Sources are those that pools use, in no order. Sources of two API servers may have one name.
func (r *Registry) Sources() []SourceStatus {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := make([]SourceStatus, 0, len(r.sources))
	for k, s := range r.sources {
		list = append(list, s.status(k))
	}
	return list
}

// Sources are those of the pool, in the order of its targets.
func (p *Pool) Sources() []SourceStatus {
	r := p.registry
	r.mu.Lock()
	defer r.mu.Unlock()
	list := make([]SourceStatus, 0, len(p.sources))
	for _, s := range p.sources {
		list = append(list, s.status(s.key))
	}
	return list
}

// status is the source's. Registry.mu is held.
func (s *source) status(k sourceKey) SourceStatus {
	st := SourceStatus{
		Source: k.String(), Up: s.failed == nil && !s.answered.IsZero(), Since: s.since, Answered: s.answered, Targets: len(s.found), Failures: s.failures, Changes: s.changes,
	}
	if s.failed != nil {
		st.Error = s.failed.Error()
	}
	for _, p := range s.found {
		if p.leaving {
			st.Leaving++
		}
	}
	return st
}
