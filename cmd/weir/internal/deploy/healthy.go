package deploy

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/valor-ivx/weir/cmd/weir/internal/show"
	"github.com/valor-ivx/weir/proxy/admin"
)

// unhealthyError is a group that did not become healthy in time.
type unhealthyError struct{ missing string }

// Error says what was missing at the last look.
func (e *unhealthyError) Error() string { return e.missing }

// awaitHealthy waits until the group has the targets that were named and all it has are healthy, and returns them. seen is the service at the first look.
func (d *deployment) awaitHealthy(ctx context.Context, seen admin.Service) (targets []string, err error) {
	said := ""
	for {
		var missing string
		if targets, missing = wanting(seen, d.Request.To, d.Targets); missing == "" {
			d.say("%s is healthy: %s", show.Clean(d.Request.To), show.Clean(strings.Join(targets, ", ")))
			return targets, nil
		}
		if missing != said {
			said = missing
			d.say("waiting for %s, %s at most: %s", show.Clean(d.Request.To), d.Healthy, show.Clean(missing))
		}
		for again := true; again; {
			if !pause(ctx) {
				return targets, unhealthy(ctx, missing)
			}
			now, err := d.Client.Service(ctx, d.Service)
			switch again = err != nil; {
			case !again:
				d.back()
				seen = now
			case !d.outage(ctx, err) && ctx.Err() == nil:
				return targets, err
			}
		}
	}
}

// unhealthy is why the waiting ended with something missing: its time was over, or somebody left.
func unhealthy(ctx context.Context, missing string) error {
	if cause := context.Cause(ctx); cause != errTimedOut {
		return cause
	}
	return &unhealthyError{missing}
}

// wanting says what a group lacks to be shipped; "": nothing.
func wanting(s admin.Service, group string, named []string) (targets []string, missing string) {
	i := slices.IndexFunc(s.Groups, func(g admin.Group) bool { return g.Name == group })
	if i < 0 {
		return nil, "the configuration has no such group any more"
	}
	for _, t := range s.Groups[i].Targets {
		targets = append(targets, t.Address)
	}
	if named != nil {
		has, wants := slices.Sorted(slices.Values(targets)), slices.Sorted(slices.Values(named))
		if !slices.Equal(has, slices.Compact(wants)) {
			return targets, fmt.Sprintf("its targets are %s, not %s: name them in the configuration and reload it", orNone(has), strings.Join(wants, ", "))
		}
	}
	if len(targets) == 0 {
		return targets, "it has no targets"
	}
	var why []string
	for _, t := range s.Groups[i].Targets {
		switch {
		case t.Mark != nil:
			why = append(why, fmt.Sprintf("%s is %s by %s", t.Address, t.Mark.State, t.Mark.By))
		case t.State != "healthy" && t.LastError != "":
			why = append(why, fmt.Sprintf("%s is %s: %s", t.Address, t.State, t.LastError))
		case t.State != "healthy":
			why = append(why, fmt.Sprintf("%s is %s", t.Address, t.State))
		case t.EjectedUntil != nil && t.EjectedUntil.After(time.Now()):
			why = append(why, fmt.Sprintf("%s is ejected", t.Address))
		}
	}
	return targets, strings.Join(why, "; ")
}

func orNone(list []string) string {
	if len(list) == 0 {
		return "none"
	}
	return strings.Join(list, ", ")
}
