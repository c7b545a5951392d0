package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"time"
)

// checkKey names one active check of one address: health belongs to both, because one process may pass one check and fail another.
type checkKey struct {
	address string
	options HealthOptions
}

// checker probes one address by one check. It lives as long as a member refers to it, so its state survives a reload. Its goroutine, run, is
// the only one that probes; it ends when cancel is called.
type checker struct {
	key    checkKey
	home   *endpoint
	cancel context.CancelFunc
	hurry  chan struct{} // of capacity 1: a reason to probe sooner than planned

	// The control plane's; Registry.mu guards them.
	refs    int
	health  hysteresis
	lastErr string
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
		err := c.probe(ctx, r)
		if ctx.Err() != nil {
			return
		}
		timer.Reset(jittered(r.probed(c, started, err)))
	}
}

func (c *checker) probe(ctx context.Context, r *Registry) error {
	ctx, cancel := context.WithTimeout(ctx, c.key.options.Timeout)
	defer cancel()
	return r.probe(ctx, c.key.address, c.key.options)
}

// hasten makes the next probe come within the fast interval.
func (c *checker) hasten() {
	select {
	case c.hurry <- struct{}{}:
	default: // one reason is enough
	}
}

// httpProbe is the check that is used unless Options.Probe says otherwise. It is off the data path, so it is the standard client; each probe has a
// connection of its own, because "accepts connections" is part of what is asked.
func httpProbe() (func(context.Context, string, HealthOptions) error, *http.Transport) {
	transport := &http.Transport{DisableKeepAlives: true, DisableCompression: true, MaxResponseHeaderBytes: 16 << 10}
	client := &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return func(ctx context.Context, address string, h HealthOptions) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+h.Path, nil)
		if err != nil {
			return fmt.Errorf("make probe of %s: %w", address, err)
		}
		request.Host = h.Host
		request.Header.Set("User-Agent", "weir-health")
		response, err := client.Do(request)
		if err != nil {
			return fmt.Errorf("probe %s: %w", address, rootCause(err))
		}
		defer response.Body.Close()
		if response.StatusCode < 200 || response.StatusCode > 299 {
			return fmt.Errorf("probe %s: status %d is not 2xx", address, response.StatusCode)
		}
		// The body must arrive: a process that hangs after the head is not ready. 64 KiB is more than a readiness answer needs.
		if _, err := io.Copy(io.Discard, io.LimitReader(response.Body, 64<<10)); err != nil {
			return fmt.Errorf("probe %s: read body: %w", address, err)
		}
		return nil
	}, transport
}

// rootCause takes the method and URL off a client's error: the caller names the address already.
func rootCause(err error) error {
	if inner := errors.Unwrap(err); inner != nil {
		return inner
	}
	return err
}
