package compare_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/valor-ivx/weir/cmd/weirbench/internal/compare"
	"github.com/valor-ivx/weir/cmd/weirbench/internal/peer"
	"github.com/valor-ivx/weir/cmd/weirbench/internal/proc"
)

// options are those of a quick run that pins as the real one does.
func options(t *testing.T) compare.Options {
	t.Helper()
	for _, n := range []peer.Name{peer.Nginx, peer.HAProxy, "wrk", "h2load"} {
		if _, err := peer.Binary(n, ""); err != nil {
			if os.Getenv("WEIR_TEST_ALL") == "1" {
				t.Fatal(err)
			}
			t.Skipf("skipped: needs %s (make deps)", n)
		}
	}
	files, err := proc.RaiseFiles()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", t.TempDir())
	o := compare.Options{
		Proxies: []peer.Name{peer.Nginx, peer.HAProxy}, Rounds: 1, Quick: true, Weir: "no/such/weir",
		Files: files, Command: "weirbench compare -quick", Progress: t.Output(),
	}
	o.ProxyCore, o.LoadCore = compare.Cores(proc.ThisMachine(), 0, 1)
	return o
}

// Every scenario gives every figure for both peers, and nothing is left behind.
func TestQuickRunOfAllScenarios(t *testing.T) {
	r, err := compare.Run(t.Context(), options(t))
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Notes) > 0 || r.Failures > 0 {
		t.Errorf("%d failures: %s", r.Failures, strings.Join(r.Notes, "\n"))
	}
	seen := map[string]bool{}
	for _, w := range r.Rows {
		seen[w.Scenario] = true
		for _, n := range []peer.Name{peer.Nginx, peer.HAProxy} {
			v := w.Values[n]
			alone := w.Scenario == "h3-get" || w.Scenario == "guarded" || w.Scenario == "rollout" || w.Scenario == "observed" // of weir
			if alone || n == peer.Nginx && strings.HasSuffix(w.Scenario, "-to-h2c") || n == peer.HAProxy && strings.HasPrefix(w.Scenario, "files-") {
				if len(v) > 0 {
					t.Errorf("%s: %s has %v, and cannot do it", w.Scenario, n, v)
				}
				continue
			}
			if len(v) != 1 {
				t.Errorf("%s, %s, %s: values %v", w.Scenario, w.Name, n, v)
				continue
			}
			if w.Unit == "µs/request" && !(v[0] > 1 && v[0] < 5000) || w.Unit == "µs/MiB" && !(v[0] > 20 && v[0] < 50000) || w.Unit == "µs/handshake" && !(v[0] > 30 && v[0] < 20000) {
				t.Errorf("%s, %s: %v %s is not plausible", w.Scenario, n, v[0], w.Unit)
			}
			if w.Name == "errors" && v[0] != 0 {
				t.Errorf("%s, %s: %v errors", w.Scenario, n, v[0])
			}
			// Least connections sends the slow origin some requests, but fewer than a third.
			if w.Name == "on the slow one" && !(v[0] > 0.5 && v[0] < 30) {
				t.Errorf("%s: %v %% on the slow one", n, v[0])
			}
		}
		if w.Verdict != compare.NoDemand && w.Verdict != compare.NotJudged {
			t.Errorf("%s: a quick run was judged: %s", w.Scenario, w.Verdict)
		}
	}
	for _, name := range compare.Names() {
		if !seen[name] {
			t.Errorf("no figure for %s", name)
		}
		if !strings.Contains(r.Markdown(), "`"+name+"`") {
			t.Errorf("%s is not in the report", name)
		}
	}
	left, err := filepath.Glob(filepath.Join(os.TempDir(), "weirbench-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// Without a load program its scenarios are left out and named; a run that needs none says nothing.
func TestMissingLoadProgramIsNoted(t *testing.T) {
	o := options(t)
	nginx, err := peer.Binary(peer.Nginx, "")
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	if err := os.Symlink(nginx, filepath.Join(bin, "nginx")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin)
	o.Proxies = []peer.Name{peer.Nginx}
	for scenario, note := range map[string]string{"h2-get": "find h2load", "h1-get": "find wrk", "idle-10k": ""} {
		o.Scenarios = []string{"idle-10k", scenario}
		r, err := compare.Run(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		notes := strings.Join(r.Notes, "\n")
		if !strings.Contains(notes, note) || note == "" && notes != "" || len(r.Notes) > 1 || r.Failures > 0 {
			t.Errorf("%s: notes %q", scenario, notes)
		}
		for _, w := range r.Rows {
			if w.Scenario != "idle-10k" {
				t.Errorf("a row for %s", w.Scenario)
			}
		}
	}
}

func TestMissingWeirIsNoted(t *testing.T) {
	o := options(t)
	o.Proxies = append(o.Proxies, peer.Weir)
	o.Scenarios = []string{"idle-10k"}
	r, err := compare.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "no/such/weir") || !strings.Contains(r.Notes[0], "make build") {
		t.Errorf("notes %q", r.Notes)
	}
	if len(r.Rows) != 1 || r.Failures != 0 {
		t.Errorf("%d rows, %d failures", len(r.Rows), r.Failures)
	}
}

// A weir that starts but is no proxy costs its own column only.
func TestBrokenWeirIsAFailureNotAnEnd(t *testing.T) {
	o := options(t)
	o.Weir = filepath.Join(t.TempDir(), "weir")
	if err := os.WriteFile(o.Weir, []byte("#!/bin/sh\necho \"$@: not today\"; exit 1\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	o.Proxies, o.Scenarios = []peer.Name{peer.Weir, peer.Nginx}, []string{"idle-10k"}
	r, err := compare.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if r.Failures != 1 || len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "weir.toml: not today") {
		t.Errorf("%d failures, notes %q", r.Failures, r.Notes)
	}
	if v := r.Rows[0].Values[peer.Nginx]; len(v) != 1 || !(v[0] > 0) {
		t.Errorf("nginx beside it: %v", v)
	}
}

func TestInterruptEndsTheRunAndWhatItStarted(t *testing.T) {
	o := options(t)
	ctx, cancel := context.WithCancel(t.Context())
	o.Progress = writer(func(p []byte) (int, error) { cancel(); return len(p), nil }) // after the first trial
	_, err := compare.Run(ctx, o)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Run = %v", err)
	}
	left, err := filepath.Glob(filepath.Join(os.TempDir(), "weirbench-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	tree, err := proc.Tree(os.Getpid())
	if err != nil || len(tree) != 1 {
		t.Errorf("processes left behind: %v, %v", tree, err)
	}
}

type writer func([]byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }

func TestRunRefuses(t *testing.T) {
	for name, o := range map[string]compare.Options{
		"unknown scenario": {Scenarios: []string{"h9"}, Rounds: 1},
		"no rounds":        {Scenarios: []string{"h1-get"}},
	} {
		if _, err := compare.Run(t.Context(), o); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

func TestCores(t *testing.T) {
	if p, l := compare.Cores(proc.Machine{Cores: 1}, 0, 1); p != proc.AnyCore || l != proc.AnyCore {
		t.Errorf("one core: %d, %d", p, l)
	}
	if p, l := compare.Cores(proc.Machine{Cores: 8}, 2, 5); p != 2 || l != 5 {
		t.Errorf("eight cores: %d, %d", p, l)
	}
}
