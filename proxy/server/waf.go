package server

import (
	"fmt"
	"reflect"
	"runtime"
	"slices"

	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"github.com/valor-ivx/weir/configs"
	"github.com/valor-ivx/weir/proxy"
	"github.com/valor-ivx/weir/proxy/observe"
	"github.com/valor-ivx/weir/proxy/waf"
)

// wafs are the firewalls of a configuration by their names. What two generations have in the same words is the same: its rules stay compiled, its file is followed.
type wafs map[string]*followed[configs.WAF, *waf.WAF]

// inspectionsAtATime leaves one processor to everybody else, where there is more than one.
func inspectionsAtATime() int { return max(1, runtime.GOMAXPROCS(0)-1) }

// How often findings are logged in words. The access log has the rules of every request.
const (
	findingsPerSecond = 5
	findingsAtOnce    = 50
)

// openShields makes what the reports on policies and the firewalls of all generations have in common.
func (s *Server) openShields() {
	s.csp = s.newCollector()
	s.inspections, s.tellFinding = waf.NewTurns(inspectionsAtATime()), s.newTeller()
	s.metrics.SetWAFStats(s.wafStats)
}

// newTeller logs findings.
func (s *Server) newTeller() func(waf.Finding) {
	lines := rate.NewLimiter(findingsPerSecond, findingsAtOnce)
	return func(f waf.Finding) {
		if !lines.Allow() {
			return
		}
		fields := []zap.Field{
			zap.String("weir.waf.name", f.WAF), zap.Stringer("weir.waf.decision", f.Decision), zap.String(observe.KeyWAFRules, f.Rules), zap.Strings("weir.waf.says", f.Says),
			zap.String(observe.KeyClientIP, f.Client.String()), zap.String(observe.KeyRequestID, f.RequestID),
		}
		if f.Err != nil {
			fields = append(fields, observe.Err(f.Err))
		}
		s.log.Warn("waf", fields...)
	}
}

// openWAFs compiles the rules of what old does not have.
func (s *Server) openWAFs(cfg *configs.Config, old *generation) (wafs, error) {
	var before wafs
	if old != nil {
		before = old.wafs
	}
	all := wafs{}
	for _, c := range cfg.WAFs {
		if same := before[c.Name]; same != nil && reflect.DeepEqual(same.config, c) {
			all[c.Name] = same
			continue
		}
		w, err := waf.Open(s.wafOptions(c))
		if err != nil {
			all.closeBut(before)
			return nil, err
		}
		all[c.Name] = &followed[configs.WAF, *waf.WAF]{config: c, guard: w}
	}
	return all, nil
}

func (s *Server) wafOptions(c configs.WAF) waf.Options {
	return waf.Options{
		Name: c.Name, CoreRules: c.Ruleset == "crs", Paranoia: c.Paranoia, Inbound: c.InboundThreshold, Outbound: c.OutboundThreshold, Exclude: c.Exclude, RulesFile: c.RulesFile,
		MaxBody: int(c.MaxBody), MaxArguments: c.MaxArguments, BlockOversize: c.OnOversize == "block",
		Block: c.Mode == "block", FailOpen: c.OnError == "pass", Timeout: c.Timeout, Turns: s.inspections, Tell: s.tellFinding,
	}
}

// closeBut ends what others does not go on with.
func (w wafs) closeBut(others wafs) {
	for name, f := range w {
		if others[name] != f {
			f.guard.Close()
		}
	}
}

// wafs are those in force, nil before the first.
func (s *Server) wafs() wafs {
	if current := s.current.Load(); current != nil {
		return current.wafs
	}
	return nil
}

// shields are the firewalls of routes, by name, with their series. Under Server.mu.
func (s *Server) shields(all wafs) map[string]*proxy.Shield {
	var names []string
	for name := range all {
		names = append(names, name)
	}
	handles := s.metrics.SetWAFs(names, waf.Decisions())
	shields := map[string]*proxy.Shield{}
	for _, name := range names {
		shields[name] = &proxy.Shield{WAF: all[name].guard, Metrics: handles[name]}
	}
	return shields
}

// rereadWAFs reads the files of those in force again. Like rereadGuards.
func (s *Server) rereadWAFs() {
	for _, f := range s.wafs() {
		err := f.guard.Reload()
		f.failed.Store(err != nil)
		if err != nil {
			s.log.Error("waf rules refused, those before stay in force", observe.Err(err))
		}
	}
}

// wafStats is what scrapes ask for.
func (s *Server) wafStats() (stats []observe.GuardStat) {
	for name, f := range s.wafs() {
		stats = append(stats, observe.GuardStat{Name: name, Good: f.good()})
	}
	return stats
}

// checkWAFs compiles the rules as a start would.
func checkWAFs(cfg *configs.Config) error {
	all, err := new(Server).openWAFs(cfg, nil)
	all.closeBut(nil)
	return err
}

// wafWarnings are firewalls that guard nothing.
func wafWarnings(cfg *configs.Config) (warnings []string) {
	for i := range cfg.WAFs {
		name := cfg.WAFs[i].Name
		if !slices.ContainsFunc(cfg.Routes, func(r configs.Route) bool { return r.WAF == name }) {
			warnings = append(warnings, fmt.Sprintf("waf %s is named by no route: it judges nothing", name))
		}
	}
	return warnings
}

// waf names the route's firewall without asking it.
func (e *explanation) waf() {
	shield := e.route.Shield
	if shield == nil {
		return
	}
	c := e.g.wafs[shield.WAF.Name].config
	rules := "rules of " + c.RulesFile
	if c.Ruleset == "crs" {
		rules = fmt.Sprintf("core rule set at paranoia %d, from score %d", c.Paranoia, c.InboundThreshold)
	}
	end := "what would be blocked passes"
	if c.Mode == "block" {
		end = "what matches is 403"
	}
	e.step("admit", "waf "+c.Name, "%s, up to %s of the body: %s", rules, c.MaxBody, end)
}
