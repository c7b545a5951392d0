package upstream_test

import (
	"context"
	"net"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/valor-ivx/weir/balancer"
	"github.com/valor-ivx/weir/upstream"
)

func waitKnown(t testing.TB, p *upstream.Pool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	p.WaitKnown(ctx)
	if ctx.Err() != nil {
		t.Fatalf("peers stayed unknown: %+v", p.Snapshot())
	}
}

func TestWithoutACheckTargetsAreHealthyAtOnce(t *testing.T) {
	events := newRecord()
	r := newRegistry(t, upstream.Options{Events: events.events()})
	p := acquire(t, r, upstream.PoolOptions{Targets: append(targets("127.0.0.1:1", "127.0.0.1:2"), upstream.Target{Address: "127.0.0.1:3"})})
	waitKnown(t, p)
	if got := liveAddresses(p); !slices.Equal(got, []string{"127.0.0.1:1", "127.0.0.1:2"}) {
		t.Errorf("live: %v, want those of positive weight", got)
	}
	for _, s := range p.Snapshot() {
		if s.State != upstream.Healthy || s.Live != (s.Weight > 0) {
			t.Errorf("status %+v", s)
		}
	}
	p.Release()
	want := "up api/blue 127.0.0.1:1 true\nup api/blue 127.0.0.1:2 true\nup api/blue 127.0.0.1:3 true\n" +
		"gone api/blue 127.0.0.1:1\ngone api/blue 127.0.0.1:2\ngone api/blue 127.0.0.1:3"
	if events.all() != want {
		t.Errorf("events:\n%s", events.all())
	}
}

func TestPickTriesEveryPeerOnce(t *testing.T) {
	r := newRegistry(t, upstream.Options{})
	p := acquire(t, r, upstream.PoolOptions{Targets: targets("127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3")})
	defer p.Release()
	var tried balancer.Tried
	seen := map[string]bool{}
	live := p.Live()
	for range 3 {
		peer := live.Pick(0, r.Now(), &tried)
		if peer == nil || seen[peer.Address()] || peer.InFlight() != 1 {
			t.Fatalf("pick %d is %v", len(seen), peer)
		}
		seen[peer.Address()] = true
	}
	if live.Pick(0, r.Now(), &tried) != nil {
		t.Error("a fourth pick of three peers")
	}
	for i := range 3 {
		peer := live.At(i)
		peer.Done(r.Now(), 0, upstream.Aborted)
		if s := status(t, p, peer.Address()); s.InFlight != 0 || s.Requests != 0 || s.Failures != 0 {
			t.Errorf("an aborted attempt left %+v", s)
		}
	}
}

func TestChecksDecide(t *testing.T) {
	good, bad := newBackend(t), newBackend(t)
	bad.unready.Store(true)
	events := newRecord()
	r := newRegistry(t, upstream.Options{Events: events.events()})
	p := acquire(t, r, upstream.PoolOptions{
		Targets: targets(good.address, bad.address), Health: &upstream.HealthOptions{Path: "/ready", Interval: time.Hour, Timeout: limit, Rise: 2, Fall: 3},
	})
	defer p.Release()
	waitKnown(t, p)
	if got := liveAddresses(p); !slices.Equal(got, []string{good.address}) {
		t.Fatalf("live: %v, want the one that answers 200", got)
	}
	for _, s := range p.Snapshot() {
		if s.Address == bad.address && !strings.Contains(s.LastError, "status 503 is not 2xx") {
			t.Errorf("the status of the bad one says %q", s.LastError)
		}
	}
	if n := good.probes.Load(); n != 1 {
		t.Errorf("the good one was probed %d times, its interval is an hour", n)
	}
	bad.unready.Store(false)
	events.await(t, "up api/blue "+bad.address+" true", 1)
	if got := liveAddresses(p); len(got) != 2 {
		t.Errorf("live: %v, want both", got)
	}
}

