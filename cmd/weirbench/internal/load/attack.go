package load

import (
	"context"
	"crypto/tls"
	"fmt"
	"slices"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
	"github.com/tsenart/vegeta/v12/lib/plot"

	"github.com/valor-ivx/weir/cmd/weirbench/internal/proc"
)

const (
	// timeout is how long one request may take; an edge under overload must have answered by then,
	// if only to refuse.
	timeout = 10 * time.Second
	// late is for how long after the end requests are still sent that were due before it: the pacer knows when there are none left, and this ends an attack on an edge
	// that cannot keep up. Without it a generator that stood still for the last moment would leave out what was due then. An overload is not to be kept up with, and ends on time.
	late = 10 * time.Second
	// workers bound the requests in flight, and with them sockets and memory, of both sides.
	workers = 2000
	// probeWorkers and probeFor find the capacity that overload exceeds: a closed loop, like compare's.
	probeWorkers = 64
	probeFor     = 3 * time.Second
	// plotPoints a series keep the page in the megabytes at hundreds of thousands of hits.
	plotPoints = 4000
)

// Options of a run.
type Options struct {
	Target   string // URL of the edge
	Profile  string // steady, spike or overload
	Rate     int    // steady and the spike's base, requests per second; zero for the profile's own
	Duration time.Duration
	Command  string // for the report
}

// Run attacks and returns what was seen. The load never outlives the call.
func Run(ctx context.Context, o Options) (*Report, error) {
	targets, err := Targets(ctx, o.Target)
	if err != nil {
		return nil, err
	}
	r := &Report{Options: o, Date: time.Now().UTC(), Machine: proc.ThisMachine(), LoadStart: loadAverage()}
	steps, err := r.steps(ctx, targets)
	if err != nil {
		return nil, err
	}
	r.Steps = make([]StepReport, len(steps))
	for i, s := range steps {
		r.Steps[i].Step = s
	}
	r.plot = plot.New(plot.Title("weir under "+o.Profile+" load"), plot.Label(plot.ErrorLabeler),
		plot.Downsample(plotPoints))
	stairs := Stairs(steps)
	var begin time.Time
	length := stairs.Total()
	if o.Profile != "overload" {
		length += late
	}
	err = run{targets: targets, pacer: stairs, length: length}.attack(ctx, func(hit *vegeta.Result) error {
		if begin.IsZero() {
			begin = hit.Timestamp // results come in the order they end; the first hit was sent at about zero
		}
		at := min(stairs.At(hit.Timestamp.Sub(begin)), len(steps)-1)
		r.Steps[at].Metrics.Add(hit)
		return r.plot.Add(hit)
	})
	if err != nil {
		return nil, err
	}
	for i := range r.Steps {
		r.Steps[i].Metrics.Close()
	}
	r.LoadEnd = loadAverage()
	return r, nil
}

// steps plans the profile; overload first measures what it has to exceed.
func (r *Report) steps(ctx context.Context, targets []vegeta.Target) ([]Step, error) {
	switch r.Options.Profile {
	case "steady":
		return Steady(orElse(r.Options.Rate, 500), orElse(r.Options.Duration, 20*time.Second))
	case "spike":
		return Spike(orElse(r.Options.Rate, 300), orElse(r.Options.Duration, 30*time.Second))
	case "overload":
		d := orElse(r.Options.Duration, 15*time.Second)
		if _, err := Overload(1, d); err != nil {
			return nil, err // before the probe
		}
		var err error
		if r.Capacity, err = capacity(ctx, targets); err != nil {
			return nil, err
		}
		return Overload(r.Capacity, d)
	default:
		return nil, fmt.Errorf("choose profile %q: want steady, spike or overload", r.Options.Profile)
	}
}

func orElse[T comparable](value, otherwise T) T {
	var zero T
	if value == zero {
		return otherwise
	}
	return value
}

// capacity is the rate of good answers that a closed loop gets.
func capacity(ctx context.Context, targets []vegeta.Target) (float64, error) {
	var m vegeta.Metrics
	closed := run{
		targets: targets, pacer: vegeta.Rate{}, length: probeFor,
		opts: []func(*vegeta.Attacker){vegeta.Workers(probeWorkers), vegeta.MaxWorkers(probeWorkers)},
	}
	err := closed.attack(ctx, func(hit *vegeta.Result) error {
		m.Add(hit)
		return nil
	})
	if err != nil {
		return 0, err
	}
	m.Close()
	if m.Throughput == 0 {
		return 0, fmt.Errorf("measure capacity: no good answer in %v: %v", probeFor, m.Errors)
	}
	return m.Throughput, nil
}

// run is one use of vegeta.
type run struct {
	targets []vegeta.Target
	pacer   vegeta.Pacer
	length  time.Duration
	opts    []func(*vegeta.Attacker) // over those every run has
}

// attack sends at the pacer's pace and hands over every result. When ctx ends it stops sending and
// waits for what is in flight.
func (r run) attack(ctx context.Context, each func(*vegeta.Result) error) error {
	opts := slices.Concat([]func(*vegeta.Attacker){
		vegeta.MaxWorkers(workers),
		vegeta.Connections(workers), // idle connections kept: fewer would make it a test of handshakes
		vegeta.Timeout(timeout),
		vegeta.Redirects(vegeta.NoFollow), // a redirect must not lead to another machine
		vegeta.Proxy(nil),
		// The demo's certificate comes from its own CA; what is tested is load, not trust.
		vegeta.TLSConfig(&tls.Config{InsecureSkipVerify: true}),
	}, r.opts)
	attacker := vegeta.NewAttacker(opts...)
	defer context.AfterFunc(ctx, func() { attacker.Stop() })()
	var first error
	for hit := range attacker.Attack(inTurn(r.targets), r.pacer, r.length, "weir") {
		if first == nil {
			if first = each(hit); first != nil {
				attacker.Stop()
			}
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return first
}

func loadAverage() string {
	load, err := proc.LoadAverage()
	if err != nil {
		return err.Error()
	}
	return load
}
