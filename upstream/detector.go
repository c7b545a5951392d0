package upstream

import "time"

const (
	// slots is one more than the longest window in seconds: the second that is being filled is counted beside the full ones.
	slots = 61

	// maxWindow is the longest EjectionOptions.Window.
	maxWindow = (slots - 1) * time.Second
)

// detector is the passive side of health: a pure record of one address' outcomes, from which a pool's rule gives a verdict. Its counts do not
// depend on the rule, so pools with different rules may share it. The zero value is ready.
type detector struct {
	consecutive int // silent outcomes in a row
	slots       [slots]slot
}

// slot counts one second.
type slot struct {
	second        int64
	total, failed int32
}

// observe records an outcome and returns the reason for which the rule would eject, or "". Only a failure can eject, so a success costs
// two counts.
func (d *detector) observe(rule *EjectionOptions, now int64, o Outcome) string {
	second := now / int64(time.Second)
	s := &d.slots[second%slots]
	if s.second != second {
		*s = slot{second: second}
	}
	s.total++
	if !o.failed() {
		d.consecutive = 0
		return ""
	}
	s.failed++
	if !o.silent() {
		d.consecutive = 0
	} else if d.consecutive++; rule.Consecutive > 0 && d.consecutive >= rule.Consecutive {
		return reasonConsecutive
	}
	total, failed := d.within(rule.Window, now)
	if rule.ErrorRatio > 0 && total >= rule.MinRequests && float64(failed) >= rule.ErrorRatio*float64(total) {
		return reasonErrorRatio
	}
	return ""
}

// within sums the outcomes of the last window, in whole seconds and the current one.
func (d *detector) within(window time.Duration, now int64) (total, failed int) {
	second := now / int64(time.Second)
	oldest := second - int64((window+time.Second-1)/time.Second)
	for i := range d.slots {
		if s := &d.slots[i]; s.second > oldest && s.second <= second {
			total += int(s.total)
			failed += int(s.failed)
		}
	}
	return total, failed
}

// reset forgets everything: what led to a verdict must not lead to the next one.
func (d *detector) reset() { *d = detector{} }
