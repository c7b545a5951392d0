package deploy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valor-ivx/weir/cmd/weir/internal/client"
	"github.com/valor-ivx/weir/cmd/weir/internal/show"
	"github.com/valor-ivx/weir/proxy/admin"
)

// Options say what to ship and for how long to wait for it.
type Options struct {
	Client  *client.Client
	Service string
	// Request starts the rollout; its To may be empty when only one group has no weight.
	Request admin.RolloutRequest
	// Targets are the addresses that the group must have, all of them and no others; nil: whichever it has.
	Targets []string
	// Wait follows the rollout to its end, for Timeout at most. Healthy is how long the targets may take to be healthy, before anything is begun.
	Wait             bool
	Healthy, Timeout time.Duration
	// Signals end the waiting. While a rollout is under way the first interrupt only says what leaving means.
	Signals <-chan os.Signal
	// Progress is told what happens, a line at a time.
	Progress io.Writer
	// Command is how to type this again.
	Command string
}

// look is the time between two looks at the server.
const look = 200 * time.Millisecond

// errTimedOut ends waiting; leftError does so because somebody wants to.
var errTimedOut = errors.New("timed out")

type leftError struct{ signal os.Signal }

// Error is shown where nothing was begun.
func (e *leftError) Error() string { return "left by " + e.signal.String() }

// deployment is one Run. Its own goroutine listens to signals; all else is the caller's.
type deployment struct {
	Options
	begun atomic.Bool // a rollout may be under way: set before it is asked for
	mu    sync.Mutex  // guards Progress: both goroutines have something to say
	lost  bool        // the server did not answer the last time
	shown string      // of the rollout, as it was last told
	told  time.Time
	until time.Time // of its timeline, what was looked at
}

// Run ships. An error is one that nothing came of: a verdict says how anything else ended.
func Run(ctx context.Context, o Options) (Verdict, error) {
	d := &deployment{Options: o}
	ctx, cancel := context.WithCancelCause(ctx)
	listened := make(chan struct{})
	go func() { // ends with ctx
		defer close(listened)
		d.listen(ctx, cancel)
	}()
	defer func() {
		cancel(nil)
		<-listened
	}()
	v := Verdict{Schema: Schema, Service: o.Service, Command: o.Command, Targets: []string{}, Steps: []Step{}}
	service, err := o.Client.Service(ctx, o.Service)
	if err != nil {
		return v, err
	}
	if d.Request.To, err = groupOf(service, o.Request.To); err != nil {
		return v, err
	}
	v.To = d.Request.To
	started, err := d.ship(ctx, service, &v)
	v.end(d, started, err)
	switch {
	case v.Word == "":
		return v, err
	case started == nil:
		return v, nil
	}
	if now, err := d.Client.Service(context.WithoutCancel(ctx), o.Service); err == nil {
		v.Weights = now.Weights()
	}
	return v, nil
}

// ship is everything up to the last that is known of the rollout; nil: none was begun.
func (d *deployment) ship(ctx context.Context, service admin.Service, v *Verdict) (*admin.Rollout, error) {
	healthy, cancel := context.WithTimeoutCause(ctx, d.Healthy, errTimedOut)
	targets, err := d.awaitHealthy(healthy, service)
	cancel()
	v.Targets = append(v.Targets, targets...)
	if err != nil {
		return nil, err
	}
	wait, cancel := context.WithTimeoutCause(ctx, d.Timeout, errTimedOut)
	defer cancel()
	r, err := d.begin(ctx, wait)
	if err != nil || !d.Wait {
		return r, err
	}
	return d.follow(wait, *r)
}

// listen acts on signals until ctx ends.
func (d *deployment) listen(ctx context.Context, cancel context.CancelCauseFunc) {
	said := false
	for {
		select {
		case <-ctx.Done():
			return
		case s := <-d.Signals:
			if s != os.Interrupt || !d.begun.Load() || said {
				cancel(&leftError{s})
				return
			}
			said = true
			d.say("the rollout is weir's and goes on without this command, which goes on waiting for it: Ctrl-C again leaves\n"+
				"  weir rollout %[1]s status --wait   follows it again\n  weir rollout %[1]s abort           takes the traffic back", d.Service)
		}
	}
}

func (d *deployment) say(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	fmt.Fprintf(d.Progress, format+"\n", args...)
}

// groupOf is the group to ship: the one that was named, or the only one without weight.
func groupOf(s admin.Service, to string) (string, error) {
	var idle []string
	for _, g := range s.Groups {
		if g.Name == to {
			return to, nil
		}
		if g.Weight == 0 {
			idle = append(idle, g.Name)
		}
	}
	switch {
	case to != "":
		return "", fmt.Errorf("service %s has no group %q (groups: %s)", s.Name, to, strings.Join(s.Names(), ", "))
	case len(idle) != 1:
		return "", fmt.Errorf("say which group to ship: --to GROUP (groups without weight: %d of %s)", len(idle), strings.Join(s.Names(), ", "))
	}
	return idle[0], nil
}

