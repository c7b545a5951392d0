package admin_test

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valor-ivx/weir/proxy/admin"
)

var start = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// fakeControl keeps the promises of admin.Control for one service, "api", over plain fields.
type fakeControl struct {
	orders  []admin.Order
	mu      sync.Mutex // guards everything below
	weights admin.Weights
	overlay *admin.Overlay
	rollout *admin.Rollout
	shadow  *admin.Shadow
	asked   admin.RolloutRequest
	confirm time.Duration // of the last reload
	version int

	reload  func() (admin.ReloadResult, error)
	slow    func(context.Context)
	explain func(admin.ExplainRequest) (admin.Explanation, error)
	ready   []admin.Check
	stops   []admin.StopMode
	reopens int
	broken  error

	series  chan bool // told true when a series of frames begins, false when it ends
	frames  chan int  // each makes a frame of so many seconds
	emitted chan int  // told when it is with the watchers

	full     atomic.Bool // there are as many taps as may be
	tapped   chan uint64 // each makes a request for a tap, with so many missed before it
	untapped chan bool   // told when a tap is closed
}

func newFake() *fakeControl {
	return &fakeControl{
		series: make(chan bool, 16), frames: make(chan int), emitted: make(chan int, 1),
		tapped: make(chan uint64), untapped: make(chan bool, 16),
		weights: admin.Weights{"blue": 10000, "green": 0},
		ready:   []admin.Check{{Name: "config", OK: true}, {Name: "listeners", OK: true}},
		reload: func() (admin.ReloadResult, error) {
			return admin.ReloadResult{Generation: 2, Changed: []string{"service.api"}}, nil
		},
		explain: func(q admin.ExplainRequest) (admin.Explanation, error) {
			return admin.Explanation{Outcome: q.Method + " " + q.URL + " from " + q.ClientIP}, nil
		},
	}
}

func (f *fakeControl) state() admin.Service {
	s := admin.Service{Name: "api", Epoch: 1, Version: fmt.Sprint("v", f.version), Overlay: f.overlay, Rollout: f.rollout}
	for _, name := range []string{"blue", "green"} {
		s.Groups = append(s.Groups, admin.Group{
			Name: name, Weight: f.weights[name], State: "live",
			Targets: []admin.Target{{Address: "127.0.0.1:5002", State: "healthy", InFlight: 1}},
		})
	}
	return s
}

func (f *fakeControl) Status() admin.Status {
	f.mu.Lock()
	defer f.mu.Unlock()
	return admin.Status{
		Version: "weir test", PID: 42, State: "running", StartedAt: start, Generation: 1,
		Services: []admin.Service{f.state()},
	}
}

func (f *fakeControl) Service(name string) (admin.Service, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.broken != nil {
		return admin.Service{}, f.broken
	}
	if name != "api" {
		return admin.Service{}, fmt.Errorf("service %q: %w", name, admin.ErrNotFound)
	}
	return f.state(), nil
}

func (f *fakeControl) SetWeights(_ context.Context, name string, w admin.Weights, c admin.Change) (before, after admin.Service, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	before = f.state()
	if !c.Match.Holds(before.Version) {
		return before, before, admin.ErrConflict
	}
	if err := w.Check(before.Names()); err != nil {
		return before, before, err
	}
	f.weights, f.version = w, f.version+1
	f.overlay = &admin.Overlay{Since: start, By: c.By, Weights: w, FileWeights: admin.Weights{"blue": 10000, "green": 0}}
	return before, f.state(), nil
}

func (f *fakeControl) ResetWeights(_ context.Context, name string, c admin.Change) (before, after admin.Service, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	before = f.state()
	if name != "api" {
		return before, before, admin.ErrNotFound
	}
	if !c.Match.Holds(before.Version) {
		return before, before, admin.ErrConflict
	}
	f.weights, f.overlay, f.version = admin.Weights{"blue": 10000, "green": 0}, nil, f.version+1
	return before, f.state(), nil
}

func (f *fakeControl) Steer(_ context.Context, name string, o admin.Order, c admin.Change) (before, after admin.Service, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	before = f.state()
	if !c.Match.Holds(before.Version) {
		return before, before, admin.ErrConflict
	}
	f.orders, f.version = append(f.orders, o), f.version+1
	return before, f.state(), nil
}

