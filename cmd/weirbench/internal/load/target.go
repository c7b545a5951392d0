package load

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"sync/atomic"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// Targets checks the URL and returns the requests to send in turn. A URL with a path is one GET; one
// without is the demo's mix: four readings of the health page for one valuation.
func Targets(ctx context.Context, raw string) ([]vegeta.Target, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, fmt.Errorf("parse target: %w", err)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.User != nil {
		return nil, fmt.Errorf("parse target %q: want http(s)://HOST[:PORT][/PATH]", raw)
	}
	if err := onlyLoopback(ctx, u.Hostname()); err != nil {
		return nil, err
	}
	if u.Path != "" && u.Path != "/" {
		return []vegeta.Target{{Method: http.MethodGet, URL: u.String()}}, nil
	}
	base := u.Scheme + "://" + u.Host
	health := vegeta.Target{Method: http.MethodGet, URL: base + "/api/health"}
	value := vegeta.Target{
		Method: http.MethodPost, URL: base + "/api/dcf", Body: []byte("{}"),
		Header: http.Header{"Content-Type": {"application/json"}},
	}
	return []vegeta.Target{health, health, health, health, value}, nil
}

// onlyLoopback refuses every host one of whose addresses is another machine.
func onlyLoopback(ctx context.Context, host string) error {
	if ip, err := netip.ParseAddr(host); err == nil {
		if !ip.Unmap().IsLoopback() {
			return fmt.Errorf("load %s: only loopback addresses are attacked", host)
		}
		return nil
	}
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return fmt.Errorf("resolve target: %w", err)
	}
	for _, ip := range addrs {
		if !ip.Unmap().IsLoopback() {
			return fmt.Errorf("load %s: it is %v, only loopback addresses are attacked", host, ip)
		}
	}
	return nil
}

// inTurn gives each call the next target. Vegeta's workers call it concurrently; next counts calls.
func inTurn(targets []vegeta.Target) vegeta.Targeter {
	var next atomic.Uint64
	return func(t *vegeta.Target) error {
		*t = targets[(next.Add(1)-1)%uint64(len(targets))]
		return nil
	}
}
