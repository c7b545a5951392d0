package edgetls

import (
	"context"
	"errors"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
)

// The states of a managed certificate.
const (
	StateValid     = "valid"     // in force, next check at NextAttempt
	StateObtaining = "obtaining" // being ordered, or waiting for its turn
	StateFailed    = "failed"    // Error says why, NextAttempt when it is tried again; an older certificate may be in force
	StateExpired   = "expired"   // a certificate from files that is past its end
)

// subject is one managed name.
type subject struct {
	name   string
	cancel context.CancelFunc // ends its keeper

	// Guarded by ACME.mu, written by the keeper.
	cert     *certificate // nil until there is one
	state    string
	problem  string // the last failure in words; "" after a success
	failures int    // in a row
	next     time.Time
	settled  chan struct{} // closed when the first check has ended, or the name was dropped
}

// tell ends the wait for the first check. Under ACME.mu.
func (s *subject) tell() {
	select {
	case <-s.settled:
	default:
		close(s.settled)
	}
}

// newManaged is a certificate of certmagic's as a Store has them.
func newManaged(c *certmagic.Certificate) *certificate {
	out := &certificate{tls: c.Certificate}
	for _, name := range c.Leaf.DNSNames {
		out.names = append(out.names, normalSubject(name))
	}
	for _, ip := range c.Leaf.IPAddresses {
		out.addresses = append(out.addresses, ip.String())
	}
	return out
}

