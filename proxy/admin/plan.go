package admin

import (
	"context"
	"fmt"
)

// PlanRequest asks what a reload would do: POST /v1/plan.
type PlanRequest struct {
	// Path is a file in the folder of the running configuration, which only those can write who can change that one too; empty: the configuration's own.
	Path string `json:"path,omitempty"`
}

// Plan is what a reload of a file would do.
type Plan struct {
	Path string `json:"path"`
	// Generation is the one in force, which the file is held against, and Version its entity tag, without quotes: as the If-Match of the reload it makes sure that
	// nothing came between.
	Generation uint64 `json:"generation"`
	Version    string `json:"version"`
	// Unchanged says that a reload would do nothing.
	Unchanged bool `json:"unchanged"`
	// Changed names what differs, as in ReloadResult. Never null.
	Changed []string `json:"changed"`
	// Effects are what live traffic would notice. Never null.
	Effects  []Effect `json:"effects"`
	Warnings []Detail `json:"warnings,omitempty"`
}

// Effect is one thing that live traffic would notice.
type Effect struct {
	// Subject is what it happens to: "listener web", "service api", "service api, group green, target 10.0.0.3:5002".
	Subject string `json:"subject"`
	// Text says what happens, with the numbers of now.
	Text string `json:"text"`
}

// plan is a write to the audit log's eyes, because it reads files and binds sockets for a moment; it changes nothing.
func (a *api) plan(ctx context.Context, c command) (answer, error) {
	var q PlanRequest
	if err := objectOrNone(c.body, "read plan request", &q); err != nil {
		return answer{}, err
	}
	c.record.subject = q.Path
	p, err := a.control.Plan(ctx, q, c.Change)
	if err != nil {
		return answer{}, err
	}
	c.record.after = fmt.Sprintf("%d changes, %d effects", len(p.Changed), len(p.Effects))
	return answer{body: p, tag: p.Version}, nil
}
