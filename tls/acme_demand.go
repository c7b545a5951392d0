package edgetls

import (
	"context"
	"errors"
	"slices"
	"time"
)

// begin starts work that Close waits for; false: the source has ended.
func (a *ACME) begin(work func()) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return false
	}
	a.keepers.Go(work)
	return true
}

// demanded counts the names that handshakes brought.
func (a *ACME) demanded() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.onDemandNames)
}

// demand makes name managed and waits for its first order. A name whose order fails is not managed any longer; next is when it may be tried again.
func (a *ACME) demand(ctx context.Context, name string) (next time.Time, err error) {
	a.mu.Lock()
	if a.closed {
		a.mu.Unlock()
		return time.Time{}, errors.New("the source has ended")
	}
	s := a.subjects[name]
	if s == nil {
		a.onDemandNames = append(a.onDemandNames, name)
		s = a.manage(name)
	}
	a.mu.Unlock()
	select {
	case <-s.settled:
	case <-ctx.Done():
		return time.Time{}, ctx.Err()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if s.cert != nil {
		return time.Time{}, nil
	}
	next, err = s.next, errors.New(s.problem)
	a.dropDemanded(name)
	return next, err
}

// dropDemanded ends the keeping of a name that handshakes brought, unless a route names it by now. Under mu.
func (a *ACME) dropDemanded(name string) {
	if i := slices.Index(a.onDemandNames, name); i >= 0 {
		a.onDemandNames = slices.Delete(a.onDemandNames, i, i+1)
		a.subjects[name].cancel()
		a.subjects[name].tell()
		delete(a.subjects, name)
		a.publish()
	}
}

// mayKeep asks again for a name that handshakes brought; false: it is not managed any longer.
func (a *ACME) mayKeep(ctx context.Context, name string) bool {
	a.mu.Lock()
	brought := slices.Contains(a.onDemandNames, name)
	a.mu.Unlock()
	if !brought || a.onDemand == nil || a.onDemand.renewable(ctx, name) || ctx.Err() != nil {
		return true
	}
	a.mu.Lock()
	a.dropDemanded(name)
	a.mu.Unlock()
	a.onDemand.remember(a.ctx, name, false)
	return false
}

// recall takes up the names of earlier runs, once, and forgets those that a route names by now. Under mu.
func (a *ACME) recall() {
	if a.onDemand != nil && !a.recalled {
		a.recalled = true
		a.onDemandNames = a.onDemand.names(a.ctx)
	}
	a.onDemandNames = slices.DeleteFunc(a.onDemandNames, func(name string) bool { return slices.Contains(a.order, name) })
}
