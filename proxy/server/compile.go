package server

import (
	"net/netip"
	"strings"
	"time"

	"github.com/valor-ivx/weir/balancer"
	"github.com/valor-ivx/weir/configs"
	"github.com/valor-ivx/weir/proxy"
	"github.com/valor-ivx/weir/proxy/clientip"
	"github.com/valor-ivx/weir/proxy/route"
	edgetls "github.com/valor-ivx/weir/tls"
	"github.com/valor-ivx/weir/upstream"
	"github.com/valor-ivx/weir/upstream/kubernetes"
)

// plan is a configuration in the data path's own terms: pure, holding nothing that must be released.
type plan struct {
	config *configs.Config
	table  *route.Table
	auths  *edgetls.ClientAuths   // nil: no client is asked for a certificate
	pools  []upstream.PoolOptions // every group of every service

	reports  *route.Table // where browsers report on policies; nil: nowhere
	reported []string     // the policies, by its indices
}

// compile turns a loaded configuration into a plan. What it refuses are mistakes that only the whole shows, without a position of their own.
func compile(cfg *configs.Config) (*plan, error) {
	p := &plan{config: cfg}
	rules := make([]route.Rule, 0, len(cfg.Routes))
	for _, r := range cfg.Routes {
		rules = append(rules, route.Rule{Name: r.Name, Hosts: r.Hosts, Kind: ruleKind(r.Path.Kind), Path: r.Path.Text})
	}
	var err error
	if p.table, err = route.New(rules); err != nil {
		return nil, err
	}
	if err = loginRoutes(cfg, p.table); err != nil {
		return nil, err
	}
	if p.reports, p.reported, err = reportTable(cfg); err != nil {
		return nil, err
	}
	of := kubernetesOf(cfg)
	for i := range cfg.Services {
		for j := range cfg.Services[i].Groups {
			p.pools = append(p.pools, poolOptions(&cfg.Services[i], &cfg.Services[i].Groups[j], of))
		}
	}
	return p, nil
}

func trusted(networks []configs.CIDR) clientip.Trust {
	prefixes := make([]netip.Prefix, len(networks))
	for i, p := range networks {
		prefixes[i] = p.Prefix
	}
	return clientip.New(prefixes)
}

func ruleKind(k configs.PatternKind) route.Kind {
	switch k {
	case configs.PathExact:
		return route.Exact
	case configs.PathRegex:
		return route.Regex
	}
	return route.Prefix
}

func poolOptions(s *configs.Service, g *configs.Group, of kubernetes.Service) upstream.PoolOptions {
	o := upstream.PoolOptions{
		Service: s.Name, Group: g.Name, Balance: policy(s.Balance.Policy),
		ConnectTimeout: s.ConnectTimeout, IdleTimeout: s.IdleTimeout, SlowStart: s.SlowStart, Transport: transport(s),
	}
	for _, t := range g.Targets {
		o.Targets = append(o.Targets, target(t, of))
	}
	if h := s.Health; h != nil {
		o.Health = &upstream.HealthOptions{Path: h.Path, GRPC: h.GRPC != "", Service: strings.TrimPrefix(h.GRPC, "*"), Interval: h.Interval, Timeout: h.Timeout, Rise: h.Rise, Fall: h.Fall}
	}
	if e := s.Ejection; e.MaxEjected > 0 && (e.Consecutive > 0 || e.ErrorRatio > 0) {
		o.Ejection = &upstream.EjectionOptions{Consecutive: e.Consecutive, ErrorRatio: e.ErrorRatio, Window: e.Window, Base: e.Base, MaxEjected: e.MaxEjected}
	}
	if a := s.AdaptiveConcurrency; a != nil {
		o.Adaptive = &upstream.AdaptiveOptions{Min: a.Min, Max: a.Max}
	}
	if s.WhenNoneHealthy == configs.WhenNoneHealthyReject {
		o.WhenNoneHealthy = upstream.Reject
	}
	return o
}

func policy(p configs.Policy) balancer.Kind {
	switch p {
	case configs.LeastRequest:
		return balancer.LeastRequest
	case configs.RoundRobin:
		return balancer.RoundRobin
	case configs.LeastConn:
		return balancer.LeastConn
	case configs.Hash:
		return balancer.Hash
	}
	return balancer.PeakEWMA
}

func hashKey(b configs.Balance) proxy.HashKey {
	if b.Policy != configs.Hash {
		return proxy.HashKey{}
	}
	source := map[configs.KeySource]proxy.HashSource{
		configs.KeyClientIP: proxy.HashClientIP, configs.KeyPath: proxy.HashPath,
		configs.KeyHeader: proxy.HashHeader, configs.KeyCookie: proxy.HashCookie,
	}[b.Source]
	return proxy.HashKey{Source: source, Name: b.Name}
}

func whenEmpty(w configs.WhenEmpty) balancer.WhenEmpty {
	if w == configs.WhenEmptyFail {
		return balancer.EmptyFail
	}
	return balancer.EmptyOther
}

// unlimited stands for "no limit" where the data path wants a duration: a year.
const unlimited = 365 * 24 * time.Hour

func orUnlimited(d time.Duration) time.Duration {
	if d == 0 {
		return unlimited
	}
	return d
}

// fileShares are the weights that the file gives a service.
func fileShares(s *configs.Service) []balancer.Share {
	shares := make([]balancer.Share, len(s.Groups))
	for i, g := range s.Groups {
		shares[i] = balancer.Share{Name: g.Name, Weight: uint32(g.Weight)}
	}
	return shares
}
