package upstream

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"time"
)

// world is what the registry finds out there: who answers probes, and what names mean.
type world struct {
	mu      sync.Mutex // guards everything below
	answers map[string]bool
	names   map[string][]string // addresses; nil: the look-up fails

	asked    int                 // probes and look-ups
	lastGood map[string][]string // what was answered last, for names that some pool looks up
}

func (w *world) probe(_ context.Context, address string, _ HealthOptions) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked++
	if !w.answers[address] {
		return errors.New("down")
	}
	return nil
}

// LookupIP implements Resolver: every name has IPv4 addresses for a second.
func (w *world) LookupIP(ctx context.Context, family, host string) ([]netip.Addr, time.Duration, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked++
	if w.names[host] == nil || ctx.Err() != nil {
		return nil, 0, errors.New("SERVFAIL")
	}
	var list []netip.Addr
	if len(w.names[host]) > 0 && family == "ip4" {
		w.lastGood[host] = w.names[host]
	}
	for _, a := range w.names[host] {
		if family == "ip4" {
			list = append(list, netip.MustParseAddrPort(a).Addr())
		}
	}
	return list, time.Second, nil
}

// LookupSRV implements Resolver.
func (w *world) LookupSRV(context.Context, string) ([]SRV, time.Duration, error) {
	return nil, 0, errors.New("SERVFAIL")
}
