package http1

import "time"

// alarm keeps one deadline of a connection, moving it as rarely as correctness allows: setting a runtime timer for every request costs more than
// parsing it does. A deadline asked for "in d" is met between d and 1.25 d from now, so in a busy keep-alive connection it is moved once in
// every d/4, not once a request.
type alarm struct {
	at time.Time // when the armed deadline fires; zero: none
}

// due returns the deadline to set for a wait of d from now, or false if the armed one serves. Zero d means no bound.
func (a *alarm) due(now time.Time, d time.Duration) (time.Time, bool) {
	if d <= 0 {
		armed := !a.at.IsZero() // the last wait on this connection may have been bounded
		a.at = time.Time{}
		return a.at, armed
	}
	left := a.at.Sub(now)
	if !a.at.IsZero() && left >= d && left <= d+d/4 {
		return time.Time{}, false
	}
	a.at = now.Add(d + d/4)
	return a.at, true
}
