package upstream

import (
	"context"
	"math/rand/v2"
	"time"
)

// checkKey names one active check of one address by one transport: health belongs to all of them, because one process may pass one check and fail another.
type checkKey struct {
	address   string
	transport Transport
	options   HealthOptions
}

// checker probes one address by one check. It lives as long as a member refers to it, so its state survives a reload. Its goroutine, run, is
// the only one that probes; it ends when cancel is called.
type checker struct {
	key    checkKey
	home   *endpoint
	ask    func(context.Context, string, HealthOptions) error // one probe
	cancel context.CancelFunc
	hurry  chan struct{} // of capacity 1: a reason to probe sooner than planned

	// The control plane's; Registry.mu guards them.
	refs    int
	health  hysteresis
	lastErr string
	passed  int64 // when the last probe that passed began, ns; 0: none has
}

// fastInterval is the pause between probes of a peer that is not well, or doubted: after it answers again it takes at most one pause until
// the next probe and rise-1 more, and all of that must fit into a second with 10 % of jitter and the probes themselves.
func fastInterval(h *HealthOptions) time.Duration {
	return min(h.Interval, max(50*time.Millisecond, 700*time.Millisecond/time.Duration(h.Rise)))
}

// jittered spreads d by ±10 %, so that checks that began together do not stay together.
func jittered(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.9 + 0.2*rand.Float64()))
}

// run probes at once and then by the pause that each result asks for.
func (c *checker) run(ctx context.Context, r *Registry) {
	defer r.running.Done()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.hurry:
			timer.Reset(jittered(fastInterval(&c.key.options)))
			continue
		case <-timer.C:
		}
		started := r.now()
		err := c.probe(ctx)
		if ctx.Err() != nil {
			return
		}
		timer.Reset(jittered(r.probed(c, started, err)))
	}
}

func (c *checker) probe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.key.options.Timeout)
	defer cancel()
	return c.ask(ctx, c.key.address, c.key.options)
}

// hasten makes the next probe come within the fast interval.
func (c *checker) hasten() {
	select {
	case c.hurry <- struct{}{}:
	default: // one reason is enough
	}
}
