package edgetls

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"
)

// Limits are what a CA allows per host; zero is no limit.
type Limits struct {
	FailuresPerHour   int // failed validations of one host
	DuplicatesPerWeek int // certificates for the same set of names
}

// limitsOf are the documented limits of a directory: Let's Encrypt's (https://letsencrypt.org/docs/rate-limits/, read 2026-11), none for
// others, whose limits are not known.
func limitsOf(directory string, configured *Limits) Limits {
	if configured != nil {
		return *configured
	}
	if strings.HasSuffix(authorityName(directory), "api.letsencrypt.org") {
		return Limits{FailuresPerHour: 5, DuplicatesPerWeek: 5}
	}
	return Limits{}
}

type outcome string

const (
	outcomeIssued outcome = "issued"
	outcomeFailed outcome = "failed"
)

// entry is one order's end.
type entry struct {
	Directory string    `json:"directory"`
	Name      string    `json:"name"`
	At        time.Time `json:"at"`
	Outcome   outcome   `json:"outcome"`
}

const week = 7 * 24 * time.Hour

// ledger remembers across restarts what CAs were asked, so that a crash loop or a wrong DNS record does not use up what they allow. It reads
// its file every time: a second process with the same folder writes there too (of two entries in the same instant one may be lost).
type ledger struct {
	file string
	mu   sync.Mutex // one reading and writing at a time
}

// admit refuses an order that the CA would refuse.
func (l *ledger) admit(directory, name string, limits Limits, now time.Time) error {
	l.mu.Lock()
	entries := l.read(now)
	l.mu.Unlock()
	who := authorityName(directory)
	if until, full := fullUntil(entries, entry{Directory: directory, Name: name, Outcome: outcomeFailed}, limits.FailuresPerHour, now.Add(-time.Hour)); full {
		until = until.Add(time.Hour)
		return &refusal{until: until, words: fmt.Sprintf("%s was not asked: %d validations of %s failed within an hour, its limit; "+
			"the next attempt is possible at %s", who, limits.FailuresPerHour, name, until.UTC().Format(time.RFC3339))}
	}
	if until, full := fullUntil(entries, entry{Directory: directory, Name: name, Outcome: outcomeIssued}, limits.DuplicatesPerWeek, now.Add(-week)); full {
		until = until.Add(week)
		return &refusal{until: until, words: fmt.Sprintf("%s was not asked: it issued %d certificates for %s within a week, its limit; "+
			"the next is possible at %s. Is the state folder being emptied?", who, limits.DuplicatesPerWeek, name, until.UTC().Format(time.RFC3339))}
	}
	return nil
}

// fullUntil reports whether limit entries like the given one came after since, and the oldest of those that have to go.
func fullUntil(entries []entry, like entry, limit int, since time.Time) (oldest time.Time, full bool) {
	var times []time.Time
	for _, e := range entries {
		if e.Directory == like.Directory && e.Name == like.Name && e.Outcome == like.Outcome && e.At.After(since) {
			times = append(times, e.At)
		}
	}
	if limit <= 0 || len(times) < limit {
		return time.Time{}, false
	}
	return times[len(times)-limit], true // entries are in the order of their times
}

// note appends an entry and drops what no limit looks at any more.
func (l *ledger) note(e entry) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	data, err := json.MarshalIndent(append(l.read(e.At), e), "", " ")
	if err == nil {
		err = writeAtomic(l.file, data, 0o600, os.Rename)
	}
	if err != nil {
		return fmt.Errorf("note order: %w", err)
	}
	return nil
}

// read gives the entries of the last week. An unreadable file counts as empty: it protects from a CA's limits, which the CA holds itself.
func (l *ledger) read(now time.Time) []entry {
	data, err := os.ReadFile(l.file)
	if err != nil {
		return nil
	}
	var all, recent []entry
	if json.Unmarshal(data, &all) != nil {
		return nil
	}
	for _, e := range all {
		if e.At.After(now.Add(-week)) {
			recent = append(recent, e)
		}
	}
	return recent
}
