package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/valor-ivx/weir/proxy/admin"
)

// proof is one performance and what it showed.
type proof struct {
	options options
	out     io.Writer
	account account
}

// account is what was measured.
type account struct {
	Runs []shipment `json:"runs"`
	// MedianSeconds and LongestSeconds are from the order to ship the bad version to the state rolled_back.
	MedianSeconds  float64 `json:"median_seconds"`
	LongestSeconds float64 `json:"longest_seconds"`
	MostErrors     int     `json:"most_errors"` // that clients saw of green in one run
	Errors         int     `json:"errors"`      // in all runs
	BlueFailed     int     `json:"blue_failed"` // in everything, the whole time
	Asked          int     `json:"asked"`
	// Rate is how many requests a second were asked while versions were shipped.
	Rate float64 `json:"rate"`
	// Idle is the repaired version without any traffic, Good the same with it.
	Idle admin.Rollout `json:"idle"`
	Good shipment      `json:"good"`
}

// shipment is a version that was shipped, and what became of it.
type shipment struct {
	Seconds float64       `json:"seconds"` // from the order to its end
	Clients counts        `json:"clients"` // what they saw from the order to the last answer of what was asked before the end
	Rollout admin.Rollout `json:"rollout"`
}

const budget = 50 // max_harm, as weir has it by default

var errPromise = errors.New("not as promised")

func (p *proof) play(ctx context.Context) error {
	s, err := open(ctx, p.options)
	if err != nil {
		return err
	}
	defer s.close()
	if err := p.bad(ctx, s); err != nil {
		return err
	}
	if err := p.good(ctx, s); err != nil {
		return err
	}
	return p.judge()
}

func (p *proof) say(format string, args ...any) { fmt.Fprintf(p.out, format+"\n", args...) }

// bad ships the version that fails 5 % of its requests, again and again, under traffic that does not end in between.
func (p *proof) bad(ctx context.Context, s *stage) error {
	o := p.options
	c, err := gather(ctx, s.address, o)
	if err != nil {
		return err
	}
	defer c.stop()
	p.say("%d requests a second from %d client addresses, reads and writes in turn, all answered by blue.", o.rate, o.clients)
	if err := c.round(ctx); err != nil {
		return err
	}
	p.say("A green that passes its health checks and fails 5 %% of all else is shipped to 5 %% of them:\n\n    weir rollout api start --to green --steps 5,100 --hold 1h\n")
	began, asked := time.Now(), c.counts().Asked
	for range o.runs {
		r, err := p.ship(ctx, s, c, admin.RolloutRequest{To: "green", Steps: []admin.Weight{500, 10000}, Hold: of(admin.Duration(time.Hour)), Latency: &o.latency})
		if err != nil {
			return err
		}
		p.account.Runs = append(p.account.Runs, r)
		p.say("  %-11s after %.2f s  green failed %d of %d requests, clients saw %d of these errors (at most %d allowed); %d others, %d failed",
			strings.ReplaceAll(r.Rollout.State, "_", " "), r.Seconds, r.Rollout.Green.Failed, r.Rollout.Green.Requests, r.Clients.GreenFailed, budget, r.Clients.Blue, r.Clients.BlueFailed)
	}
	p.account.Rate = float64(c.counts().Asked-asked) / time.Since(began).Seconds()
	said, err := s.typed(ctx, "rollout", "api", "status")
	if err != nil {
		return err
	}
	p.say("\n    weir rollout api status\n%s", said)
	if err := c.round(ctx); err != nil {
		return err
	}
	p.sum(c.counts())
	return nil
}

// ship starts a rollout, waits for its end, and then for the answers to what was asked before.
func (p *proof) ship(ctx context.Context, s *stage, c *crowd, q admin.RolloutRequest) (r shipment, err error) {
	before, began := c.counts(), time.Now()
	if _, err := s.admin.StartRollout(ctx, "api", q); err != nil {
		return r, err
	}
	if r, err = p.end(ctx, s, began); err != nil {
		return r, err
	}
	err = c.round(ctx)
	r.Clients = c.counts().since(before)
	return r, err
}

// end waits for the end of a rollout.
func (p *proof) end(ctx context.Context, s *stage, began time.Time) (r shipment, err error) {
	err = await(ctx, "the rollout is over", func() (ok bool, err error) {
		r.Rollout, err = s.admin.Rollout(ctx, "api")
		return r.Rollout.Over(), err
	})
	r.Seconds = time.Since(began).Seconds()
	return r, err
}

