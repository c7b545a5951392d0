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
	g := s.current.Load()
	st := admin.Status{
		Version: s.options.Version, PID: os.Getpid(), State: "running", StartedAt: s.started, Generation: g.number,
		Config:   admin.ConfigInfo{Path: s.options.ConfigPath, Version: g.tag(), LoadedAt: g.loaded, LastReload: s.attempt.Load()},
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
	cluster, warning := s.describeCluster(g.plan.config)
	if st.Cluster = cluster; warning != "" {
		st.Warnings = append(st.Warnings, warning)
	}
	if w := s.suspicion(g); w != "" {
		st.Warnings = append(st.Warnings, w)
	}
	if s.aside != "" {
		st.Warnings = append(st.Warnings, s.aside)
	}
	for i := range g.plan.config.Services {
		st.Services = append(st.Services, s.describe(g, g.plan.config.Services[i].Name))
	}
	for name, void := range g.voids { // one in force is shown with its service
		st.Warnings = append(st.Warnings, fmt.Sprintf("service %s: its runtime overlay is void: %s", name, void))
	}
	return st
}

// describe is one service's live state.
func (s *Server) describe(g *generation, name string) admin.Service {
	service := g.services[name]
	d := admin.Service{Name: name, Epoch: g.runtime.epoch(name), Version: g.version(name)}
	if v, ok := s.view(g, name); ok {
		r := describeRollout(&v)
		d.Rollout = &r
	}
	d.Breaker = describeBreaker(service, s.registry.Now())
	for i := range service.Groups {
		d.Groups = append(d.Groups, describeGroup(service, i))
	}
	if set, ok := g.runtime.Services[name]; ok {
		d.Overlay = &admin.Overlay{Since: set.Since, By: set.By, FileWeights: admin.Weights{}, Weights: admin.Weights{}, Void: g.voids[name]}
		for i := range g.plan.config.Services {
			if c := &g.plan.config.Services[i]; c.Name == name {
				for _, share := range fileShares(c) {
					d.Overlay.FileWeights[share.Name] = admin.Weight(share.Weight)
				}
			}
		}
		for group, weight := range set.Weights {
			d.Overlay.Weights[group] = admin.Weight(weight)
		}
	}
	return d
}

func describeGroup(service *proxy.Service, i int) admin.Group {
	group := &service.Groups[i]
	d := admin.Group{Name: group.Name, Weight: admin.Weight(service.Shares[i].Weight), State: "live", Requests: group.Assigned.Load(), Targets: []admin.Target{}}
	if live := group.Pool.Live(); live.Len() == 0 || live.Fallback() {
		d.State = "empty"
	}
	if share, of := observedShare(service, i); of > 0 {
		percent := share * 100
		d.ObservedShare, d.ObservedOf = &percent, of
	}
	for _, p := range group.Pool.Snapshot() {
		t := admin.Target{
			Address: p.Address, State: p.State.String(), InFlight: p.InFlight, Failures: p.Failures,
			LatencyMS: float64(p.Latency) / float64(time.Millisecond), LastError: p.LastError,
			SharedConnections: p.Shared, Streams: p.Streams,
		}
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
	fmt.Fprintf(h, "%d %v ", g.runtime.epoch(name), g.sharesOf(name))
	if set, ok := g.runtime.Services[name]; ok {
		fmt.Fprintf(h, "%d %s %v", set.Since.UnixNano(), set.By, set.Weights)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}
