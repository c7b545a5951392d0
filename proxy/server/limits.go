package server

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/valor-ivx/weir/configs"
	"github.com/valor-ivx/weir/proxy"
	"github.com/valor-ivx/weir/proxy/limit"
	"github.com/valor-ivx/weir/proxy/observe"
)

// limitsOf makes the limits of a route, those that count by a claim of the user's token or the others, over the buckets that the server keeps for their names. Under Server.mu.
func (s *Server) limitsOf(r *configs.Route, all []configs.Limit, byUser bool) *proxy.Limits {
	var list []proxy.RouteLimit
	var gates []proxy.RouteGate
	for _, l := range all { // sorted by name
		if !slices.Contains(r.Limits, l.Name) || l.Key.Has(configs.KeyJWT) != byUser {
			continue
		}
		if l.Concurrency > 0 {
			gates = append(gates, proxy.RouteGate{
				Gate: s.limits.Gate(limit.GateOptions{Name: l.Name, Most: l.Concurrency, DryRun: l.DryRun}),
				Key:  limitKey(l.Key, r.Name), Metrics: s.metrics.Limit(l.Name), Counts: l.Rate.Count == 0,
			})
		}
		if l.Rate.Count == 0 {
			continue
		}
		list = append(list, proxy.RouteLimit{
			Limit:   s.limits.Acquire(limit.Options{Name: l.Name, Rate: l.Rate.PerSecond(), Burst: l.Burst, DryRun: l.DryRun, Sharing: s.sharing(l.Shared)}),
			Key:     limitKey(l.Key, r.Name),
			Metrics: s.metrics.Limit(l.Name),
		})
	}
	if list == nil && gates == nil {
		return nil
	}
	return proxy.NewLimits(s.limits, list, gates...)
}

func limitKey(k configs.LimitKey, route string) []proxy.LimitKeyPart {
	parts := make([]proxy.LimitKeyPart, len(k.Parts))
	for i, p := range k.Parts {
		parts[i].Name = p.Name
		switch p.Source {
		case configs.KeyHeader:
			parts[i].Source = proxy.LimitByHeader
		case configs.KeyCookie:
			parts[i].Source = proxy.LimitByCookie
		case configs.KeyJWT:
			parts[i].Source = proxy.LimitByClaim
		case configs.KeyRoute:
			parts[i] = proxy.LimitKeyPart{Source: proxy.LimitByRoute, Name: route}
		}
	}
	return parts
}

// limitStats is what scrapes ask for.
func (s *Server) limitStats() []observe.LimitStat {
	stats := s.limits.Stats()
	link := s.cluster.Load()
	list := make([]observe.LimitStat, len(stats))
	for i, st := range stats {
		list[i] = observe.LimitStat{Name: st.Name, Keys: st.Keys, Evicted: st.Evicted, Running: st.Running, Shared: st.Shared, Degraded: st.Shared && (link == nil || !link.State().Up)}
	}
	return list
}

// limitNames are the limits that routes use.
func limitNames(cfg *configs.Config) (names []string) {
	for _, l := range cfg.Limits {
		if used(cfg, l.Name) {
			names = append(names, l.Name)
		}
	}
	return names
}

func used(cfg *configs.Config, name string) bool {
	return slices.ContainsFunc(cfg.Routes, func(r configs.Route) bool { return slices.Contains(r.Limits, name) })
}

// limitWarnings are limits that do not do what their author may think: nothing, or to count everybody behind a proxy as one client.
func limitWarnings(cfg *configs.Config) (warnings []string) {
	behind := privateListener(cfg)
	for _, l := range cfg.Limits {
		switch {
		case !used(cfg, l.Name):
			warnings = append(warnings, fmt.Sprintf("limit %s is named by no route: it limits nothing", l.Name))
		case behind != "" && l.Key.Has(configs.KeyClientIP):
			warnings = append(warnings, fmt.Sprintf("limit %s counts by client_ip, listener %s is on a private address and client_ip.trusted_proxies names nobody: "+
				"if a proxy stands in front, all its clients are one", l.Name, behind))
		}
	}
	return warnings
}

// privateListener names the first listener that only a network of one's own can reach, where no proxy is trusted; "" if there is none.
func privateListener(cfg *configs.Config) string {
	if cfg.ClientIP != nil && len(cfg.ClientIP.TrustedProxies) > 0 {
		return ""
	}
	for _, l := range cfg.Listeners {
		ap, err := netip.ParseAddrPort(l.Address)
		if err == nil && (ap.Addr().Unmap().IsPrivate() || ap.Addr().Unmap().IsLoopback()) {
			return l.Name
		}
	}
	return ""
}