// What fell is back by probes of their own, although the interval is an hour: within a second of its first answer, by their rhythm (TestProbesKeepTheirRhythm).
func TestRecoveredPeerIsBackWithinASecond(t *testing.T) {
	keeper := newBackend(t)
	b := newBackend(t)
	events := newRecord()
	r := newRegistry(t, upstream.Options{Events: events.events()})
	p := acquire(t, r, upstream.PoolOptions{
		Targets:  targets(keeper.address, b.address),
		Health:   &upstream.HealthOptions{Path: "/", Interval: time.Hour, Timeout: limit, Rise: 2, Fall: 1},
		Ejection: &upstream.EjectionOptions{Consecutive: 5, MaxEjected: 0.5},
	})
	defer p.Release()
	waitKnown(t, p)
	b.unready.Store(true)
	fail(t, r, p, b.address, 5, upstream.Broken)
	events.await(t, "ejected api/blue "+b.address+" consecutive", 1)
	for late := time.Now().Add(limit); status(t, p, b.address).State != upstream.Unhealthy; runtime.Gosched() {
		if time.Now().After(late) { // the ejection brings fast probes, which see it down
			t.Fatal("the check never noticed")
		}
	}
	if got := liveAddresses(p); !slices.Equal(got, []string{keeper.address}) {
		t.Fatalf("live: %v", got)
	}
	b.unready.Store(false)
	events.await(t, "up api/blue "+b.address+" true", 2)
	if got := liveAddresses(p); len(got) != 2 {
		t.Errorf("live: %v, want both", got)
	}
}

func status(t testing.TB, p *upstream.Pool, address string) upstream.PeerStatus {
	t.Helper()
	for _, s := range p.Snapshot() {
		if s.Address == address {
			return s
		}
	}
	t.Fatalf("%s has no status", address)
	return upstream.PeerStatus{}
}

// fail makes one peer's next n attempts end with o.
func fail(t testing.TB, r *upstream.Registry, p *upstream.Pool, address string, n int, o upstream.Outcome) {
	t.Helper()
	live := p.Live()
	for range n {
		var tried balancer.Tried
		found := false
		for peer := live.Pick(0, r.Now(), &tried); peer != nil; peer = live.Pick(0, r.Now(), &tried) {
			if peer.Address() == address {
				peer.Done(r.Now(), time.Millisecond, o)
				found = true
				break
			}
			defer peer.Done(r.Now(), 0, upstream.Aborted)
		}
		if !found {
			t.Fatalf("%s is not live: %v", address, liveAddresses(p))
		}
	}
}

func TestHealthSurvivesAReload(t *testing.T) {
	b, fresh := newBackend(t), newBackend(t)
	r := newRegistry(t, upstream.Options{})
	o := upstream.PoolOptions{Targets: targets(b.address), Health: &upstream.HealthOptions{Path: "/", Interval: time.Hour, Timeout: limit}, WhenNoneHealthy: upstream.Reject}
	before := acquire(t, r, o)
	waitKnown(t, before)

	o.Targets = targets(b.address, fresh.address)
	o.SlowStart = time.Minute
	after := acquire(t, r, o)
	if got := liveAddresses(after); !slices.Contains(got, b.address) {
		t.Errorf("live right after the reload: %v, want the known one", got)
	}
	before.Release()
	waitKnown(t, after)
	if n := b.probes.Load(); n != 1 {
		t.Errorf("the known one was probed %d times, want once: its check goes on", n)
	}
	if n := after.Live().Len(); n != 2 {
		t.Errorf("%d live, want 2", n)
	}

	// Another rhythm is another check, which starts from what is known.
	o.Health = &upstream.HealthOptions{Path: "/", Interval: 2 * time.Hour, Timeout: limit}
	again := acquire(t, r, o)
	if n := again.Live().Len(); n != 2 {
		t.Errorf("%d live in the other rhythm, want 2", n)
	}
	// Another question starts from nothing.
	o.Health = &upstream.HealthOptions{Path: "/other", Interval: time.Hour, Timeout: limit}
	b.unready.Store(true)
	other := acquire(t, r, o)
	waitKnown(t, other)
	if got := liveAddresses(other); !slices.Equal(got, []string{fresh.address}) {
		t.Errorf("live by the other check: %v", got)
	}
	if n := after.Live().Len(); n != 2 {
		t.Errorf("the other check changed the first one's live set to %d", n)
	}
	after.Release()
	again.Release()
	other.Release()
}