// begin starts the rollout, or finds one to the same group under way: that of a command which was left, or whose answer was lost. wait bounds the waiting for a server that is away, and
// not the asking: an answer on its way would be lost, and with it what was begun.
func (d *deployment) begin(ctx, wait context.Context) (*admin.Rollout, error) {
	d.begun.Store(true)
	was, err := d.last(ctx, wait)
	if err != nil {
		return nil, err
	}
	if was != nil && !was.Over() && was.To == d.Request.To && plain(d.Request) {
		d.say("a rollout to %s is under way, started by %s: following that one", was.To, was.By)
		if n := len(was.Timeline); n > 0 {
			d.until = was.Timeline[n-1].At
		}
		return was, nil
	}
	for {
		r, err := d.Client.StartRollout(ctx, d.Service, d.Request)
		if err == nil {
			return &r, nil
		}
		if !d.outage(wait, err) {
			return nil, causeOr(wait, err)
		}
		// It may have begun all the same.
		now, err := d.last(ctx, wait)
		if err != nil {
			return nil, err
		}
		if now != nil && now.To == d.Request.To && (was == nil || !now.Started.Equal(was.Started)) {
			return now, nil
		}
	}
}

// plain reports a request that overrides nothing of the service's settings: one under way has none of its own either, or they were meant.
func plain(q admin.RolloutRequest) bool {
	return q.Steps == nil && q.Hold == nil && q.Bake == nil && q.WarmUp == nil && q.Tolerance == nil && q.Alpha == nil && q.MaxHarm == nil && q.MinEffect == nil && q.Latency == nil
}

// last is the service's last rollout, nil before the first. It waits for a server that does not answer, as long as wait.
func (d *deployment) last(ctx, wait context.Context) (*admin.Rollout, error) {
	for {
		r, err := d.Client.Rollout(ctx, d.Service)
		var p *admin.Problem
		switch {
		case err == nil:
			d.back()
			return &r, nil
		case errors.As(err, &p) && p.Status == http.StatusNotFound:
			d.back()
			return nil, nil
		case !d.outage(wait, err):
			return nil, causeOr(wait, err)
		}
	}
}

// outage reports an error that may pass, as that of a weir which restarts, and waits a little.
func (d *deployment) outage(ctx context.Context, err error) bool {
	var p *admin.Problem
	if ctx.Err() != nil || errors.As(err, &p) && p.Status < http.StatusInternalServerError {
		return false
	}
	if !d.lost {
		d.lost = true
		d.say("weir does not answer, trying again: %v", err)
	}
	return pause(ctx)
}

// back tells that the server answers again.
func (d *deployment) back() {
	if d.lost {
		d.lost = false
		d.say("weir answers again")
	}
}

// pause waits for the next look; false: ctx has ended.
func pause(ctx context.Context) bool {
	t := time.NewTimer(look)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// causeOr is why ctx has ended, if it has, else err.
func causeOr(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// errReplaced ends the following of a rollout that is no longer the service's last.
var errReplaced = errors.New("the service's weights were reset, or another rollout was started: this one is over")

// again is how often a rollout that does not move is told of.
const again = 30 * time.Second

// follow watches to the end. A group whose targets do not pass a probe that weir makes for this rollout is not healthy, whatever was known of it before.
func (d *deployment) follow(ctx context.Context, seen admin.Rollout) (*admin.Rollout, error) {
	began := time.Now()
	for {
		d.tell(seen)
		if seen.Over() {
			return &seen, nil
		}
		if dead(seen) && time.Since(began) > d.Healthy {
			missing := seen.Reason
			if aborted, err := d.Client.TellRollout(ctx, d.Service, admin.RolloutAbort); err == nil {
				seen = aborted
			}
			return &seen, &unhealthyError{missing}
		}
		if !pause(ctx) {
			return &seen, context.Cause(ctx)
		}
		now, err := d.last(ctx, ctx)
		switch {
		case err != nil:
			return &seen, err
		case now == nil || !now.Started.Equal(seen.Started):
			return &seen, errReplaced
		}
		seen = *now
	}
}

// dead reports a rollout that waits before its first step for a target that lives, and for nothing else.
func dead(r admin.Rollout) bool {
	return r.Step == 0 && r.State == "holding" && r.Prewarm == nil && !strings.HasPrefix(r.Reason, "paused ")
}

// tell prints a rollout when it has come further, and now and then when it has not.
func (d *deployment) tell(r admin.Rollout) {
	d.catchUp(r)
	if now := fmt.Sprint(r.State, r.Step, r.Reason); now == d.shown && time.Since(d.told) < again {
		return
	} else {
		d.shown, d.told = now, time.Now()
	}
	line := show.RolloutLine(d.Service, r)
	if r.Reason != "" {
		line += ": " + show.Clean(r.Reason)
	}
	switch {
	case r.Over():
	case r.Needs > 0 && r.NeedsTime > 0:
		line += fmt.Sprintf("; needs %d more requests of it, %s at this rate", r.Needs, time.Duration(r.NeedsTime))
	case r.Needs > 0:
		line += fmt.Sprintf("; needs %d more requests of it", r.Needs)
	}
	d.say("%s", line)
}

// catchUp prints what came and went between two looks: a step can be short, and a machine busy.
func (d *deployment) catchUp(r admin.Rollout) {
	for i, m := range r.Timeline {
		if !m.At.After(d.until) {
			continue
		}
		d.until = m.At
		then := r
		then.State, then.Step, then.Weight, then.Reason = m.State, m.Step, m.Weight, m.Reason
		if now := fmt.Sprint(m.State, m.Step, m.Reason); i < len(r.Timeline)-1 && now != d.shown {
			d.shown, d.told = now, time.Now()
			d.say("%s", show.RolloutMoment(d.Service, then))
		}
	}
}
