package api

import (
	"context"
	"strings"
	"time"
)

// Fault makes a demo instance misbehave on purpose, to have something a rollout should refuse. It
// spares health, readiness and metrics: a bad release that passes its health checks is the case
// that matters. The zero value does nothing.
type Fault struct {
	Errors  float64       // share of requests answered with 500, 0..1
	Latency time.Duration // added to every request
	Random  func() float64
}

func (f Fault) applies(path string) bool {
	return (f.Errors > 0 || f.Latency > 0) && strings.HasPrefix(path, "/api/") &&
		path != "/api/health" && path != "/api/readiness"
}

// strike waits, and reports whether the request is to fail.
func (f Fault) strike(ctx context.Context) bool {
	if f.Latency > 0 {
		timer := time.NewTimer(f.Latency)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	return f.Errors > 0 && f.Random() < f.Errors
}
