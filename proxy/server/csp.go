package server

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"go.uber.org/zap"

	"github.com/valor-ivx/weir/configs"
	"github.com/valor-ivx/weir/proxy"
	"github.com/valor-ivx/weir/proxy/admin"
	"github.com/valor-ivx/weir/proxy/csp"
	"github.com/valor-ivx/weir/proxy/route"
)

// newCollector is where browsers' reports on policies go.
func (s *Server) newCollector() *csp.Collector {
	return csp.NewCollector(csp.Options{Count: s.metrics.CSPReport, Log: func(k csp.Kind) {
		s.log.Warn("content security policy violated", zap.String("weir.headers", k.Policy), zap.String("weir.csp.directive", k.Directive),
			zap.String("weir.csp.blocked", k.Blocked), zap.String("weir.csp.document", k.Document), zap.String("weir.csp.source", k.Source), zap.Int("weir.csp.line", k.Line),
			zap.Bool("weir.csp.enforced", k.Enforced), zap.Uint64("weir.csp.reports", k.Count))
	}})
}

// reportTable finds what browsers report on: for each policy with a collector its path, on the hosts of the routes that answers have it of; nil: there is none.
func reportTable(cfg *configs.Config) (table *route.Table, policies []string, err error) {
	var rules []route.Rule
	for i := range cfg.Headers {
		h := &cfg.Headers[i]
		if h.CSPReport == "" {
			continue
		}
		if hosts, used := hostsOf(cfg, h.Name); used {
			rules = append(rules, route.Rule{Name: h.Name, Hosts: hosts, Kind: route.Exact, Path: string(h.CSPReport)})
			policies = append(policies, h.Name)
		}
	}
	if rules == nil {
		return nil, nil, nil
	}
	if table, err = route.New(rules); err != nil {
		return nil, nil, fmt.Errorf("compile csp_report: %w", err)
	}
	return table, policies, nil
}

// hostsOf are the hosts of the routes whose answers have a policy, nil for any host.
func hostsOf(cfg *configs.Config, policy string) (hosts []string, used bool) {
	ofListener := slices.ContainsFunc(cfg.Listeners, func(l configs.Listener) bool { return l.Headers == policy })
	for i := range cfg.Routes {
		rt := &cfg.Routes[i]
		if rt.Headers != policy && (rt.Headers != "" || !ofListener) {
			continue
		}
		if used = true; len(rt.Hosts) == 0 {
			return nil, true
		}
		hosts = append(hosts, rt.Hosts...)
	}
	slices.Sort(hosts)
	return slices.Compact(hosts), used
}

// reports is what the data path knows of them; nil: nothing.
func (s *Server) reports(p *plan) *proxy.Reports {
	if p.reports == nil {
		return nil
	}
	return &proxy.Reports{Table: p.reports, Policies: p.reported, Sink: s.csp}
}

// retainReports forgets the reports on policies that are gone, and has series for those that are there.
func (s *Server) retainReports(p *plan) {
	s.csp.Retain(p.reported)
	s.metrics.SetCSPPolicies(p.reported, csp.Directives())
}

// reportWarnings are collectors that no page names.
func reportWarnings(cfg *configs.Config) (warnings []string) {
	for i := range cfg.Headers {
		h := &cfg.Headers[i]
		if _, used := hostsOf(cfg, h.Name); h.CSPReport != "" && !used {
			warnings = append(warnings, fmt.Sprintf("headers %s collects reports and is named by no route: nobody reports", h.Name))
		}
	}
	return warnings
}

// CSPReports implements admin.Control.
func (c control) CSPReports() []admin.CSPReport {
	list := []admin.CSPReport{}
	for _, k := range c.s.csp.List() {
		list = append(list, admin.CSPReport{
			Headers: k.Policy, Directive: k.Directive, Blocked: k.Blocked, Document: k.Document, Source: k.Source, Line: k.Line, Enforced: k.Enforced, Count: k.Count, First: k.First, Last: k.Last,
		})
	}
	return list
}

// explainReport tells a browser's report from a request of its path; it reports whether it was one.
func (e *explanation) explainReport(path []byte) bool {
	r := e.g.snapshot.Reports
	if r == nil || !strings.EqualFold(cmp.Or(e.request.Method, "GET"), "POST") {
		return false
	}
	i := r.Table.Match([]byte(e.url.Host), path)
	if i < 0 {
		return false
	}
	e.step("match", "CSP report", "csp_report of headers %s: taken in, nobody else is asked", r.Policies[i])
	e.end("204 report on headers %s", r.Policies[i])
	return true
}
