package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/valor-ivx/weir/proxy/admin"
)

// fakeControl is one service of two groups. Files in dir steer it: "bad" makes reloads fail, "same" makes
// them find nothing new, "notready" takes readiness away, "deaf" makes stops do nothing, "full" refuses taps, "race" changes the
// weights before every write.
type fakeControl struct {
	dir    string
	onStop func()

	mu      sync.Mutex // guards what follows
	version int
	weights admin.Weights
	overlay *admin.Overlay
	order   admin.Order // the last one
	by      string
	rollout *admin.Rollout
	shadow  *admin.Shadow // nil: none

	unconfirmed *admin.Unconfirmed
}

var since = time.Date(2026, 11, 22, 12, 0, 0, 0, time.Local)

func (f *fakeControl) has(name string) bool {
	_, err := os.Stat(filepath.Join(f.dir, name))
	return err == nil
}

func (f *fakeControl) service() admin.Service {
	s := admin.Service{Name: "api", Epoch: 1, Version: fmt.Sprint(f.version), Overlay: f.overlay, Rollout: f.shown()}
	for i, name := range []string{"blue", "green"} {
		g := admin.Group{Name: name, Weight: f.weights[name], State: "live", Requests: 1000, ObservedOf: 1000, Targets: []admin.Target{
			{Address: fmt.Sprintf("127.0.0.1:500%d", 2+i), State: "healthy", InFlight: int64(i), LatencyMS: 2.125},
		}}
		share := []float64{99.9, 0.1}[i]
		g.ObservedShare = &share
		s.Groups = append(s.Groups, g)
	}
	if d := f.shadow; d != nil {
		s.Shadow = &admin.ShadowBrief{From: d.From, To: d.To, Share: d.Share, State: d.State, Reason: d.Reason, Compared: d.Compared, Differing: d.Differing, Places: d.Places}
	}
	by, _, _ := strings.Cut(f.by, "@")
	mark := &admin.Mark{State: map[admin.Verb]string{admin.Drain: "draining", admin.Evict: "evicted"}[f.order.Verb], Since: since, By: by}
	switch o := f.order; {
	case o.Verb == admin.Pause:
		s.Pause = &admin.PauseState{Since: since, By: by, Waiting: 3, MaxWaiting: o.MaxWaiting, Timeout: o.Timeout.String()}
	case o.Verb == admin.Resume:
	case o.Target == "127.0.0.1:5003":
		s.Groups[1].Targets[0].Mark = mark
	case o.Group == "green":
		s.Groups[1].Mark, s.Groups[1].State = mark, mark.State
	}
	if f.has("well") {
		return s
	}
	s.Groups[1].Targets = append(s.Groups[1].Targets, admin.Target{Address: "127.0.0.1:5004", State: "unhealthy", LastError: "connection \x1b[31mrefused"})
	return s
}

func (f *fakeControl) Status() admin.Status {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := admin.Status{
		Version: "weir 1.2.3", PID: 42, State: "running", StartedAt: time.Now().Add(-time.Hour), Generation: 4,
		Config:    admin.ConfigInfo{Path: "/etc/weir/weir.toml", Version: "c", LoadedAt: since},
		Listeners: []admin.Listener{{Name: "https", Address: "0.0.0.0:443", TLS: true, Protocols: []string{"http/1.1"}, Connections: 7}},
		Services:  []admin.Service{f.service()},
	}
	if s.Config.Unconfirmed = f.unconfirmed; f.unconfirmed != nil {
		s.Warnings = append(s.Warnings, f.unconfirmed.String())
	}
	if f.has("bad") {
		s.Config.LastReload = &admin.ReloadAttempt{At: since, Trigger: "file", Errors: badConfig}
		s.Warnings = []string{"something to know"}
	}
	return s
}

var badConfig = []admin.Detail{
	{File: "weir.toml", Line: 3, Column: 7, Message: "unknown key"}, {File: "weir.toml", Line: 9, Column: 1, Message: "no such service"},
}

