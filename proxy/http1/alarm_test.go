package http1

import (
	"testing"
	"time"
)

// TestAlarm: internal, because what it holds, how seldom a deadline is moved, is not seen outside.
func TestAlarm(t *testing.T) {
	start := time.Now()
	const d = time.Second
	var a alarm
	at, move := a.due(start, d)
	if !move || at != start.Add(d+d/4) {
		t.Fatalf("first: %v %t", at.Sub(start), move)
	}
	for _, c := range []struct {
		after time.Duration
		d     time.Duration
		move  bool
	}{
		{0, d, false},
		{d / 4, d, false},         // exactly d left
		{d/4 + 1, d, true},        // less than d left
		{d/4 + 1, d, false},       // just moved
		{d/4 + 1, d / 2, true},    // a shorter one must not wait for the longer
		{d/4 + 1, d, true},        // and back
		{10 * d, d, true},         // long over
		{10 * d, d + 1, false},    // within the slack
		{10 * d, 2 * d, true},     // not within
		{10*d - 3*d, 2 * d, true}, // a clock that went back: too far away now
	} {
		now := start.Add(c.after)
		at, move := a.due(now, c.d)
		if move != c.move {
			t.Errorf("%v after, for %v: moved %t", c.after, c.d, move)
		}
		if move && at != now.Add(c.d+c.d/4) {
			t.Errorf("%v after, for %v: to %v", c.after, c.d, at.Sub(now))
		}
		if left := a.at.Sub(now); left < c.d || left > c.d+c.d/4 {
			t.Errorf("%v after, for %v: fires in %v", c.after, c.d, left)
		}
	}
}
