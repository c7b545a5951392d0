package upstream_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/valor-ivx/weir/upstream"
)

// In any sequence of requests and retries, retries never exceed what requests earned plus the floor, and savings plus the floor's burst.
func TestRetryBudgetNeverExceedsItsShare(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ratio := float64(rapid.IntRange(0, 100).Draw(t, "percent")) / 100
		floor := rapid.IntRange(0, 20).Draw(t, "floor")
		b := upstream.NewRetryBudget(ratio, floor)
		start := int64(time.Hour)
		now := start
		requests, retries := 0, 0
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			now += rapid.Int64Range(0, int64(time.Second)).Draw(t, "pause")
			for range rapid.IntRange(0, 50).Draw(t, "requests") {
				b.Deposit()
				requests++
			}
			for range rapid.IntRange(0, 50).Draw(t, "retries") {
				if b.Withdraw(now) {
					retries++
				}
			}
			seconds := float64(now-start)/float64(time.Second) + 1
			if most := ratio*float64(requests) + float64(floor)*seconds + 1e-3; float64(retries) > most {
				t.Fatalf("%d retries for %d requests in %.1f s, at most %.1f are due", retries, requests, seconds, most)
			}
		}
	})
}

func TestRetryBudgetPaysWhatIsDue(t *testing.T) {
	b := upstream.NewRetryBudget(0.2, 10)
	now := int64(time.Hour)
	count := func() (n int) {
		for b.Withdraw(now) {
			n++
		}
		return n
	}
	if n := count(); n != 10 {
		t.Errorf("a new budget pays %d retries, want the floor of 10", n)
	}
	for range 1000 {
		b.Deposit()
	}
	if n := count(); n != 200 {
		t.Errorf("1000 requests earned %d retries, want 200", n)
	}
	now += int64(time.Second) / 2
	if n := count(); n != 5 {
		t.Errorf("half a second gave %d retries, want 5", n)
	}
	for range 100_000 {
		b.Deposit()
	}
	now += int64(time.Minute)
	if n := count(); n != 510 {
		t.Errorf("after long savings %d retries are paid, want 500 and the floor of 10", n)
	}
	if none := upstream.NewRetryBudget(0, 0); none.Withdraw(now) {
		t.Error("a budget of nothing paid a retry")
	}
}

func TestRetryBudgetUnderConcurrency(t *testing.T) {
	b := upstream.NewRetryBudget(0.2, 0)
	var paid atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				b.Deposit()
				b.Deposit()
				if b.Withdraw(1) {
					paid.Add(1)
				}
			}
		})
	}
	wg.Wait()
	for b.Withdraw(1) {
		paid.Add(1)
	}
	if paid.Load() != 640 {
		t.Errorf("3200 requests paid %d retries, want 640", paid.Load())
	}
}