// keep looks after one name until ctx ends: it runs on the name's own goroutine.
func (a *ACME) keep(ctx context.Context, s *subject) {
	for {
		select {
		case a.slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		again := a.retries() // before it is tried: what came back meanwhile is to be tried again
		err := a.tend(ctx, s)
		<-a.slots
		if ctx.Err() != nil {
			return
		}
		wait := a.settle(s, err)
		a.options.Changed()
		if err == nil {
			again = nil
		}
		if !rest(ctx, wait, again) {
			return
		}
	}
}

// tend makes one check and, when something is due, one attempt.
func (a *ACME) tend(ctx context.Context, s *subject) error {
	stored, err := a.load(ctx, s.name)
	if err != nil {
		return err
	}
	if stored == nil || stored.NeedsRenewal(a.all.of(s.name)) {
		a.adopt(s, stored, StateObtaining)
		if stored != nil && !a.mayKeep(ctx, s.name) {
			return nil
		}
		err = a.obtain(ctx, s.name)
	} else {
		a.adopt(s, stored, StateValid)
		// The CA may have asked for an earlier renewal (RFC 9773): certmagic asks when it is time to ask, and renews if so.
		err = a.all.of(s.name).ManageSync(ctx, []string{s.name})
	}
	if err != nil {
		return err
	}
	if stored, err = a.load(ctx, s.name); err != nil {
		return err
	}
	if stored == nil {
		return errors.New("the certificate is not where it was stored: is the state folder being emptied?")
	}
	a.adopt(s, stored, StateValid)
	return nil
}

// obtain tries the CAs in their order, each at most once. Its error tells of every one.
func (a *ACME) obtain(ctx context.Context, name string) error {
	var errs []error
	for _, ca := range a.authorities {
		err := a.orderFrom(ctx, ca, name)
		a.forget(name)
		if err == nil || ctx.Err() != nil {
			return err
		}
		errs = append(errs, &failure{directory: ca.Directory, err: err})
	}
	return errors.Join(errs...)
}

// orderFrom asks one CA, if the ledger and the preflight let it.
func (a *ACME) orderFrom(ctx context.Context, ca *authority, name string) error {
	d, err := ca.check.read(ctx)
	if err != nil {
		return err
	}
	config := ca.of(name)
	before, missing := config.CacheManagedCertificate(ctx, name) // zero when there is none
	a.forget(name)
	kind := newNames
	switch {
	case missing == nil && d.RenewalInfo != "": // certmagic names what it renews
		kind = replaces
	case missing == nil:
		kind = sameNames
	}
	if err := ca.check.order(ctx, d, name, ca.byDNS(name)); err != nil {
		return err
	}
	budgets := limitsOf(ca.Directory, a.options.Limits).budgets(ca.Directory, name, kind)
	if err := a.take(ctx, ca, budgets); err != nil {
		return err
	}
	since := a.options.Now()
	err = config.ManageSync(ctx, []string{name})
	if err == nil {
		after, loaded := config.CacheManagedCertificate(ctx, name)
		a.forget(name)
		if loaded != nil || after.Hash() == before.Hash() { // another process ordered it meanwhile and has it in its ledger
			a.settleBudgets(ctx, budgets, 0)
		}
		return loaded
	}
	failures := 0
	if isValidationFailure(err) {
		failures = a.validations(ca.byDNS(name))
	}
	a.settleBudgets(context.WithoutCancel(ctx), budgets, failures)
	return ca.retry.mark(err, since)
}

// validations is how many have failed when an order has: the client library goes on to the next kind of challenge with another order, and only the last
// error comes out.
func (a *ACME) validations(byDNS bool) int {
	if !byDNS && a.options.HTTPAddress != "" && a.options.TLSAddress != "" {
		return 2
	}
	return 1
}

// take is ledger.take, but a ledger that cannot be written must not keep a site from its certificate.
func (a *ACME) take(ctx context.Context, ca *authority, budgets []budget) error {
	err := a.ledger.take(ctx, authorityName(ca.Directory), budgets, a.options.Now())
	if own := new(refusal); err == nil || errors.As(err, &own) || ctx.Err() != nil {
		return err
	}
	a.log.Warn("acme ledger not written", zap.String("error.message", err.Error()))
	return nil
}

func (a *ACME) settleBudgets(ctx context.Context, budgets []budget, failures int) {
	if err := a.ledger.settle(ctx, budgets, failures, a.options.Now()); err != nil {
		a.log.Warn("acme ledger not written", zap.String("error.message", err.Error()))
	}
}

// adopt puts a certificate in force, if it is another than the one that is.
func (a *ACME) adopt(s *subject, c *certmagic.Certificate, state string) {
	a.mu.Lock()
	if s.state != StateFailed || state == StateValid { // what failed stays told while it is tried again
		s.state = state
	}
	changed := c != nil && (s.cert == nil || !s.cert.tls.Leaf.Equal(c.Leaf))
	if changed {
		s.cert = newManaged(c)
		if a.subjects[s.name] == s { // not removed meanwhile
			a.publish()
		}
	}
	a.mu.Unlock()
	if changed {
		a.log.Info("certificate in force", zap.String("tls.server.subject", s.name), zap.Time("tls.server.not_after", c.Leaf.NotAfter),
			zap.String("tls.server.issuer", c.Leaf.Issuer.String()))
	}
}

// settle records how a check ended and says how long to wait for the next.
func (a *ACME) settle(s *subject, err error) time.Duration {
	now := a.options.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	defer s.tell()
	if err == nil {
		s.state, s.problem, s.failures = StateValid, "", 0
		leaf := s.cert.tls.Leaf
		wait := checkEvery(leaf.NotAfter.Sub(leaf.NotBefore))
		s.next = now.Add(wait)
		return wait
	}
	wait := a.options.Retry(s.failures)
	s.failures++
	if until := notBefore(err); until.Sub(now) > wait {
		wait = until.Sub(now)
	}
	s.state, s.problem, s.next = StateFailed, explain(err), now.Add(wait)
	a.log.Warn("certificate not obtained", zap.String("tls.server.subject", s.name), zap.String("error.message", s.problem),
		zap.Time("weir.next_attempt", s.next))
	return wait
}

// checkEvery is the pause between checks of a certificate with a lifetime: a thirtieth of it, so that of the third or half that is left at renewal
// time little is lost; an hour at most, because another process may have renewed it in the shared folder.
func checkEvery(lifetime time.Duration) time.Duration {
	return min(max(lifetime/30, time.Second), time.Hour)
}

// retryAfter grows from what a typing mistake in DNS needs to what a CA's bad day needs. Where a CA counts failures the ledger stretches it.
func retryAfter(failures int) time.Duration {
	pauses := [...]time.Duration{1, 2, 5, 15, 30, 60, 120, 360}
	return pauses[min(failures, len(pauses)-1)] * time.Minute
}
