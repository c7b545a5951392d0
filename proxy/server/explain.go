package server

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/valor-ivx/weir/balancer"
	"github.com/valor-ivx/weir/configs"
	"github.com/valor-ivx/weir/proxy"
	"github.com/valor-ivx/weir/proxy/admin"
	"github.com/valor-ivx/weir/proxy/route"
)

// Explain implements admin.Control: the data path's decisions for a request, in its order, from the snapshot in force, without sending anything.
func (c control) Explain(_ context.Context, q admin.ExplainRequest) (admin.Explanation, error) {
	g := c.s.current.Load()
	u, err := url.Parse(q.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return admin.Explanation{}, &admin.InvalidError{Title: "Invalid request", Details: []admin.Detail{{Pointer: "/url", Message: "must be an absolute http or https URL"}}}
	}
	e := explanation{g: g, leader: c.s.leader, now: c.s.registry.Now(), request: q, url: u}
	e.Generation = g.number
	if e.begin() && e.match() && e.admit() && e.service() {
		e.paused()
		e.queue()
		e.choose()
	}
	return e.Explanation, nil
}

// explanation is one being put together; each phase reports whether the next one is reached.
type explanation struct {
	admin.Explanation
	described
	g       *generation
	leader  func(service string) string // of its rollout
	now     int64                       // of the registry
	request admin.ExplainRequest
	url     *url.URL
	route   *proxy.Route
	path    []byte // canonical
}

func (e *explanation) step(phase, decision, reason string, args ...any) {
	e.Steps = append(e.Steps, admin.Step{Phase: phase, Decision: decision, Reason: fmt.Sprintf(reason, args...)})
}

func (e *explanation) end(outcome string, args ...any) bool {
	e.Outcome = fmt.Sprintf(outcome, args...)
	return false
}

func (e *explanation) begin() bool {
	e.entry()
	e.whom()
	e.step("begin", fmt.Sprintf("generation %d", e.g.number), "loaded once for the whole request")
	method := strings.ToUpper(e.request.Method)
	if method == "CONNECT" || method == "TRACE" {
		e.step("match", "405", "%s is never forwarded", method)
		return e.end("405 method not allowed")
	}
	return true
}

func (e *explanation) match() bool {
	path, err := route.Canonical(nil, []byte(pathOf(e.url)))
	if err != nil {
		e.step("match", "400", "%v", err)
		return e.end("400 %v", err)
	}
	if string(path) != pathOf(e.url) {
		e.step("match", "path "+string(path), "dot segments resolved")
	}
	if e.explainReport(path) {
		return false
	}
	table := e.g.snapshot.Table
	for _, s := range table.Explain([]byte(e.url.Host), path) {
		decision := "passed over"
		if s.Chosen {
			decision = "chosen"
		}
		e.step("match", fmt.Sprintf("route %s %s", s.Name, decision), "host %s, path %s: %s", s.Hosts, s.Path, s.Reason)
	}
	i := table.Match([]byte(e.url.Host), path)
	if i < 0 {
		if i == route.UnknownHost {
			return e.end("404 no route for host %s", e.url.Host)
		}
		return e.end("404 no route")
	}
	e.route, e.path = &e.g.snapshot.Routes[i], path
	return !e.redirected()
}

func pathOf(u *url.URL) string {
	if p := u.EscapedPath(); p != "" {
		return p
	}
	return "/"
}

func (e *explanation) admit() bool {
	if !e.access() {
		return false
	}
	limit := "any size"
	if e.route.MaxBody >= 0 {
		limit = "up to " + configs.Size(e.route.MaxBody).String()
	}
	e.step("admit", "body "+limit, "max_body of route %s; a larger one is 413", e.route.Name)
	e.limits()
	e.guard()
	e.waf()
	e.headers()
	e.compress()
	return true
}

// choose shows the split and who could serve each group; which group a request without stickiness gets is a matter of its number, so shares are shown.
func (e *explanation) choose() {
	s := e.route.Service
	var live, lost []string
	var mask balancer.LiveMask
	members := s.Split.Members()
	for i := range s.Groups {
		group := &s.Groups[i]
		d := e.g.describeGroup(s, i)
		reason := fmt.Sprintf("weight %s %%", d.Weight)
		if o := e.g.runtime.Services[s.Name]; o.Weights != nil && e.g.voids[s.Name] == "" {
			reason += " by runtime overlay of " + o.By
		}
		if d.Mark != nil {
			reason += fmt.Sprintf(", %s by %s: no new clients", d.Mark.State, d.Mark.By)
		}
		e.step("choose", fmt.Sprintf("group %s %s", group.Name, d.State), "%s", reason)
		if set := group.Pool.Live(); set.Len() > 0 && !set.Fallback() {
			mask = mask.With(i)
		}
		for _, t := range d.Targets {
			e.step("choose", fmt.Sprintf("target %s %s", t.Address, t.State), "in flight %d, latency %.1f ms%s", t.InFlight, t.LatencyMS, suffix(t))
		}
		switch {
		case !members.Has(i):
		case mask.Has(i):
			live = append(live, fmt.Sprintf("%s (%s %%)", group.Name, d.Weight))
		default:
			lost = append(lost, fmt.Sprintf("%s %% of %s", d.Weight, group.Name))
		}
	}
	if e.placed(mask) {
		return
	}
	share := strings.Join(lost, ", ")
	switch {
	case len(live) > 0 && len(lost) > 0 && s.WhenEmpty == balancer.EmptyOther:
		e.step("choose", "the others take "+share, "when_empty = \"other\": groups with weight and a live target")
	case len(live) > 0 && len(lost) > 0:
		e.step("choose", "nobody takes "+share, "when_empty = \"fail\"")
		live = append(live, share+" answered 503 unless an unhealthy target answers after all")
	case members == 0:
		e.end("503 %s: every group with weight drains or is evicted", proxy.NoGroup)
		return
	case len(live) == 0:
		e.end("503 unless an unhealthy target answers after all: no group with weight has a live target")
		return
	}
	e.rollout()
	e.balance()
	e.forwards(fmt.Sprintf("forwarded to %s: %s", s.Name, strings.Join(live, ", ")))
}

func suffix(t admin.Target) string {
	switch {
	case t.Mark != nil:
		return fmt.Sprintf(", %s by %s", t.Mark.State, t.Mark.By)
	case t.ConcurrencyLimit > 0 && t.Working >= t.ConcurrencyLimit:
		return fmt.Sprintf(", passed over: at its limit of %d", t.ConcurrencyLimit)
	case t.EjectedUntil != nil:
		return ", ejected until " + t.EjectedUntil.Format("15:04:05")
	case t.LastError != "":
		return ", last error: " + t.LastError
	}
	return ""
}
