package server

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/valor-ivx/weir/proxy"
	"github.com/valor-ivx/weir/proxy/admin"
)

// status is the whole live state.
func (s *Server) status() admin.Status {
	g, number := s.look()
	st := admin.Status{
		Version: s.options.Version, PID: os.Getpid(), State: "running", StartedAt: s.started, Generation: g.number,
		Config:   admin.ConfigInfo{Path: s.options.ConfigPath, Version: g.tag(), LoadedAt: g.loaded, LastReload: s.attempt.Load(), Unconfirmed: s.unconfirmed.Load().describe()},
		Warnings: slices.Clone(g.warnings),
	}
	if s.stopping.Load() {
		st.State = "draining"
	}
	for _, l := range g.sockets {
		st.Listeners = append(st.Listeners, admin.Listener{
			Name: l.config.Name, Address: l.socket.Addr().String(), TLS: l.tls != nil, Protocols: l.config.Protocols, Connections: l.open.Load(),
		})
	}
	cluster, warnings := s.describeCluster(g.plan.config)
	st.Cluster, st.Warnings = cluster, append(st.Warnings, warnings...)
	discovery, unanswered := s.describeDiscovery()
	st.Discovery, st.Warnings = discovery, append(st.Warnings, unanswered...)
	if w := s.suspicion(g); w != "" {
		st.Warnings = append(st.Warnings, w)
	}
	if u := st.Config.Unconfirmed; u != nil {
		st.Warnings = append(st.Warnings, u.String())
	}
	if s.aside != "" {
		st.Warnings = append(st.Warnings, s.aside)
	}
	for i := range g.plan.config.Services {
		d := s.describe(g, g.plan.config.Services[i].Name)
		d.Number = number
		st.Services = append(st.Services, d)
	}
	for name, void := range g.voids { // one in force is shown with its service
		st.Warnings = append(st.Warnings, fmt.Sprintf("service %s: its runtime overlay is void: %s", name, void))
	}
	return st
}

// look is the generation in force, and the number of this look at it. The number is taken first: who then sees less than a write has changed has a number below that of the write's answer.
func (s *Server) look() (g *generation, number uint64) {
	number = uint64(s.started.UnixMicro()) + s.looks.Add(1) // so a later process has higher ones
	return s.current.Load(), number
}

// seen is a service that is there, as it is now.
func (s *Server) seen(name string) admin.Service {
	g, number := s.look()
	d := s.describe(g, name)
	d.Number = number
	return d
}

// describe is one service's live state, without a number.
func (s *Server) describe(g *generation, name string) admin.Service {
	service := g.services[name]
	d := admin.Service{Name: name, Epoch: g.runtime.Services[name].epoch(), Version: g.version(name)}
	if v, ok := s.view(g, name); ok {
		r := describeRollout(&v)
		r.Leader = s.leader(name)
		d.Rollout = &r
	}
	d.Breaker, d.Shadow = describeBreaker(service, s.registry.Now()), s.shadowBrief(name)
	for i := range service.Groups {
		d.Groups = append(d.Groups, g.describeGroup(service, i))
	}
	set := g.runtime.Services[name]
	if p := set.Pause; p != nil {
		d.Pause = &admin.PauseState{Since: p.Since, By: p.By, MaxWaiting: p.MaxWaiting, Timeout: p.Timeout.String()}
		if service.Hold != nil {
			d.Pause.Waiting = service.Hold.Waiting()
		}
	}
	if void := g.voids[name]; set.Weights != nil || void != "" {
		since, by := set.Since, set.By
		if void != "" {
			since, by = set.latest()
		}
		d.Overlay = &admin.Overlay{Since: since, By: by, FileWeights: admin.Weights{}, Weights: admin.Weights{}, Void: void}
		for _, share := range g.fileShares(name) {
			d.Overlay.FileWeights[share.Name] = admin.Weight(share.Weight)
		}
		for group, weight := range set.Weights {
			d.Overlay.Weights[group] = admin.Weight(weight)
		}
	}
	return d
}

// describeMark is nil for nothing said.
func describeMark(m mark, said bool) *admin.Mark {
	if !said {
		return nil
	}
	return &admin.Mark{State: m.state(), Since: m.Since, By: m.By}
}

func (g *generation) describeGroup(service *proxy.Service, i int) admin.Group {
	group := &service.Groups[i]
	set := g.runtime.Services[service.Name]
	if g.voids[service.Name] != "" {
		set = serviceOverlay{}
	}
	d := admin.Group{Name: group.Name, Weight: admin.Weight(service.Shares[i].Weight), State: "live", Requests: group.Assigned.Load(), Targets: []admin.Target{}}
	if live := group.Pool.Live(); live.Len() == 0 || live.Fallback() {
		d.State = "empty"
	}
	m, said := set.Groups[group.Name]
	if d.Mark = describeMark(m, said); said {
		d.State = m.state()
	}
	if share, of := observedShare(service, i); of > 0 {
		percent := share * 100
		d.ObservedShare, d.ObservedOf = &percent, of
	}
	for _, p := range group.Pool.Snapshot() {
		t := admin.Target{
			Address: p.Address, State: p.State.String(), InFlight: p.InFlight, Failures: p.Failures,
			LatencyMS: float64(p.Latency) / float64(time.Millisecond), LastError: p.LastError,
			ConcurrencyLimit: p.Limit, Working: p.Working, SharedConnections: p.Shared, Streams: p.Streams,
		}
		m, said := set.Targets[group.Name][p.Address]
		t.Mark = describeMark(m, said)
		if !p.EjectedUntil.IsZero() {
			until := p.EjectedUntil
			t.EjectedUntil = &until
		}
		d.Targets = append(d.Targets, t)
	}
	return d
}

// observedShare is the part of the service's assignments since its weights were last set or changed that fell on group i.
func observedShare(service *proxy.Service, i int) (share float64, of uint64) {
	var mine uint64
	for j := range service.Groups {
		n := service.Groups[j].Assigned.Load() - service.Groups[j].Baseline
		of += n
		if j == i {
			mine = n
		}
	}
	if of == 0 {
		return 0, 0
	}
	return float64(mine) / float64(of), of
}

// tag is the entity tag of the configuration.
func (g *generation) tag() string { return hex.EncodeToString(g.digest[:8]) }

// version is the entity tag of what a write can change of a service.
func (g *generation) version(name string) string {
	h := sha256.New()
	set := g.runtime.Services[name]
	fmt.Fprintf(h, "%d %v %d %s %v", set.epoch(), g.sharesOf(name), set.Since.UnixNano(), set.By, set.Weights)
	fmt.Fprintf(h, "%v %v %v", set.Groups, set.Targets, set.Round) // fmt prints maps in the order of their keys
	if set.Pause != nil {
		fmt.Fprintf(h, "%v", *set.Pause)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}
