package edgetls

import (
	"context"
	"encoding/json"
	"time"
)

// For tests of pure parts.
var (
	ReadDirectory = readDirectory
	Announced     = announced
	CheckEvery    = checkEvery
	RetryAfter    = retryAfter
)

// Ledger opens the ledger in a file.
func Ledger(file string) *ledger { return &ledger{file: file} }

// Note is an order's end at the directory "https://ca.test/".
func (l *ledger) Note(name string, failed bool, at time.Time) error {
	e := entry{Directory: "https://ca.test/", Name: name, At: at, Outcome: outcomeIssued}
	if failed {
		e.Outcome = outcomeFailed
	}
	return l.note(e)
}

// Admit asks for an order there; until is when a refused one becomes possible.
func (l *ledger) Admit(name string, limits Limits, now time.Time) (until time.Time, ok bool) {
	err := l.admit("https://ca.test/", name, limits, now)
	return notBeforeOne(err), err == nil
}

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

// Covers reports whether who asks for serverName ("" for none) is served a certificate that is valid for host.
func (s *Store) Covers(serverName, host string) bool {
	candidates := s.candidates(serverName, "")
	return len(candidates) > 0 && candidates[0].tls.Leaf.VerifyHostname(host) == nil
}
