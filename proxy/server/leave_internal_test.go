package server

import (
	"testing"
	"time"
)

// TestPartingTimes: 60 % and 90 % of a long drain; of a short one the last farewell has its time, as far as there is any.
func TestPartingTimes(t *testing.T) {
	for _, c := range []struct{ drain, begin, end time.Duration }{
		{10 * time.Minute, 6 * time.Minute, 9 * time.Minute},
		{50 * time.Second, 30 * time.Second, 45 * time.Second},
		{20 * time.Second, 10 * time.Second, 15 * time.Second},
		{9 * time.Second, 3 * time.Second, 4500 * time.Millisecond},
		{3 * time.Nanosecond, 1, 2},
	} {
		if begin, end := partingTimes(c.drain); begin != c.begin || end != c.end {
			t.Errorf("%v: from %v to %v, want %v to %v", c.drain, begin, end, c.begin, c.end)
		}
	}
}
