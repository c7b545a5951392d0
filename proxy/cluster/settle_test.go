package cluster_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/valor-ivx/weir/proxy/cluster"
	"github.com/valor-ivx/weir/proxy/limit"
	"github.com/valor-ivx/weir/proxy/redistest"
)

func limitOf(c *cluster.Client, perSecond float64, burst int) *limit.Limit {
	return named(c, "a", perSecond, burst)
}

func named(c *cluster.Client, name string, perSecond float64, burst int) *limit.Limit {
	return limit.NewRegistry(1000).Acquire(limit.Options{Name: name, Rate: perSecond, Burst: burst, Sharing: c.Sharing()})
}

func take(l *limit.Limit, key string) limit.Verdict {
	return limit.Take([]limit.Check{{Limit: l, Key: l.Key([]byte(key))}}, time.Now())
}

// empty takes until a limit refuses for longer than settling can be the reason, and counts.
func empty(t *testing.T, l *limit.Limit, key string) (n int) {
	t.Helper()
	eventually(t, "the limit is exhausted", func() bool {
		v := take(l, key)
		for ; !v.Refused; v = take(l, key) {
			n++
		}
		return v.Retry > time.Minute
	})
	return n
}

// TestReplicasCountTogether: what one has taken the other finds gone.
func TestReplicasCountTogether(t *testing.T) {
	r := redistest.New(t)
	a, b := join(t, r.URL()), join(t, r.URL())
	eventually(t, "both see both", func() bool { return a.State().Replicas == 2 && b.State().Replicas == 2 })
	la, lb := limitOf(a, 1.0/3600, 20), limitOf(b, 1.0/3600, 20)
	if n := empty(t, la, "k"); n != 20 {
		t.Errorf("the first was given %d, want its 20", n)
	}
	// The second knows nothing of the key: its lease is what it can give before it has asked.
	if n := empty(t, lb, "k"); n > 10 {
		t.Errorf("the second was given %d more, at most a lease of 10", n)
	}
	if n := empty(t, lb, "another"); n != 20 {
		t.Errorf("another key was given %d, want 20", n)
	}
}

// TestConcurrentReplicasKeepTheBound: under requests at once on four replicas the sum is what package limit states.
func TestConcurrentReplicasKeepTheBound(t *testing.T) {
	r := redistest.New(t)
	const replicas, burst, lease = 4, 100, 25
	clients := make([]*cluster.Client, replicas)
	for i := range clients {
		clients[i] = join(t, r.URL())
	}
	eventually(t, "all see all", func() bool {
		for _, c := range clients {
			if c.State().Replicas != replicas {
				return false
			}
		}
		return true
	})
	var wg sync.WaitGroup
	counts := make([]int, replicas)
	for i, c := range clients {
		l := limitOf(c, 1.0/3600, burst)
		wg.Go(func() {
			for end := time.Now().Add(60 * time.Second); time.Now().Before(end); {
				v := take(l, "k")
				if !v.Refused {
					counts[i]++
				} else if v.Retry > time.Minute {
					return
				}
			}
		})
	}
	wg.Wait()
	sum := 0
	for _, n := range counts {
		sum += n
	}
	if most := burst + (replicas-1)*lease; sum < burst || sum > most {
		t.Errorf("%v admitted, want from %d to %d", counts, burst, most)
	}
	t.Logf("%v admitted of a burst of %d", counts, burst)
}

// TestLimitsSurviveRedis: a Redis that is killed and comes back with what it had goes on counting; meanwhile each replica gives its share.
func TestLimitsSurviveRedis(t *testing.T) {
	r := redistest.New(t)
	a, b := join(t, r.URL()), join(t, r.URL())
	eventually(t, "both see both", func() bool { return a.State().Replicas == 2 && b.State().Replicas == 2 })
	slow, fast := limitOf(a, 1.0/3600, 10), named(a, "fast", 20, 20)
	if n := empty(t, slow, "k"); n != 10 {
		t.Fatalf("%d of 10", n)
	}
	r.Kill()
	eventually(t, "it is missed", func() bool { return !a.State().Up })
	if v := take(slow, "k"); !v.Refused {
		t.Error("exhausted, and given more because Redis went away")
	}
	began, given := time.Now(), 0
	for end := began.Add(time.Minute); given < 10+5 && time.Now().Before(end) || time.Since(began) < time.Second; {
		if !take(fast, "k").Refused {
			given++
		}
	}
	// Its share is 10/s, behind a lease of 10.
	if took := time.Since(began).Seconds(); float64(given) > 11+10*took || given < 10+5 {
		t.Errorf("%d given alone in %.1f s", given, took)
	}
	r.Start()
	eventually(t, "it is found", func() bool { return a.State().Up && b.State().Up })
	if v := take(limitOf(b, 1.0/3600, 10), "k"); v.Refused {
		t.Error("a replica that knows nothing refuses")
	}
	if n := empty(t, limitOf(b, 1.0/3600, 10), "k"); n > 5 {
		t.Errorf("%d given of what was exhausted before", n)
	}
}

// TestWhatIsStored: a bucket is one number that goes by itself, under a name that gives no client away.
func TestWhatIsStored(t *testing.T) {
	r := redistest.New(t)
	c := join(t, r.URL())
	const rate, burst = 0.05, 5 // a bucket that is looked at late is there still
	take(limitOf(c, rate, burst), "192.0.2.1")
	direct := connect(r)
	defer func() { _ = direct.Close() }()
	ctx := context.Background()
	var names []string
	eventually(t, "it is settled", func() bool {
		names, _ = direct.Keys(ctx, "weir:limit:a:*").Result()
		return len(names) == 1
	})
	if strings.Contains(names[0], "192.0.2.1") || len(names[0]) != len("weir:limit:a:")+22 {
		t.Errorf("stored as %q", names[0])
	}
	if life := direct.PTTL(ctx, names[0]).Val(); life <= 0 || life > 2*burst/rate*time.Second {
		t.Errorf("stored for %v", life)
	}
}

// TestClockOfRedisSetBack: a bucket from the future is not waited for.
func TestClockOfRedisSetBack(t *testing.T) {
	r := miniredis.RunT(t)
	now := time.Unix(1_800_000_000, 0)
	r.SetTime(now)
	c := join(t, "redis://"+r.Addr())
	l := limitOf(c, 10, 5)
	for range 5 {
		take(l, "k")
	}
	eventually(t, "it is settled", func() bool { return len(r.Keys()) == 2 })
	r.SetTime(now.Add(-24 * time.Hour))
	eventually(t, "the limit lets through again", func() bool { return !take(l, "k").Refused })
}