// good ships the repaired version: first with nobody there, who could say nothing against it, then with everybody.
func (p *proof) good(ctx context.Context, s *stage) error {
	if err := s.repair(ctx); err != nil {
		return err
	}
	p.say("The repaired green, without any traffic:\n\n    weir rollout api start --to green --steps 25,100 --hold 1s --bake 1s --min-effect 0.05\n")
	began := time.Now()
	_, err := s.admin.StartRollout(ctx, "api", admin.RolloutRequest{To: "green", Steps: []admin.Weight{2500, 10000}, Hold: of(admin.Duration(time.Second)),
		Bake: of(admin.Duration(time.Second)), MinEffect: of(0.05), Latency: &p.options.latency})
	if err != nil {
		return err
	}
	err = await(ctx, "three times the hold has passed", func() (ok bool, err error) {
		p.account.Idle, err = s.admin.Rollout(ctx, "api")
		return p.account.Idle.Held >= admin.Duration(3*time.Second) || p.account.Idle.Over(), err
	})
	if err != nil {
		return err
	}
	p.say("  %s after %.1f s at step %d of 2: needs %d more requests", p.account.Idle.State, time.Since(began).Seconds(), p.account.Idle.Step, p.account.Idle.Needs)
	c, err := gather(ctx, s.address, p.options)
	if err != nil {
		return err
	}
	defer c.stop()
	p.say("The traffic is back:")
	began = time.Now()
	if p.account.Good, err = p.end(ctx, s, began); err != nil {
		return err
	}
	err = c.round(ctx)
	p.account.Good.Clients = c.counts()
	p.say("  %s after %.1f s: %d requests answered by green, %d by blue; %d failed\n", p.account.Good.Rollout.State, p.account.Good.Seconds,
		p.account.Good.Clients.Green, p.account.Good.Clients.Blue, p.account.Good.Clients.GreenFailed+p.account.Good.Clients.BlueFailed)
	p.account.Asked += p.account.Good.Clients.Asked
	p.account.BlueFailed += p.account.Good.Clients.BlueFailed
	return err
}

// sum adds the runs up.
func (p *proof) sum(all counts) {
	a := &p.account
	var took []float64
	for _, r := range a.Runs {
		took = append(took, r.Seconds)
		a.MostErrors = max(a.MostErrors, r.Clients.GreenFailed)
	}
	slices.Sort(took)
	n := len(took)
	a.MedianSeconds, a.LongestSeconds = (took[(n-1)/2]+took[n/2])/2, took[n-1]
	a.Asked, a.Errors, a.BlueFailed = all.Asked, all.GreenFailed, all.BlueFailed
}

// judge holds what was measured to what weir promises.
func (p *proof) judge() error {
	a := &p.account
	var broken []string
	promise := func(kept bool, format string, args ...any) {
		if !kept {
			broken = append(broken, fmt.Sprintf(format, args...))
		}
	}
	for i, r := range a.Runs {
		promise(r.Rollout.State == "rolled_back", "run %d is %s: %s", i+1, r.Rollout.State, r.Rollout.Reason)
		promise(r.Clients.GreenFailed <= budget, "run %d: clients saw %d errors", i+1, r.Clients.GreenFailed)
		promise(r.Clients.Green+r.Clients.GreenFailed > 0, "run %d: green was never asked", i+1)
	}
	promise(a.MedianSeconds <= p.options.within.Seconds(), "the median is %.2f s, more than %s", a.MedianSeconds, p.options.within)
	promise(a.BlueFailed == 0, "%d requests failed that green did not fail", a.BlueFailed)
	promise(a.Idle.State == "holding" && a.Idle.Step == 1 && a.Idle.Needs > 0, "without traffic it is %s at step %d", a.Idle.State, a.Idle.Step)
	promise(a.Good.Rollout.State == "promoted" && a.Good.Clients.GreenFailed == 0, "the repaired version is %s, %d failed: %s", a.Good.Rollout.State, a.Good.Clients.GreenFailed, a.Good.Rollout.Reason)
	if len(broken) > 0 {
		return fmt.Errorf("%w: %s", errPromise, strings.Join(broken, "; "))
	}
	p.say("The bad version was taken back after %.2f s (median of %d, longest %.2f s). Of %d requests clients saw %d fail, all of them the bad version's; blue failed none.",
		a.MedianSeconds, len(a.Runs), a.LongestSeconds, a.Asked, a.Errors)
	return nil
}

func of[T any](v T) *T { return &v }
