package balancer_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/valor-ivx/weir/balancer"
)

func BenchmarkPick(b *testing.B) {
	for _, name := range []string{"peak_ewma", "least_request", "round_robin", "least_conn", "hash"} {
		for _, n := range []int{1, 2, 3, 8, 20, 100} {
			b.Run(fmt.Sprint(name, "/peers=", n), func(b *testing.B) {
				v := busyView(n)
				p := balancer.New(kinds[name], v.Peers, balancer.Options{})
				b.ReportAllocs()
				for b.Loop() {
					v.Ticket++
					sink += p.Pick(v, v.Ticket)
				}
			})
		}
	}
}

func BenchmarkLoad(b *testing.B) {
	var l balancer.Load
	now := int64(0)
	b.ReportAllocs()
	for b.Loop() {
		now += 100_000
		l.Begin()
		l.End(now, 20*time.Millisecond, false)
	}
}

func BenchmarkSplit(b *testing.B) {
	two := []balancer.Share{{"blue", 9500}, {"green", 500}}
	fine := []balancer.Share{{"blue", 9950}, {"green", 50}}
	six := []balancer.Share{{"a", 2000}, {"b", 2000}, {"c", 2000}, {"d", 2000}, {"e", 1000}, {"f", 1000}}
	client := []byte("203.0.113.7:blue-session")
	live := balancer.LiveMask(0).With(1).With(2)
	for name, shares := range map[string][]balancer.Share{"two": two, "two-decimals": fine, "six": six} {
		s := balancer.NewSplit(secret, 1, shares)
		b.Run("ByKey/"+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				sink += s.ByKey(client)
			}
		})
		b.Run("ByTicket/"+name, func(b *testing.B) {
			b.ReportAllocs()
			ticket := uint64(0)
			for b.Loop() {
				ticket++
				sink += s.ByTicket(ticket)
			}
		})
		b.Run("Choose/failover/"+name, func(b *testing.B) {
			b.ReportAllocs()
			key := uint64(0)
			for b.Loop() {
				key++
				group, _ := s.Choose(0, key, live, balancer.EmptyOther)
				sink += group
			}
		})
	}
}