func TestWhenNoneIsHealthy(t *testing.T) {
	b := newBackend(t)
	b.unready.Store(true)
	r := newRegistry(t, upstream.Options{})
	o := upstream.PoolOptions{Targets: targets(b.address), Health: &upstream.HealthOptions{Path: "/", Timeout: limit}}
	for _, c := range []struct {
		none upstream.WhenNoneHealthy
		want int
	}{{upstream.Any, 1}, {upstream.Reject, 0}} {
		o.WhenNoneHealthy = c.none
		p := acquire(t, r, o)
		waitKnown(t, p)
		if n := p.Live().Len(); n != c.want || !p.Live().Fallback() {
			t.Errorf("%v: %d live, fallback %v; want %d, true", c.none, n, p.Live().Fallback(), c.want)
		}
		p.Release()
	}
}

// An attempt that hangs is bounded by the check's timeout, and the wait for new peers with it.
func TestHangingTargetIsKnownAfterOneTimeout(t *testing.T) {
	address, _ := silentServer(t)
	r := newRegistry(t, upstream.Options{})
	patient := acquire(t, r, upstream.PoolOptions{Targets: targets(address), Health: &upstream.HealthOptions{Path: "/", Timeout: limit}})
	if s := patient.Snapshot()[0]; s.State != upstream.Unknown {
		t.Errorf("before the first answer the state is %v", s.State)
	}
	patient.Release()
	p := acquire(t, r, upstream.PoolOptions{Targets: targets(address), Health: &upstream.HealthOptions{Path: "/", Timeout: 50 * time.Millisecond}})
	defer p.Release()
	waitKnown(t, p)
	if s := p.Snapshot()[0]; s.State != upstream.Unhealthy {
		t.Errorf("after the timeout the state is %v", s.State)
	}
}

func TestEjectionSkipsAreTold(t *testing.T) {
	events := newRecord()
	r := newRegistry(t, upstream.Options{Events: events.events()})
	rule := &upstream.EjectionOptions{Consecutive: 5, ErrorRatio: 0.5, MaxEjected: 0.5}
	const a, b, c = "127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"

	alone := acquire(t, r, upstream.PoolOptions{Service: "one", Group: "g", Targets: targets(a), Ejection: rule})
	fail(t, r, alone, a, 5, upstream.ConnectFailed)
	if events.count("skipped one/g "+a+" consecutive last_peer") != 1 || alone.Live().Len() != 1 {
		t.Errorf("the last peer: %s", events.all())
	}
	// A reason that stands is told at most ten times a second: each time takes the control plane's lock.
	peer, now := alone.Live().At(0), r.Now()+int64(time.Minute)
	before := events.count("skipped one/g " + a + " consecutive last_peer")
	for range 1000 {
		now += int64(time.Millisecond)
		var tried balancer.Tried
		alone.Live().Pick(0, now, &tried)
		peer.Done(now, time.Millisecond, upstream.Broken)
	}
	if n := events.count("skipped one/g "+a+" consecutive last_peer") - before; n < 9 || n > 11 {
		t.Errorf("a second of failures was told %d times", n)
	}
	alone.Release()

	three := acquire(t, r, upstream.PoolOptions{Service: "three", Group: "g", Targets: targets(a, b, c), Ejection: rule})
	fail(t, r, three, a, 5, upstream.ConnectFailed)
	fail(t, r, three, b, 5, upstream.TimedOut)
	if got := liveAddresses(three); !slices.Equal(got, []string{b, c}) || events.count("skipped three/g "+b+" consecutive max_ejected") != 1 {
		t.Errorf("two of three: live %v, %s", got, events.all())
	}
	three.Release()

	two := acquire(t, r, upstream.PoolOptions{Service: "two", Group: "g", Targets: targets(a, b), Ejection: rule})
	for range 20 {
		fail(t, r, two, a, 1, upstream.ServerError)
		fail(t, r, two, b, 1, upstream.ServerError)
	}
	if two.Live().Len() != 2 || !strings.Contains(events.all(), " error_ratio group_failing") {
		t.Errorf("a group that fails alike: live %v, %s", liveAddresses(two), events.all())
	}
	two.Release()
}