func (f *fakeControl) Service(name string) (admin.Service, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if name != "api" {
		return admin.Service{}, fmt.Errorf("service %q: %w", name, admin.ErrNotFound)
	}
	return f.service(), nil
}

func (f *fakeControl) set(w admin.Weights, o *admin.Overlay, c admin.Change) (before, after admin.Service, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.has("race") {
		f.version++
	}
	before = f.service()
	if !c.Match.Given() || !c.Match.Holds(before.Version) {
		return before, before, admin.ErrConflict
	}
	f.weights, f.overlay, f.version = w, o, f.version+1
	return before, f.service(), nil
}

func (f *fakeControl) SetWeights(_ context.Context, _ string, w admin.Weights, c admin.Change) (before, after admin.Service, err error) {
	by, _, _ := strings.Cut(c.By, "@")
	return f.set(w, &admin.Overlay{Since: since, By: by, Weights: w, FileWeights: admin.Weights{"blue": 10000, "green": 0}}, c)
}

func (f *fakeControl) ResetWeights(_ context.Context, _ string, c admin.Change) (before, after admin.Service, err error) {
	return f.set(admin.Weights{"blue": 10000, "green": 0}, nil, c)
}

func (f *fakeControl) Steer(_ context.Context, _ string, o admin.Order, c admin.Change) (before, after admin.Service, err error) {
	f.mu.Lock()
	if f.version++; !c.Match.Given() || !c.Match.Holds(fmt.Sprint(f.version-1)) || f.has("race") {
		f.mu.Unlock()
		return before, after, admin.ErrConflict
	}
	before = f.service()
	f.order, f.by = o, c.By
	after = f.service()
	f.mu.Unlock()
	return before, after, nil
}

func (f *fakeControl) Plan(_ context.Context, q admin.PlanRequest, _ admin.Change) (admin.Plan, error) {
	switch {
	case f.has("bad"):
		return admin.Plan{}, &admin.InvalidError{Title: "configuration not valid", Details: badConfig}
	case f.has("same"):
		return admin.Plan{Path: q.Path, Generation: 4, Unchanged: true}, nil
	}
	return admin.Plan{
		Path: q.Path, Generation: 4, Version: "abc", Changed: []string{"service.api.group.green.weight: 0 → 25"},
		Effects: []admin.Effect{{Subject: "service api", Text: "25 % of the clients change their group"}}, Warnings: []admin.Detail{{Message: "a warning"}},
	}, nil
}

func (f *fakeControl) Incidents() ([]admin.IncidentSummary, error) {
	return []admin.IncidentSummary{incident().IncidentSummary}, nil
}

func (f *fakeControl) Incident(id string) (admin.Incident, error) {
	if id != incident().ID {
		return admin.Incident{}, admin.ErrNoIncident
	}
	return incident(), nil
}

func incident() admin.Incident {
	return admin.Incident{
		Schema: admin.IncidentSchema, Version: "devel", Generation: 3, Config: "abc", Changed: []string{"service.api.group.green.targets[10.0.0.9:1]: added"},
		IncidentSummary: admin.IncidentSummary{ID: "20260102T030405.000Z-api", At: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Service: "api", To: "green", Cause: "evidence", Reason: "green failed 9 of 100 requests"},
		Rollout: admin.Rollout{To: "green", State: "rolled_back", Steps: []admin.Weight{500, 10000}, Step: 1, Evidence: 1200, Threshold: 1000, Harm: 9, MaxHarm: 50, By: "ann",
			Curve: []admin.RolloutPoint{{EvidenceLog: 0.5, Weight: 500, Requests: 40, Failed: 2}, {EvidenceLog: 3.1, Weight: 500, Requests: 100, Failed: 9}}},
		Failed: []admin.RequestSummary{{Method: "GET", Host: "x", Path: "/a|b", Status: 500, Group: "green", Target: "10.0.0.9:1", DurationUS: 1500, RequestID: "id1"}},
		Slow:   []admin.RequestSummary{}, Others: []admin.RequestSummary{{Method: "GET", Host: "x", Path: "/a", Status: 200, Group: "blue", Target: "10.0.0.1:1", DurationUS: 900, RequestID: "id2"}},
	}
}

