package edgetls

import "time"

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
