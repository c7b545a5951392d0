package collab

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestWindow: no span of a minute holds more than the limit; what is refused would have been too much, and fits after the wait that was said.
func TestWindow(t *testing.T) {
	const limit = 5
	rapid.Check(t, func(t *rapid.T) {
		w := newWindow(limit, time.Minute)
		now := time.Unix(1000, 0)
		var taken []time.Time
		within := func(at time.Time) (n int) {
			for _, when := range taken {
				if at.Sub(when) < time.Minute {
					n++
				}
			}
			return n
		}
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 30).Draw(t, "seconds")) * time.Second)
			n := rapid.IntRange(0, limit+1).Draw(t, "n")
			wait, ok := w.take(n, now)
			if fits := within(now)+n <= limit; ok != fits {
				t.Fatalf("%d at %v: %v, %d are within a minute", n, now, ok, within(now))
			}
			if !ok && n <= limit && (wait <= 0 || within(now.Add(wait))+n > limit || within(now.Add(wait-1))+n <= limit) {
				t.Fatalf("wait %v", wait)
			}
			for range n {
				if ok {
					taken = append(taken, now)
				}
			}
		}
	})
}