func (f *fakeControl) Reload(_ context.Context, confirm time.Duration, _ admin.Change) (admin.ReloadResult, error) {
	switch {
	case f.has("bad"):
		return admin.ReloadResult{}, &admin.InvalidError{Title: "configuration not valid", Details: badConfig}
	case f.has("same"):
		return admin.ReloadResult{Generation: 4, Unchanged: true}, nil
	}
	r := admin.ReloadResult{Generation: 5, Changed: []string{"service.api"}, Warnings: []admin.Detail{{Message: "127.0.0.1:5004 does not answer"}}}
	if confirm > 0 {
		f.mu.Lock()
		defer f.mu.Unlock()
		r.Unconfirmed = &admin.Unconfirmed{Since: since, Until: since.Add(confirm), By: "ann", Generation: 4}
		f.unconfirmed = r.Unconfirmed
	}
	return r, nil
}

func (f *fakeControl) ConfirmReload(admin.Change) (admin.ReloadResult, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.unconfirmed == nil {
		return admin.ReloadResult{}, admin.ErrNothingUnconfirmed
	}
	f.unconfirmed = nil
	return admin.ReloadResult{Generation: 5, Unchanged: true}, nil
}

func (f *fakeControl) RevertReload(context.Context, admin.Change) (admin.ReloadResult, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.unconfirmed == nil {
		return admin.ReloadResult{}, admin.ErrNothingUnconfirmed
	}
	f.unconfirmed = nil
	return admin.ReloadResult{Generation: 6, Changed: []string{"service.api"}}, nil
}

func (f *fakeControl) Explain(_ context.Context, q admin.ExplainRequest) (admin.Explanation, error) {
	return admin.Explanation{
		Steps: []admin.Step{
			{Phase: "begin", Decision: "client " + q.ClientIP, Reason: fmt.Sprintf("%d headers", len(q.Headers))},
			{Phase: "match", Decision: `route "api"`, Reason: "longest prefix /"},
		},
		Outcome: q.Method + " " + q.URL,
	}, nil
}

func (f *fakeControl) Config() admin.ConfigView {
	return admin.ConfigView{Config: json.RawMessage("{}")}
}

func (f *fakeControl) CSPReports() []admin.CSPReport { return []admin.CSPReport{} }

func (f *fakeControl) ECH() admin.ECH {
	if !f.has("certificates") {
		return admin.ECH{}
	}
	return admin.ECH{PublicName: "cover.example", ConfigList: "AAEC"}
}

func (f *fakeControl) Certificates() []admin.Certificate {
	if !f.has("certificates") {
		return nil
	}
	return []admin.Certificate{
		{Subject: "a.example", Issuer: "CN=R1", KeyType: "ECDSA P-256", NotAfter: time.Now().Add(80*24*time.Hour + time.Hour), Source: "acme", State: "valid"},
		{Subject: "b.example", Source: "acme", State: "failed", Error: "no address\x1b[31m in DNS", NextAttempt: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)},
	}
}

func (f *fakeControl) Ready() []admin.Check {
	return []admin.Check{{Name: "listeners", OK: !f.has("notready")}}
}

func (f *fakeControl) Upgrade(context.Context, admin.Change) (admin.UpgradeResult, error) {
	if f.has("deaf") {
		return admin.UpgradeResult{}, &admin.InvalidError{Title: "upgrade failed", Details: []admin.Detail{{File: "weir.toml", Line: 3, Column: 1, Message: "unknown key"}}}
	}
	return admin.UpgradeResult{Before: 42, PID: 43, Version: "weir newer"}, nil
}

func (f *fakeControl) Stop(admin.StopMode, admin.Change) error {
	if !f.has("deaf") {
		go f.onStop()
	}
	return nil
}

func (f *fakeControl) ReopenLogs(admin.Change) error { return nil }