// A peer that is ejected here is not left out by a pool that has no rule, nor by one whose last peer it is.
func TestEjectionIsHeededByEachPoolsRule(t *testing.T) {
	r := newRegistry(t, upstream.Options{})
	rule := &upstream.EjectionOptions{Consecutive: 5, MaxEjected: 1}
	const a, b = "127.0.0.1:1", "127.0.0.1:2"
	both := acquire(t, r, upstream.PoolOptions{Service: "both", Targets: targets(a, b), Ejection: rule})
	without := acquire(t, r, upstream.PoolOptions{Service: "without", Targets: targets(a, b)})
	last := acquire(t, r, upstream.PoolOptions{Service: "last", Targets: targets(a), Ejection: rule})
	fail(t, r, both, a, 5, upstream.Broken)
	for p, want := range map[*upstream.Pool]int{both: 1, without: 2, last: 1} {
		if n := p.Live().Len(); n != want {
			t.Errorf("%s: %d live, want %d", p.Options().Service, n, want)
		}
		p.Release()
	}
}

func TestBadDescriptionsChangeNothing(t *testing.T) {
	events := newRecord()
	r := newRegistry(t, upstream.Options{Events: events.events()})
	good := upstream.Target{Address: "127.0.0.1:1", Weight: 1}
	for name, o := range map[string]upstream.PoolOptions{
		"no targets":    {},
		"no port":       {Targets: targets("127.0.0.1")},
		"port 0":        {Targets: targets("127.0.0.1:0")},
		"port http":     {Targets: targets("127.0.0.1:http")},
		"no host":       {Targets: targets(":80")},
		"twice":         {Targets: []upstream.Target{good, good}},
		"two kinds":     {Targets: []upstream.Target{{Address: "127.0.0.1:1", DNS: "x:1"}}},
		"negative":      {Targets: []upstream.Target{{Address: "127.0.0.1:1", Weight: -1}}},
		"relative path": {Targets: []upstream.Target{good}, Health: &upstream.HealthOptions{Path: "ready"}},
		"long window":   {Targets: []upstream.Target{good}, Ejection: &upstream.EjectionOptions{Window: time.Hour}},
		"ratio over 1":  {Targets: []upstream.Target{good}, Ejection: &upstream.EjectionOptions{ErrorRatio: 1.5}},
		"bad timeout":   {Targets: []upstream.Target{good}, ConnectTimeout: -1},
	} {
		if p, err := r.Acquire(o); err == nil {
			t.Errorf("%s: no error", name)
			p.Release()
		}
	}
	if events.all() != "" {
		t.Errorf("events: %s", events.all())
	}
	r.Close()
	if _, err := r.Acquire(upstream.PoolOptions{Targets: []upstream.Target{good}}); err == nil {
		t.Error("a closed registry gave a pool")
	}
}

func TestOnePlaceNamedTwiceIsOnePeer(t *testing.T) {
	r := newRegistry(t, upstream.Options{})
	p := acquire(t, r, upstream.PoolOptions{Targets: targets("127.0.0.1:80", net.JoinHostPort("::ffff:127.0.0.1", "80"))})
	defer p.Release()
	if s := p.Snapshot(); len(s) != 1 || s[0].Weight != 2 {
		t.Errorf("peers: %+v", s)
	}
}

func TestReleaseTooOftenPanics(t *testing.T) {
	r := newRegistry(t, upstream.Options{})
	p := acquire(t, r, upstream.PoolOptions{Targets: targets("127.0.0.1:80")})
	p.Release()
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
		if p := acquire(t, r, upstream.PoolOptions{Targets: targets("127.0.0.1:80")}); p.Live().Len() != 1 {
			t.Error("the registry is of no use any more")
		}
	}()
	p.Release()
}
