package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/valor-ivx/weir/proxy/admin"
)

// Status is the whole live state.
func (c *Client) Status(ctx context.Context) (admin.Status, error) {
	var s admin.Status
	return s, c.do(ctx, call{method: http.MethodGet, path: "/v1/status"}, &s)
}

// RawStatus is the same as the server wrote it, for --json.
func (c *Client) RawStatus(ctx context.Context) (json.RawMessage, error) {
	var raw json.RawMessage
	return raw, c.do(ctx, call{method: http.MethodGet, path: "/v1/status"}, &raw)
}

// Certificates are those that TLS listeners can present, and the names that have none yet.
func (c *Client) Certificates(ctx context.Context) ([]admin.Certificate, error) {
	var list []admin.Certificate
	return list, c.do(ctx, call{method: http.MethodGet, path: "/v1/certificates"}, &list)
}

// ECH is what clients need for Encrypted Client Hello; empty when it is off.
func (c *Client) ECH(ctx context.Context) (admin.ECH, error) {
	var e admin.ECH
	return e, c.do(ctx, call{method: http.MethodGet, path: "/v1/ech"}, &e)
}

// Service is one service's live state.
func (c *Client) Service(ctx context.Context, name string) (admin.Service, error) {
	var s admin.Service
	return s, c.do(ctx, call{method: http.MethodGet, path: servicePath(name)}, &s)
}

// SetWeights puts weights in force on the state that was read as version.
func (c *Client) SetWeights(ctx context.Context, name, version string, w admin.Weights) (admin.Service, error) {
	var s admin.Service
	q := call{method: http.MethodPut, path: servicePath(name) + "/weights", body: w, tag: version}
	return s, c.do(ctx, q, &s)
}

// ResetWeights drops the overlay on the state that was read as version.
func (c *Client) ResetWeights(ctx context.Context, name, version string) (admin.Service, error) {
	var s admin.Service
	return s, c.do(ctx, call{method: http.MethodDelete, path: servicePath(name) + "/weights", tag: version}, &s)
}

// Steer carries an order out on the state that was read as version. order is the body that the verb takes.
func (c *Client) Steer(ctx context.Context, name, version string, verb admin.Verb, order any) (admin.Service, error) {
	var s admin.Service
	return s, c.do(ctx, call{method: http.MethodPost, path: servicePath(name) + "/" + string(verb), body: order, tag: version}, &s)
}

// Reload waits until the configuration is in force or refused. With confirm more than 0 it is in force for so long, unless ConfirmReload is called.
func (c *Client) Reload(ctx context.Context, confirm time.Duration) (admin.ReloadResult, error) {
	var r admin.ReloadResult
	path := "/v1/reload"
	if confirm != 0 {
		path += "?confirm=" + confirm.String()
	}
	return r, c.do(ctx, call{method: http.MethodPost, path: path}, &r)
}

// ConfirmReload makes the configuration in force stay.
func (c *Client) ConfirmReload(ctx context.Context) (admin.ReloadResult, error) {
	var r admin.ReloadResult
	return r, c.do(ctx, call{method: http.MethodPost, path: "/v1/reload/confirm"}, &r)
}

// RevertReload puts the configuration from before in force again.
func (c *Client) RevertReload(ctx context.Context) (admin.ReloadResult, error) {
	var r admin.ReloadResult
	return r, c.do(ctx, call{method: http.MethodDelete, path: "/v1/reload"}, &r)
}

// Plan asks what a reload of a file would do.
func (c *Client) Plan(ctx context.Context, q admin.PlanRequest) (admin.Plan, error) {
	var p admin.Plan
	return p, c.do(ctx, call{method: http.MethodPost, path: "/v1/plan", body: q}, &p)
}

// Incidents lists what was kept of rollbacks, the last one first.
func (c *Client) Incidents(ctx context.Context) ([]admin.IncidentSummary, error) {
	var list []admin.IncidentSummary
	return list, c.do(ctx, call{method: http.MethodGet, path: "/v1/incidents"}, &list)
}

// Incident is one of them.
func (c *Client) Incident(ctx context.Context, id string) (admin.Incident, error) {
	var i admin.Incident
	return i, c.do(ctx, call{method: http.MethodGet, path: "/v1/incidents/" + url.PathEscape(id)}, &i)
}

// ReopenLogs waits until the log files are open again.
func (c *Client) ReopenLogs(ctx context.Context) error {
	return c.do(ctx, call{method: http.MethodPost, path: "/v1/logs/reopen"}, nil)
}

// Explain decides a request.
func (c *Client) Explain(ctx context.Context, q admin.ExplainRequest) (admin.Explanation, error) {
	var e admin.Explanation
	return e, c.do(ctx, call{method: http.MethodPost, path: "/v1/explain", body: q}, &e)
}

// Stop begins a stop.
func (c *Client) Stop(ctx context.Context, mode admin.StopMode) (admin.StopResult, error) {
	path := "/v1/stop"
	if mode == admin.StopNow {
		path += "?now"
	}
	var s admin.StopResult
	return s, c.do(ctx, call{method: http.MethodPost, path: path}, &s)
}

// Upgrade waits until a new process of weir serves in the old one's place, or could not.
func (c *Client) Upgrade(ctx context.Context) (admin.UpgradeResult, error) {
	var u admin.UpgradeResult
	return u, c.do(ctx, call{method: http.MethodPost, path: "/v1/upgrade"}, &u)
}

// WaitGone waits until the process pid no longer answers at the address: nobody does, or, where a supervisor
// starts the next one at once, another process does. It asks five times a second.
func (c *Client) WaitGone(ctx context.Context, pid int) error {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		s, err := c.Status(ctx)
		var gone *UnreachableError
		if errors.As(err, &gone) && ctx.Err() == nil || err == nil && s.PID != pid {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for weir (pid %d) to end: %w", pid, ctx.Err())
		case <-tick.C:
		}
	}
}

// Ready asks for readiness and gives the server's own words: check by check, or one where a token is missing or wrong, which readiness itself needs not.
func (c *Client) Ready(ctx context.Context) (ok bool, report string, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.options.Timeout)
	defer cancel()
	status, report, err := c.probe(ctx, "/readyz?verbose")
	if err == nil && status == http.StatusUnauthorized {
		status, report, err = c.probe(ctx, "/readyz")
	}
	if err != nil {
		return false, "", err
	}
	if last := report[strings.LastIndexByte(report, '\n')+1:]; last != "ok" && last != "not ready" { // a page of somebody else's, with 200 perhaps
		return false, "", fmt.Errorf("what answers at %s is not weir", c.options.Address)
	}
	return status == http.StatusOK, report, nil
}

func (c *Client) probe(ctx context.Context, path string) (status int, report string, err error) {
	res, err := c.send(ctx, call{method: http.MethodGet, path: path})
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return 0, "", fmt.Errorf("read the answer of weir at %s: %w", c.options.Address, err)
	}
	return res.StatusCode, strings.TrimSpace(string(b)), nil
}

func servicePath(name string) string { return "/v1/services/" + url.PathEscape(name) }