func (f *fakeControl) Errors() admin.RequestErrors {
	return admin.RequestErrors{Errors: []admin.RequestError{
		{Number: 1, At: since, Method: "GET", Path: "/old", Status: 502, Service: "api", Group: "blue", Target: "127.0.0.1:5002", Reason: "connection_refused"},
	}}
}

func (f *fakeControl) Requests(q admin.RequestQuery) admin.Requests {
	if q.ID != "abc" {
		return admin.Requests{}
	}
	return admin.Requests{Requests: []admin.RequestSummary{{
		At: since, Client: "203.0.113.7", Method: "GET", Host: "example.com", Path: "/api", Proto: "HTTP/1.1", Status: 502, Reason: "connection_refused", Listener: "http", Generation: 4, Route: "api",
		RouteWhy: "any host, path /api", Service: "api", Group: "green", GroupWhy: "asked for by header X-Canary", Target: "127.0.0.1:5003", DurationUS: 5125, Attempts: 2, RequestID: q.ID,
	}}}
}

// Tap gives two requests, the second after three that were missed, and then nothing.
func (f *fakeControl) Tap(q admin.RequestQuery) (*admin.Tap, error) {
	if f.has("full") {
		return nil, admin.ErrManyTaps
	}
	list := []admin.RequestSummary{
		{At: since, Client: "203.0.113.7", Method: "GET", Host: "example.com", Path: "/api/\x1b[31mred", Status: 200, Route: "api", RouteWhy: "any host, path /api", Service: "api", Group: "green",
			Dealt: "green", GroupWhy: "asked for by header X-Canary", Target: "127.0.0.1:5003", DurationUS: 5125, BytesOut: 42, Attempts: 1, RequestID: "abc"},
		{At: since.Add(time.Second), Client: "::1", Method: "POST", Host: "example.com", Path: "/api/dcf", Status: 502, Reason: "connection_refused", Route: "api", RouteWhy: "any host, path /api",
			Service: "api", Group: "blue", Dealt: "green", GroupWhy: fmt.Sprintf("for status %d of %s", q.Status, q.Client), Target: "127.0.0.1:5002", DurationUS: 250_000, Attempts: 2, RequestID: "def"},
	}
	told := 0
	return &admin.Tap{
		Next: func(ctx context.Context) (*admin.RequestSummary, uint64) {
			if told == len(list) {
				<-ctx.Done()
				return nil, 0
			}
			told++
			return &list[told-1], uint64(3 * (told - 1))
		},
		Close: func() {},
	}, nil
}

func (f *fakeControl) Frames(ctx context.Context, emit func(admin.Frame)) {
	s := f.Status()
	s.StartedAt = since
	frame := admin.Frame{
		At: since.Add(time.Hour), Status: s, Connections: admin.ConnectionRates{Open: 7, Accepted: 1.5, Refused: 0},
		Groups: []admin.GroupRates{
			{Service: "api", Group: "blue", Requests: 949.6, ClientErrors: 3, Latency: &admin.Quantiles{P50: 1.5, P95: 2.25, P99: 31}, InFlight: 4},
			{Service: "api", Group: "green", ServerErrors: 0.2, Requests: 1},
		},
		Routes: []admin.RouteRates{
			{Route: "files", Requests: 900.4, ClientErrors: 3},
			{Route: "api\x1b[31m", Requests: 50, ServerErrors: 0.2, Left: 1.25, Latency: &admin.Quantiles{P50: 2, P95: 18.4, P99: 31}},
			{Route: "-"},
		},
		RoutesOmitted: 9_997,
	}
	emit(frame)
	frame.Seconds = 1
	frame.Limits = []admin.LimitRates{{Name: "login", Allowed: 12, Limited: 2.5}}
	frame.Ended = []admin.ReasonRate{{Reason: "rate_limited", PerSecond: 2.5}}
	frame.Certificates = admin.CertificateSummary{Total: 2, First: []admin.Certificate{{Subject: "b.example", State: "failed"}}}
	frame.Errors = []admin.RequestError{{Number: 2, At: since, Method: "GET", Path: "/new\x1b[31m" + strings.Repeat("x", 60), Status: 503}}
	emit(frame)
	<-ctx.Done()
}