func (f *fakeControl) Upgrade(context.Context, admin.Change) (admin.UpgradeResult, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.broken != nil {
		return admin.UpgradeResult{}, f.broken
	}
	return admin.UpgradeResult{Before: 42, PID: 43, Version: "weir newer"}, nil
}

func (f *fakeControl) Plan(_ context.Context, q admin.PlanRequest, c admin.Change) (admin.Plan, error) {
	if !c.Match.Holds("g1") {
		return admin.Plan{}, admin.ErrConflict
	}
	return admin.Plan{Path: q.Path, Generation: 1, Version: "g1", Changed: []string{"a"}, Effects: []admin.Effect{}}, nil
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
	return admin.Incident{Schema: admin.IncidentSchema, IncidentSummary: admin.IncidentSummary{ID: "20260102T030405.000Z-api"}}
}

func (f *fakeControl) Reload(ctx context.Context, confirm time.Duration, c admin.Change) (admin.ReloadResult, error) {
	f.mu.Lock()
	f.confirm = confirm
	f.mu.Unlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	if !c.Match.Holds("g1") {
		return admin.ReloadResult{}, admin.ErrConflict
	}
	if f.slow != nil {
		f.slow(ctx)
	}
	return f.reload()
}

func (f *fakeControl) ConfirmReload(c admin.Change) (admin.ReloadResult, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.confirm == 0 {
		return admin.ReloadResult{}, admin.ErrNothingUnconfirmed
	}
	f.confirm = 0
	return admin.ReloadResult{Generation: 2, Unchanged: true}, nil
}

func (f *fakeControl) RevertReload(context.Context, admin.Change) (admin.ReloadResult, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.confirm == 0 {
		return admin.ReloadResult{}, admin.ErrNothingUnconfirmed
	}
	f.confirm = 0
	return admin.ReloadResult{Generation: 3}, nil
}

func (f *fakeControl) Explain(_ context.Context, q admin.ExplainRequest) (admin.Explanation, error) {
	return f.explain(q)
}

func (f *fakeControl) Config() admin.ConfigView {
	return admin.ConfigView{Path: "weir.toml", Generation: 1, Version: "g1", Config: json.RawMessage(`{"admin":{"token":"redacted"}}`)}
}

func (f *fakeControl) Certificates() []admin.Certificate { return nil }

func (f *fakeControl) CSPReports() []admin.CSPReport {
	return []admin.CSPReport{{Headers: "app", Directive: "script-src", Blocked: "inline"}}
}

func (f *fakeControl) ECH() admin.ECH {
	return admin.ECH{PublicName: "cover.example", ConfigList: "AAEC"}
}

func (f *fakeControl) Ready() []admin.Check {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ready
}

func (f *fakeControl) Stop(mode admin.StopMode, _ admin.Change) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stops = append(f.stops, mode)
	return f.broken
}

func (f *fakeControl) ReopenLogs(admin.Change) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reopens++
	return f.broken
}

func (f *fakeControl) Errors() admin.RequestErrors {
	return admin.RequestErrors{Errors: []admin.RequestError{{Number: 1, Path: "/a", Status: 502}}}
}

func (f *fakeControl) Requests(q admin.RequestQuery) admin.Requests {
	return admin.Requests{Requests: []admin.RequestSummary{{Path: fmt.Sprint(q)}}}
}

// Tap gives what is sent to taps, each with what the query was as its path.
func (f *fakeControl) Tap(q admin.RequestQuery) (*admin.Tap, error) {
	if f.full.Load() {
		return nil, admin.ErrManyTaps
	}
	q.Limit = 0
	return &admin.Tap{
		Next: func(ctx context.Context) (*admin.RequestSummary, uint64) {
			select {
			case missed := <-f.tapped:
				return &admin.RequestSummary{Path: fmt.Sprintf("%+v", q), Status: 200}, missed
			case <-ctx.Done():
				return nil, 0
			}
		},
		Close: func() { f.untapped <- true },
	}, nil
}

func (f *fakeControl) Frames(ctx context.Context, emit func(admin.Frame)) {
	f.series <- true
	defer func() { f.series <- false }()
	for {
		select {
		case n := <-f.frames:
			emit(admin.Frame{Seconds: float64(n), Status: f.Status()})
			f.emitted <- n
		case <-ctx.Done():
			return
		}
	}
}
