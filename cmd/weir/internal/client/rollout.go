package client

import (
	"context"
	"net/http"

	"github.com/valor-ivx/weir/proxy/admin"
)

// Rollout is a service's last rollout.
func (c *Client) Rollout(ctx context.Context, service string) (admin.Rollout, error) {
	var r admin.Rollout
	return r, c.do(ctx, call{method: http.MethodGet, path: servicePath(service) + "/rollout"}, &r)
}

// StartRollout begins one.
func (c *Client) StartRollout(ctx context.Context, service string, q admin.RolloutRequest) (admin.Rollout, error) {
	var r admin.Rollout
	return r, c.do(ctx, call{method: http.MethodPost, path: servicePath(service) + "/rollout", body: q}, &r)
}

// TellRollout pauses, resumes, promotes or aborts the one under way.
func (c *Client) TellRollout(ctx context.Context, service string, cmd admin.RolloutCommand) (admin.Rollout, error) {
	var r admin.Rollout
	q := call{method: http.MethodPost, path: servicePath(service) + "/rollout/" + string(cmd)}
	if cmd == admin.RolloutAbort {
		q = call{method: http.MethodDelete, path: servicePath(service) + "/rollout"}
	}
	return r, c.do(ctx, q, &r)
}
