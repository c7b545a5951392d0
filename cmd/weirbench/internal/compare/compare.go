// Package compare runs the side-by-side bench: the same scenarios against nginx, HAProxy and weir (HTTP/2 also beside net/http) in
// interleaved rounds, one proxy at a time alone on its core, origin and load on another. It judges
// weir by the issues' demands. It refuses to average noise away: ratios are taken inside a round, and
// a trial with failed requests gives no figure.
package compare

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/valor-ivx/weir/cmd/weirbench/internal/peer"
	"github.com/valor-ivx/weir/cmd/weirbench/internal/proc"
)

// Options of a run.
type Options struct {
	Scenarios []string    // names; empty for all
	Proxies   []peer.Name // in the order of a round
	Rounds    int
	Quick     bool   // short windows and few connections: mechanics only, nothing is judged
	Weir      string // weir's program
	ProxyCore int    // or proc.AnyCore
	LoadCore  int    // or proc.AnyCore
	Files     uint64 // open files each process may have
	Command   string // for the report
	Progress  io.Writer
}

// trialWithin bounds one trial: four times the longest one on an idle machine.
const trialWithin = 2 * time.Minute

// Names of all scenarios, in report order.
func Names() []string {
	var names []string
	for _, s := range scenarios() {
		names = append(names, s.name)
	}
	return names
}

// Run measures and returns what it found. What could not be measured (a program that is missing, a
// trial that failed) is a note in the result; the error is for a run that cannot go on. Everything
// it starts has ended when it returns.
func Run(ctx context.Context, o Options) (_ *Result, err error) {
	chosen, err := choose(o.Scenarios)
	if err != nil {
		return nil, err
	}
	if o.Rounds < 1 {
		return nil, fmt.Errorf("run %d rounds: want at least 1", o.Rounds)
	}
	r := newResult(ctx, o)
	b := &bench{Options: o, result: r, win: fullWindows, binaries: make(map[peer.Name]string)}
	if o.Quick {
		b.win = quickWindows
	}
	if err := b.findPrograms(chosen); err != nil {
		return nil, err
	}
	if b.dir, err = os.MkdirTemp("", "weirbench-"); err != nil {
		return nil, fmt.Errorf("make folder: %w", err)
	}
	defer os.RemoveAll(b.dir)
	if b.cert, err = peer.NewCertificate(filepath.Join(b.dir, "tls")); err != nil {
		return nil, err
	}
	b.origin, err = peer.StartOrigin(ctx, filepath.Join(b.dir, "origin"), o.LoadCore, o.Files)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.origin.Stop()) }()
	for _, s := range chosen {
		if err := b.run(ctx, s); err != nil {
			return nil, err
		}
	}
	r.finish()
	return r, nil
}

func choose(names []string) ([]scenario, error) {
	all := scenarios()
	if len(names) == 0 {
		return all, nil
	}
	var chosen []scenario
	for _, n := range names {
		at := slices.IndexFunc(all, func(s scenario) bool { return s.name == n })
		if at < 0 {
			return nil, fmt.Errorf("choose scenario %q: not one of %s", n, strings.Join(Names(), ", "))
		}
		chosen = append(chosen, all[at])
	}
	return chosen, nil
}

// bench is a run in progress.
type bench struct {
	Options
	result   *Result
	win      windows
	dir      string
	cert     *peer.Certificate
	origin   *peer.Running
	binaries map[peer.Name]string
	tools    map[peer.Name]bool // the load programs that are there
	checked  map[peer.Name]bool
}

// findPrograms notes what is missing and goes on with the rest, unless nothing is left to compare.
func (b *bench) findPrograms(chosen []scenario) error {
	if _, err := peer.Binary(peer.Nginx, ""); err != nil {
		return fmt.Errorf("find the origin: %w", err)
	}
	b.tools = make(map[peer.Name]bool)
	for _, s := range chosen {
		if _, known := b.tools[s.tool]; known || s.tool == "" {
			continue
		}
		_, err := peer.Binary(s.tool, "")
		if b.tools[s.tool] = err == nil; err != nil {
			b.result.missing(err)
		}
	}
	for _, n := range b.Proxies {
		path, err := peer.Binary(n, b.Weir)
		if err != nil {
			b.result.missing(err)
			continue
		}
		b.binaries[n] = path
	}
	if len(b.binaries) == 0 {
		return fmt.Errorf("compare: none of the proxies is there: %s", strings.Join(b.result.Notes, "; "))
	}
	b.checked = make(map[peer.Name]bool)
	return nil
}

