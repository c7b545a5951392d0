package upstream

import "time"

// Why a peer was ejected, and why an ejection was skipped. They are metric labels and log values.
const (
	reasonConsecutive = "consecutive"
	reasonErrorRatio  = "error_ratio"

	skippedLastPeer     = "last_peer"
	skippedMaxEjected   = "max_ejected"
	skippedGroupFailing = "group_failing"
)

const (
	// maxLevel and maxEjection bound the growth: 2^6 bases, but never more than five minutes, after which a peer is worth a few requests.
	maxLevel    = 6
	maxEjection = 5 * time.Minute
)

// ejection is one address' sentence: pure, with time passed in. The zero value is free.
type ejection struct {
	at, until int64 // ns; until <= now means free
	level     int   // ejections that have not been forgiven yet
	confirmed bool  // a probe failed during this ejection: what probes say of this peer can be believed
	pardoned  bool  // a probe ended it
}

// begin ejects at now for base × 2^level. Each quiet window since the last sentence forgives one level.
func (e *ejection) begin(now int64, rule *EjectionOptions) {
	if e.level > 0 {
		e.level -= int(min(int64(e.level), max(0, now-e.until)/int64(rule.Window)))
	}
	length := min(rule.Base<<min(e.level, maxLevel), maxEjection)
	e.at, e.until, e.confirmed, e.pardoned = now, now+int64(length), false, false
	e.level++
}

// active reports a sentence that is being served.
func (e *ejection) active(now int64) bool { return e.until > now }

// probed hears the result of a probe that started at started, and reports whether it ends the sentence.
//
// A first sentence ends with the first pass. A peer that was let go that way and offended again shows that its probe passes while its requests
// fail; it serves its time, unless a probe has failed meanwhile and so proved that it sees what requests see.
func (e *ejection) probed(pass bool, started, now int64) bool {
	if !e.active(now) || started < e.at {
		return false
	}
	if !pass {
		e.confirmed = true
		return false
	}
	if e.level > 1 && !e.confirmed {
		return false
	}
	e.until, e.pardoned = now, true
	if e.confirmed {
		e.level = 0
	}
	return true
}

// ending says why a peer is back.
func (e *ejection) ending(now int64) string {
	switch {
	case e.active(now):
		return "needed"
	case e.pardoned:
		return "probe"
	default:
		return "time"
	}
}
