package admin

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// ErrNothingUnconfirmed is returned by a Control whose configuration in force need not be confirmed: 409.
var ErrNothingUnconfirmed = errors.New("the configuration in force does not wait to be confirmed: nobody asked for that, or it was confirmed or taken back already")

// The time in which a configuration can be asked to be confirmed: less is over before anybody has looked, and who needs more should not have to.
const (
	leastConfirm = time.Second
	mostConfirm  = 24 * time.Hour
)

// Unconfirmed is a configuration in force that goes unless somebody confirms it.
type Unconfirmed struct {
	Since time.Time `json:"since"`
	Until time.Time `json:"until"`
	By    string    `json:"by"`
	// Generation is the one whose configuration comes back then.
	Generation uint64 `json:"generation"`
	// Error says why it could not come back when it should have; it is tried again.
	Error string `json:"error,omitempty"`
}

// String says so in one line.
func (u *Unconfirmed) String() string {
	text := fmt.Sprintf("the configuration in force is not confirmed (reload of %s by %s): at %s that of generation %d comes back, unless weir reload confirm", u.Since.Local().Format(time.TimeOnly), u.By,
		u.Until.Local().Format(time.TimeOnly), u.Generation)
	if u.Error != "" {
		text += "; it could not: " + u.Error
	}
	return text
}

func (a *api) reload(ctx context.Context, c command) (answer, error) {
	if err := c.noBody(); err != nil {
		return answer{}, err
	}
	var confirm time.Duration
	if q := c.request.URL.Query(); q.Has("confirm") {
		var err error
		if confirm, err = time.ParseDuration(q.Get("confirm")); err != nil || confirm < leastConfirm || confirm > mostConfirm {
			return answer{}, &SyntaxError{Err: fmt.Errorf("confirm=%s: it is a duration from %s to %s, as 60s", q.Get("confirm"), leastConfirm, mostConfirm)}
		}
	}
	return a.reloaded(c, func() (ReloadResult, error) { return a.control.Reload(ctx, confirm, c.Change) })
}

func (a *api) confirmReload(_ context.Context, c command) (answer, error) {
	if err := c.noBody(); err != nil {
		return answer{}, err
	}
	return a.reloaded(c, func() (ReloadResult, error) { return a.control.ConfirmReload(c.Change) })
}

func (a *api) revertReload(ctx context.Context, c command) (answer, error) {
	if err := c.noBody(); err != nil {
		return answer{}, err
	}
	return a.reloaded(c, func() (ReloadResult, error) { return a.control.RevertReload(ctx, c.Change) })
}

// reloaded does what changes the configuration in force, or whether it stays, and records both.
func (a *api) reloaded(c command, do func() (ReloadResult, error)) (answer, error) {
	before := a.control.Status()
	c.record.before = "generation " + strconv.FormatUint(before.Generation, 10) + unconfirmedMark(before.Config.Unconfirmed)
	res, err := do()
	if err != nil {
		return answer{}, err
	}
	c.record.after = "generation " + strconv.FormatUint(res.Generation, 10) + unconfirmedMark(res.Unconfirmed)
	if res.Changed == nil {
		res.Changed = []string{}
	}
	return answer{body: res}, nil
}

// unconfirmedMark is for the audit log.
func unconfirmedMark(u *Unconfirmed) string {
	if u == nil {
		return ""
	}
	return ", unconfirmed"
}
