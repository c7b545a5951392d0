package client

import (
	"context"
	"net/http"

	"github.com/valor-ivx/weir/proxy/admin"
)

// Shadow is what a service's shadow has found.
func (c *Client) Shadow(ctx context.Context, service string) (admin.Shadow, error) {
	var s admin.Shadow
	return s, c.do(ctx, call{method: http.MethodGet, path: servicePath(service) + "/shadow"}, &s)
}

// ResetShadow makes it count anew.
func (c *Client) ResetShadow(ctx context.Context, service string) (admin.Shadow, error) {
	var s admin.Shadow
	return s, c.do(ctx, call{method: http.MethodDelete, path: servicePath(service) + "/shadow"}, &s)
}
