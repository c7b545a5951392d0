package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/valor-ivx/weir/cmd/weir/internal/client"
	"github.com/valor-ivx/weir/cmd/weir/internal/show"
	"github.com/valor-ivx/weir/proxy/admin"
)

// Exit codes of a rollout that was waited for: 0 is promoted.
const (
	exitRolledBack = 4
	exitTimedOut   = 5
)

// rolloutFlags are what a rollout verb can be told.
type rolloutFlags struct {
	to, steps, pace      string
	hold, bake           time.Duration
	prewarm, warmUp      time.Duration
	tolerance, alpha     float64
	maxHarm              int
	minEffect            float64
	latency, wait, print bool
	limit                time.Duration
}

func (sh *shell) rolloutVerb() *cobra.Command {
	var o rolloutFlags
	cmd := sh.asking(&cobra.Command{
		Use:   "rollout SERVICE start | status | pause | resume | promote | abort",
		Short: "Move traffic to a new group by evidence, and back when something speaks against it",
		Example: "  weir rollout api start --to green --wait\n  weir rollout api start --steps 5,50,100 --hold 30s\n" +
			"  weir rollout api status\n  weir rollout api abort",
		Long: "Move traffic to a new group step by step, judged by what its requests come to, and all of it back when something speaks against the group.\n\n" +
			"With --wait: exit 0 promoted, 4 rolled back or aborted, 5 not over within --wait-timeout (it goes on).",
		Args: cobra.ExactArgs(2),
	}, func(cmd *cobra.Command, c *client.Client, args []string) error {
		return sh.rollout(cmd, c, o, args)
	})
	o.flags(cmd.Flags())
	return cmd
}

func (o *rolloutFlags) flags(f *pflag.FlagSet) {
	f.StringVar(&o.to, "to", "", "start: the `GROUP` to move to (default: the only one without weight)")
	f.StringVar(&o.steps, "steps", "", "start: weights in `PERCENT,PERCENT,…`, the last one 100 (default, as for all that follows: the service's)")
	f.StringVar(&o.pace, "pace", "", "start: steps, or evidence for the first step and then weights as large as --max-harm allows")
	f.DurationVar(&o.hold, "hold", 0, "start: least time at each step")
	f.DurationVar(&o.bake, "bake", 0, "start: least time at 100 %")
	f.DurationVar(&o.prewarm, "prewarm", 0, "start: longest time for asking the group for what others were asked for lately, before the first step")
	f.DurationVar(&o.warmUp, "warm-up", 0, "start: time in which requests are no evidence")
	f.Float64Var(&o.tolerance, "tolerance", 0, "start: how many times as often as the others the group may fail")
	f.Float64Var(&o.alpha, "alpha", 0, "start: chance that a good group is rolled back")
	f.IntVar(&o.maxHarm, "max-harm", 0, "start: failed requests beyond the tolerated ones, at most")
	f.Float64Var(&o.minEffect, "min-effect", 0, "start: rise of the rate of failures that each step must have been able to show")
	f.BoolVar(&o.latency, "latency", false, "start: whether slow answers count")
	f.BoolVar(&o.wait, "wait", false, "start, status: wait for the end and tell it by the exit code")
	f.DurationVar(&o.limit, "wait-timeout", time.Hour, "how long --wait waits")
	f.BoolVar(&o.print, "json", false, "print the admin API's JSON")
}

// rollout says, waits and shows.
func (sh *shell) rollout(cmd *cobra.Command, c *client.Client, o rolloutFlags, args []string) error {
	service, action := args[0], args[1]
	ctx := cmd.Context()
	var r admin.Rollout
	var err error
	switch action {
	case "status":
		r, err = c.Rollout(ctx, service)
	case "start":
		var q admin.RolloutRequest
		if q, err = o.request(cmd.Flags()); err != nil {
			return usageError{err}
		}
		r, err = c.StartRollout(ctx, service, q)
	case "pause", "resume", "promote", "abort":
		r, err = c.TellRollout(ctx, service, admin.RolloutCommand(action))
	default:
		return usageError{fmt.Errorf("rollout %q: it is start, status, pause, resume, promote or abort", action)}
	}
	if err != nil {
		return err
	}
	if o.wait && (action == "start" || action == "status") {
		return sh.awaitRollout(ctx, c, waited{service, r, o})
	}
	return sh.printRollout(service, r, o)
}

func (sh *shell) printRollout(service string, r admin.Rollout, o rolloutFlags) error {
	if !o.print {
		show.Rollout(sh.stdout, service, r)
		return nil
	}
	b, err := json.Marshal(r)
	if err == nil {
		_, err = fmt.Fprintf(sh.stdout, "%s\n", b)
	}
	return err
}

// request is what was typed, and nothing else: the rest is the service's.
func (o *rolloutFlags) request(f *pflag.FlagSet) (q admin.RolloutRequest, err error) {
	q.To = o.to
	if f.Changed("steps") {
		for word := range strings.SplitSeq(o.steps, ",") {
			w, err := admin.ParseWeight(strings.TrimSpace(word))
			if err != nil {
				return q, fmt.Errorf("step %q %w", word, err)
			}
			q.Steps = append(q.Steps, w)
		}
	}
	for name, set := range map[string]func(){
		"pace": func() { q.Pace = &o.pace },
		"hold": func() { q.Hold = (*admin.Duration)(&o.hold) }, "bake": func() { q.Bake = (*admin.Duration)(&o.bake) },
		"prewarm": func() { q.Prewarm = (*admin.Duration)(&o.prewarm) }, "warm-up": func() { q.WarmUp = (*admin.Duration)(&o.warmUp) }, "tolerance": func() { q.Tolerance = &o.tolerance }, "alpha": func() { q.Alpha = &o.alpha },
		"max-harm": func() { q.MaxHarm = &o.maxHarm }, "min-effect": func() { q.MinEffect = &o.minEffect }, "latency": func() { q.Latency = &o.latency },
	} {
		if f.Changed(name) {
			set()
		}
	}
	return q, nil
}

// waited is a rollout that is waited for, as it was last seen.
type waited struct {
	service string
	seen    admin.Rollout
	flags   rolloutFlags
}

// awaitRollout watches until the end. A weir that restarts meanwhile is waited for: the rollout goes on in the next process.
func (sh *shell) awaitRollout(ctx context.Context, c *client.Client, w waited) error {
	service, seen, o := w.service, w.seen, w.flags
	ctx, cancel := context.WithTimeout(ctx, o.limit)
	defer cancel()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	said := ""
	for {
		r, err := c.Rollout(ctx, service)
		var gone *client.UnreachableError
		switch {
		case err == nil:
			seen = r
			if now := fmt.Sprint(r.State, r.Step, r.Reason); now != said && !o.print {
				said = now
				fmt.Fprintln(sh.stdout, show.RolloutLine(service, r))
			}
			if r.Over() {
				return sh.endOfRollout(service, r, o)
			}
		case ctx.Err() == nil && !errors.As(err, &gone):
			return err
		}
		select {
		case <-ctx.Done():
			if err := sh.printRollout(service, seen, o); err != nil {
				return err
			}
			fmt.Fprintf(sh.stderr, "weir: the rollout is not over after %s; it goes on\n", o.limit)
			return exitError(exitTimedOut)
		case <-tick.C:
		}
	}
}

func (sh *shell) endOfRollout(service string, r admin.Rollout, o rolloutFlags) error {
	if err := sh.printRollout(service, r, o); err != nil {
		return err
	}
	if r.State != "promoted" {
		return exitError(exitRolledBack)
	}
	return nil
}
