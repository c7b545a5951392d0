package admin

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
)

func (a *api) setWeights(ctx context.Context, c command) (answer, error) {
	w, err := ParseWeights(c.body)
	if err != nil {
		return answer{}, err
	}
	c.record.after = w.String()
	name := c.request.PathValue("s")
	// Asking first gives the complaint about names even to a Control that forgets it; the Control's own check,
	// under its lock, is the one that counts.
	now, err := a.control.Service(name)
	if err != nil {
		return answer{}, err
	}
	c.record.before = now.Posture()
	if err := w.Check(now.Names()); err != nil {
		return answer{}, err
	}
	before, after, err := a.control.SetWeights(ctx, name, w, c.Change)
	return c.changed(before, after, err)
}

func (a *api) resetWeights(ctx context.Context, c command) (answer, error) {
	if err := c.noBody(); err != nil {
		return answer{}, err
	}
	before, after, err := a.control.ResetWeights(ctx, c.request.PathValue("s"), c.Change)
	return c.changed(before, after, err)
}

// changed notes a change of weights, or an order, as it happened under the Control's lock.
func (c command) changed(before, after Service, err error) (answer, error) {
	if err != nil {
		return answer{}, err
	}
	c.record.before, c.record.after = before.Posture(), after.Posture()
	return answer{body: after, tag: after.Version}, nil
}

func (a *api) stop(_ context.Context, c command) (answer, error) {
	if err := c.noBody(); err != nil {
		return answer{}, err
	}
	mode := StopGracefully
	if q := c.request.URL.Query(); q.Has("now") {
		now, err := strconv.ParseBool(q.Get("now"))
		if q.Get("now") != "" && err != nil {
			return answer{}, &SyntaxError{Err: errors.New("now is neither true nor false")}
		}
		if q.Get("now") == "" || now {
			mode = StopNow
		}
	}
	if !c.Match.HoldsForAction() {
		return answer{}, ErrConflict
	}
	pid := a.control.Status().PID
	c.record.before, c.record.after = "running", "stopping, "+mode.String()
	if err := a.control.Stop(mode, c.Change); err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusAccepted, body: StopResult{PID: pid, Mode: mode.String()}}, nil
}

func (a *api) reopenLogs(_ context.Context, c command) (answer, error) {
	if err := c.noBody(); err != nil {
		return answer{}, err
	}
	if !c.Match.HoldsForAction() {
		return answer{}, ErrConflict
	}
	if err := a.control.ReopenLogs(c.Change); err != nil {
		return answer{}, err
	}
	return answer{body: struct{}{}}, nil
}

// noBody refuses a body nobody would read: whoever sends one means something that will not happen.
func (c command) noBody() error {
	if s := strings.TrimSpace(string(c.body)); s != "" && s != "{}" {
		return &SyntaxError{Err: errors.New("this call takes no body")}
	}
	return nil
}
