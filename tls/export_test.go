package edgetls

import (
	"context"
	"encoding/json"
	"time"

	"github.com/caddyserver/certmagic"
)

// For tests of pure parts.
var (
	ReadDirectory = readDirectory
	Announced     = announced
	CheckEvery    = checkEvery
	RetryAfter    = retryAfter

	RetryAfterField  = retryAfterField
	RegisteredDomain = registeredDomain
)

// Renewal is a kind of order.
type Renewal = renewal

// Kinds of orders.
const (
	NewNames  = newNames
	SameNames = sameNames
	Replaces  = replaces
)

// Ledger opens the ledger in a folder.
func Ledger(folder string) *ledger { return &ledger{storage: &certmagic.FileStorage{Path: folder}} }

// Take asks for an order at "https://ca.test/"; until is when a refused one becomes possible.
func (l *ledger) Take(limits Limits, name string, kind renewal, now time.Time) (until time.Time, words string) {
	if err := l.take(context.Background(), "ca.test", limits.budgets("https://ca.test/", name, kind), now); err != nil {
		return notBeforeOne(err), err.Error()
	}
	return time.Time{}, ""
}

// Fail ends an order that Take let pass.
func (l *ledger) Fail(limits Limits, name string, kind renewal, failures int, now time.Time) error {
	return l.settle(context.Background(), limits.budgets("https://ca.test/", name, kind), failures, now)
}

// LimitsOf are those of a directory.
func LimitsOf(directory string) Limits { return limitsOf(directory, nil) }

// Step is what the goroutine of t does when it wakes.
func (t *Tickets) Step(ctx context.Context) { t.step(ctx) }

// Rotate gives the times from which the secrets of stored seal at now, what is stored then, and the secrets in use, the sealing one first.
func Rotate(stored []byte, now time.Time, every time.Duration) (from []time.Time, next []byte, use [][]byte) {
	list := rotate(readSecrets(stored), now, every)
	next, _ = json.Marshal(list) // times and bytes
	for _, s := range list {
		from = append(from, s.From)
	}
	return from, next, inUse(list, now)
}

// AwaitRecord waits as a solver does. only: nobody but the resolvers is asked; port is that of authoritative servers.
func AwaitRecord(ctx context.Context, servers []string, only bool, port string, timeout time.Duration, name, value string) error {
	p := propagation{resolvers: servers, only: only, timeout: timeout, port: port}
	return p.wait(ctx, record{name: p.target(ctx, name), value: value})
}

// Kick makes s look again.
func (s *Stapler) Kick() {
	select {
	case s.kicked <- struct{}{}:
	default:
	}
}

// Covers reports whether who asks for serverName ("" for none) is served a certificate that is valid for host.
func (s *Store) Covers(serverName, host string) bool {
	candidates := s.candidates(serverName, "")
	return len(candidates) > 0 && candidates[0].tls.Leaf.VerifyHostname(host) == nil
}
