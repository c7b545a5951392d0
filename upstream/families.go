package upstream

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"go.uber.org/zap"
)

// families is the last good answer for a host, by address family: a name server that fails for one of them must not take the peers of the
// other one or of the last answer away.
type families struct {
	v4, v6 []netip.Addr
}

// familyAnswer is one family's answer.
type familyAnswer struct {
	addrs []netip.Addr
	ttl   time.Duration
	err   error
}

// merge is what is good now: a family that answered is replaced, one that failed is kept, and an answer without any address at all changes nothing.
// ttl is that of the answers; err says what failed.
func (f families) merge(v4, v6 familyAnswer) (next families, ttl time.Duration, err error) {
	next, ttl = f, maxTTL
	if v4.err == nil {
		next.v4 = v4.addrs
	}
	if v6.err == nil {
		next.v6 = v6.addrs
	}
	for _, a := range []familyAnswer{v4, v6} {
		if a.err == nil && len(a.addrs) > 0 {
			ttl = min(ttl, a.ttl)
		}
	}
	switch {
	case len(v4.addrs)+len(v6.addrs) == 0 && v4.err == nil && v6.err == nil:
		return f, 0, ErrNoAddress
	case len(next.v4)+len(next.v6) == 0:
		return f, 0, errors.Join(v4.err, v6.err)
	default:
		return next, clampTTL(ttl), errors.Join(v4.err, v6.err)
	}
}

// lookupHost asks for both families at once and returns what is good now, sorted.
func (s *source) lookupHost(ctx context.Context, r Resolver, host string) ([]netip.Addr, time.Duration, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a.Unmap()}, maxTTL, nil
	}
	ask := func(family string) (a familyAnswer) {
		a.addrs, a.ttl, a.err = r.LookupIP(ctx, family, host)
		return a
	}
	v6 := make(chan familyAnswer, 1)
	go func() { v6 <- ask("ip6") }() // ends with the look-up, which ctx bounds; it is waited for below
	v4 := ask("ip4")

	last := s.hosts[host]
	if last == nil {
		last = &families{}
	}
	next, ttl, err := last.merge(v4, <-v6)
	s.hosts[host] = &next
	addrs := slices.Concat(next.v4, next.v6)
	slices.SortFunc(addrs, netip.Addr.Compare)
	addrs = slices.Compact(addrs)
	if err != nil {
		return addrs, ttl, fmt.Errorf("look up addresses of %s: %w", host, err)
	}
	return addrs, ttl, nil
}

// logUnresolved says that a name or a Service failed and what is done about it. Registry.mu is held.
func (r *Registry) logUnresolved(s *source, err error) {
	if s.key.name == "" {
		r.log.Warn("upstream service not followed", zap.String("weir.source", s.key.String()), zap.Int("weir.kept", len(s.found)), zap.String("error.message", err.Error()))
		return
	}
	r.log.Warn("upstream name not resolved", zap.String("dns.question.name", s.key.name), zap.Int("weir.kept", len(s.found)), zap.String("error.message", err.Error()))
}
