package balancer_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/valor-ivx/weir/balancer"
)

// What was known of some peers in one process makes the next one choose as the first would have.
func TestPastChoosesAlike(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 12).Draw(t, "peers")
		weights := make([]float64, n)
		for i := range weights {
			weights[i] = 1
		}
		was, is := balancer.View{Peers: peersOf(weights...)}, balancer.View{Peers: peersOf(weights...)}
		now := int64(time.Hour)
		for range rapid.IntRange(0, 100).Draw(t, "answers") {
			now += rapid.Int64Range(1, int64(time.Second)).Draw(t, "pause")
			l := was.Peers[rapid.IntRange(0, n-1).Draw(t, "peer")].Load
			l.Begin()
			l.End(now, time.Duration(rapid.Int64Range(1, int64(time.Second)).Draw(t, "latency")), rapid.Bool().Draw(t, "failed"))
		}
		now += rapid.Int64Range(1, int64(10*time.Second)).Draw(t, "handed over after")
		const apart = int64(30 * time.Minute) // of the two clocks
		for i := range was.Peers {
			if p := was.Peers[i].Load.Past(now); is.Peers[i].Load.Recall(p, now-apart) != (p.Age > 0) {
				t.Fatalf("%+v", p)
			}
		}
		first, second := balancer.New(balancer.PeakEWMA, was.Peers, balancer.Options{}), balancer.New(balancer.PeakEWMA, is.Peers, balancer.Options{})
		for ticket := range uint64(50) {
			was.Ticket, is.Ticket, was.Now, is.Now = ticket, ticket, now, now-apart
			if a, b := first.Pick(&was, 0), second.Pick(&is, 0); a != b {
				t.Fatalf("ticket %d: %d, and in the other process %d", ticket, a, b)
			}
		}
	})
}