// run measures one scenario: round by round, each proxy once a round.
func (b *bench) run(ctx context.Context, s scenario) error {
	if s.tool != "" && !b.tools[s.tool] {
		return nil // noted as missing; its rows do not appear
	}
	rows := b.result.add(s)
	for round := 1; round <= b.Rounds; round++ {
		for _, n := range b.Proxies {
			if b.binaries[n] == "" || !s.fits(n) {
				continue
			}
			label := fmt.Sprintf("%s, round %d, %s", s.name, round, n.Title())
			values, err := b.try(ctx, s, n, label)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				b.result.failure(label, err)
				values = slices.Repeat([]float64{math.NaN()}, len(s.figures))
			}
			for i, row := range rows {
				row.add(n, values[i])
			}
			fmt.Fprintf(b.Progress, "%s: %s\n", label, progress(s, values, err))
		}
	}
	return nil
}

func progress(s scenario, values []float64, err error) string {
	if err != nil {
		return err.Error()
	}
	var parts []string
	for i, f := range s.figures {
		parts = append(parts, fmt.Sprintf("%s %s %s", f.Name, number(values[i]), f.Unit))
	}
	return strings.Join(parts, ", ")
}

// trial is one proxy under one scenario in one round.
type trial struct {
	scenario scenario
	win      windows
	program  peer.Program // that proxy is a process of, and the job it has
	job      peer.Job
	proxy    *peer.Running
	slow     []*peer.SlowOrigin
	dir      string
	loadCore int
	note     func(format string, args ...any)
}

// try starts the proxy, checks that it does the same job as the others, measures, and ends it.
func (b *bench) try(ctx context.Context, s scenario, n peer.Name, label string) (_ []float64, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, trialWithin, fmt.Errorf("no end after %v", trialWithin))
	defer cancel()
	t := &trial{scenario: s, win: b.win, loadCore: b.LoadCore, dir: filepath.Join(b.dir, "trial")}
	t.note = func(format string, args ...any) {
		b.result.Notes = append(b.result.Notes, label+": "+fmt.Sprintf(format, args...))
	}
	defer os.RemoveAll(t.dir)
	defer func() { err = errors.Join(err, t.stopSlow()) }()
	job, err := b.job(s, t)
	if err != nil {
		return nil, err
	}
	t.job = job
	t.program = peer.Program{Name: n, Binary: b.binaries[n], Dir: t.dir, Core: b.ProxyCore}
	t.proxy, err = peer.Start(ctx, t.program, job)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, t.proxy.Stop()) }()
	if err := b.check(ctx, n, t); err != nil {
		return nil, err
	}
	return s.measure(ctx, t)
}

func (b *bench) job(s scenario, t *trial) (peer.Job, error) {
	job := peer.Job{Log: s.log, Files: b.Files, Guarded: s.guarded, Rollout: s.rollout}
	var err error
	if job.Listen, err = peer.FreeAddr(); err != nil {
		return job, err
	}
	if job.Admin, err = peer.FreeAddr(); err != nil {
		return job, err
	}
	if s.web {
		if job.Web, err = peer.NewWeb(t.dir); err != nil {
			return job, err
		}
	}
	if s.tls {
		job.TLS, job.H2, job.H3 = b.cert, s.h2, s.h3
	}
	for _, delay := range s.slow {
		o, err := peer.StartSlowOrigin(delay)
		if err != nil {
			return job, err
		}
		t.slow = append(t.slow, o)
		job.Origins = append(job.Origins, o.Addr)
	}
	if s.workers > 0 {
		o, err := peer.StartWorkers(s.workers, s.work)
		if err != nil {
			return job, err
		}
		t.slow, job.Most = append(t.slow, o), s.workers
		job.Origins = append(job.Origins, o.Addr)
	}
	if len(job.Origins) == 0 {
		job.Origins, job.H2C = []netip.AddrPort{b.origin.Addr}, s.h2c
		if s.h2c {
			job.Origins[0] = b.origin.H2
		}
	}
	if need := uint64(b.win.connections + 2000); b.Files < need {
		return job, fmt.Errorf("open %d connections: the file limit is %d, want %d", b.win.connections, b.Files, need)
	}
	return job, nil
}

func (t *trial) stopSlow() error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second) // also after an interrupt
	defer cancel()
	var errs []error
	for _, o := range t.slow {
		errs = append(errs, o.Stop(ctx))
	}
	return errors.Join(errs...)
}

// Cores returns the cores for proxy and load, or AnyCore twice on a machine with a single one.
func Cores(machine proc.Machine, proxy, load int) (int, int) {
	if machine.Cores < 2 {
		return proc.AnyCore, proc.AnyCore
	}
	return proxy, load
}
