package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/BurntSushi/toml"
	"go.uber.org/zap"

	"github.com/valor-ivx/weir/proxy/admin"
)

// control is the Server as the admin API sees it.
type control struct{ s *Server }

var _ admin.Control = control{}

// Status implements admin.Control.
func (c control) Status() admin.Status { return c.s.status() }

// Service implements admin.Control.
func (c control) Service(name string) (admin.Service, error) {
	g, number := c.s.look()
	if g.services[name] == nil {
		return admin.Service{}, admin.ErrNotFound
	}
	d := c.s.describe(g, name)
	d.Number = number
	return d, nil
}

// SetWeights implements admin.Control.
func (c control) SetWeights(ctx context.Context, service string, w admin.Weights, ch admin.Change) (before, after admin.Service, err error) {
	return c.s.setWeights(ctx, service, w, ch)
}

// ResetWeights implements admin.Control.
func (c control) ResetWeights(ctx context.Context, service string, ch admin.Change) (before, after admin.Service, err error) {
	return c.s.resetWeights(ctx, service, ch)
}

// Steer implements admin.Control.
func (c control) Steer(ctx context.Context, service string, o admin.Order, ch admin.Change) (before, after admin.Service, err error) {
	return c.s.steer(ctx, service, o, ch)
}

// Reload implements admin.Control.
func (c control) Reload(ctx context.Context, confirm time.Duration, ch admin.Change) (admin.ReloadResult, error) {
	if c.s.upgrading.Load() {
		return admin.ReloadResult{}, busy()
	}
	result, err := c.s.reload(ctx, order{trigger: "admin", match: ch.Match, confirm: confirm, by: ch.By})
	return c.reloaded(result, err)
}

// ConfirmReload implements admin.Control.
func (c control) ConfirmReload(ch admin.Change) (admin.ReloadResult, error) {
	if c.s.upgrading.Load() {
		return admin.ReloadResult{}, busy()
	}
	if err := c.s.confirm(ch.Match); err != nil {
		return admin.ReloadResult{}, err
	}
	return c.reloaded(applied{generation: c.s.current.Load().number, unchanged: true}, nil)
}

// RevertReload implements admin.Control.
func (c control) RevertReload(ctx context.Context, ch admin.Change) (admin.ReloadResult, error) {
	if c.s.upgrading.Load() {
		return admin.ReloadResult{}, busy()
	}
	result, err := c.s.takeBack(ctx, ch.Match)
	return c.reloaded(result, err)
}

// reloaded is what came of a reload in the admin API's words.
func (c control) reloaded(result applied, err error) (admin.ReloadResult, error) {
	if err != nil {
		return admin.ReloadResult{}, notInForce(err)
	}
	r := admin.ReloadResult{Generation: result.generation, Unchanged: result.unchanged, Changed: result.changed, Unconfirmed: c.s.unconfirmed.Load().describe()}
	for _, w := range result.warnings {
		r.Warnings = append(r.Warnings, admin.Detail{Message: w})
	}
	g := c.s.current.Load()
	for _, note := range g.runtime.notes(g.plan.config) {
		r.Warnings = append(r.Warnings, admin.Detail{Message: note})
	}
	return r, nil
}

// notInForce is why a configuration is not in force, as the admin API says it.
func notInForce(err error) error {
	switch {
	case errors.Is(err, admin.ErrConflict), errors.Is(err, admin.ErrNothingUnconfirmed):
		return err
	case errors.Is(err, errStopping):
		return admin.ErrStopping
	}
	return &admin.InvalidError{Title: "Configuration refused", Details: details(err)}
}

// Plan implements admin.Control.
func (c control) Plan(_ context.Context, q admin.PlanRequest, ch admin.Change) (admin.Plan, error) {
	p, err := c.s.forecast(q.Path, ch.Match)
	if err != nil {
		return admin.Plan{}, notInForce(err)
	}
	return p, nil
}

// Config implements admin.Control.
func (c control) Config() admin.ConfigView {
	g := c.s.current.Load()
	view := admin.ConfigView{Path: c.s.options.ConfigPath, Generation: g.number, Version: g.tag()}
	var tree map[string]any
	err := toml.Unmarshal(g.plan.config.TOML(), &tree)
	if err == nil {
		view.Config, err = json.Marshal(tree)
	}
	if err != nil { // what we print ourselves reads back; if it ever does not, say so instead of an empty answer
		view.Config, _ = json.Marshal(map[string]string{"error": fmt.Sprintf("print configuration: %v", err)})
	}
	return view
}

// Certificates implements admin.Control.
func (c control) Certificates() []admin.Certificate {
	list := []admin.Certificate{}
	for _, i := range append(c.s.certs.Store().List(time.Now()), c.s.managed()...) {
		list = append(list, admin.Certificate{
			Subject: i.Subject, Names: i.Names, Issuer: i.Issuer, Serial: i.Serial, KeyType: i.KeyType,
			NotBefore: i.NotBefore, NotAfter: i.NotAfter, Source: i.File,
			State: i.State, Error: i.Error, NextAttempt: i.NextAttempt,
		})
	}
	return list
}

// Ready implements admin.Control.
func (c control) Ready() []admin.Check {
	g := c.s.current.Load()
	stopping := c.s.stopping.Load() && !c.s.handed.Load() // whoever asks next asks the process that is ready
	checks := []admin.Check{
		{Name: "config", OK: g != nil},
		{Name: "listeners", OK: g != nil && !stopping},
		{Name: "not_draining", OK: !stopping},
	}
	if g != nil {
		checks[0].Detail = fmt.Sprintf("generation %d", g.number)
		checks[1].Detail = fmt.Sprintf("%d open", len(g.sockets))
	}
	if !c.s.handed.Load() { // its listeners are another process's
		explainReadiness(checks, g, stopping)
	}
	return checks
}

// Stop implements admin.Control.
func (c control) Stop(mode admin.StopMode, ch admin.Change) error {
	c.s.log.Info("stop asked for", zap.String("weir.by", ch.By), zap.Stringer("weir.mode", mode))
	select {
	case c.s.stops <- mode:
		return nil
	default:
		return admin.ErrStopping // two are under way already
	}
}

// ReopenLogs implements admin.Control.
func (c control) ReopenLogs(admin.Change) error { return c.s.reopenLogs() }
