package upstream

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// offendAll makes one address of a pool fail five times in a row.
func offendAll(t *testing.T, r *Registry, p *Pool, address string) {
	t.Helper()
	for _, m := range p.members {
		if m.address == address {
			for range 5 {
				m.load.Begin()
				m.Done(r.Now(), time.Millisecond, Broken)
			}
			return
		}
	}
	t.Fatalf("%s is no member", address)
}

func addressesOf(s *LiveSet) []string {
	var list []string
	for _, p := range s.peers {
		list = append(list, p.address)
	}
	return list
}

// Without a check an ejected peer is back when its time is over, to the nanosecond of the virtual clock, and twice as late the next time.
func TestEjectedPeerReturnsByTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []string
		r := NewRegistry(Options{Events: Events{
			Returned: func(_, _, target, how string) { told = append(told, target+" "+how) },
		}})
		defer r.Close()
		rule := testRule()
		p, err := r.Acquire(PoolOptions{Targets: []Target{{Address: "10.0.0.1:80", Weight: 1}, {Address: "10.0.0.2:80", Weight: 1}}, Ejection: rule})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Release()
		for _, base := range []time.Duration{5 * time.Second, 10 * time.Second} {
			offendAll(t, r, p, "10.0.0.1:80")
			pass(base - 1)
			if p.Live().Len() != 1 {
				t.Fatalf("back before %v", base)
			}
			pass(1)
			if p.Live().Len() != 2 {
				t.Fatalf("not back after %v", base)
			}
		}
		if !slices.Equal(told, []string{"10.0.0.1:80 time", "10.0.0.1:80 time"}) {
			t.Errorf("told: %v", told)
		}
	})
}

// The peer that is ejected is needed when the others fall: then it is live again, and told so.
func TestEjectedPeerIsNeeded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{answers: map[string]bool{"10.0.0.1:80": true, "10.0.0.2:80": true}}
		var told []string
		r := NewRegistry(Options{Probe: w.probe, Events: Events{
			Returned: func(_, _, target, how string) { told = append(told, target+" "+how) },
		}})
		defer r.Close()
		rule := testRule()
		rule.Base = time.Hour
		p, err := r.Acquire(PoolOptions{
			Targets: []Target{{Address: "10.0.0.1:80", Weight: 1}, {Address: "10.0.0.2:80", Weight: 1}},
			Health:  &HealthOptions{Path: "/"}, Ejection: rule,
		})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Release()
		pass(time.Second)
		for range 2 { // the first ejection ends with a passing probe, the second one must serve its time
			offendAll(t, r, p, "10.0.0.1:80")
			if got := addressesOf(p.Live()); !slices.Equal(got, []string{"10.0.0.2:80"}) {
				t.Fatalf("live: %v", got)
			}
			pass(time.Second)
		}
		if got := addressesOf(p.Live()); !slices.Equal(got, []string{"10.0.0.2:80"}) {
			t.Fatalf("live after a second: %v", got)
		}
		w.mu.Lock()
		w.answers["10.0.0.2:80"] = false
		w.mu.Unlock()
		pass(5 * time.Second)
		if got := addressesOf(p.Live()); !slices.Equal(got, []string{"10.0.0.1:80"}) {
			t.Fatalf("live after the other fell: %v", got)
		}
		if !slices.Equal(told, []string{"10.0.0.1:80 probe", "10.0.0.1:80 needed"}) {
			t.Errorf("told: %v", told)
		}
	})
}

// since is the slow start of each live peer, as the age of its membership in seconds, -1 for none.
func since(r *Registry, p *Pool) string {
	out := ""
	for _, m := range p.Live().peers {
		age := int64(-1)
		if m.since != 0 {
			age = (r.Now() - m.since) / second
		}
		out += fmt.Sprintf("%s:%d ", m.address[:8], age)
	}
	return out
}

func TestSlowStartIsForThoseWhoJoinOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{answers: map[string]bool{"10.0.0.1:80": true, "10.0.0.2:80": true}}
		r := NewRegistry(Options{Probe: w.probe})
		defer r.Close()
		set := func(address string, ok bool) {
			w.mu.Lock()
			w.answers[address] = ok
			w.mu.Unlock()
			pass(10 * time.Second)
		}
		o := PoolOptions{Health: &HealthOptions{Path: "/"}, SlowStart: time.Minute, WhenNoneHealthy: Reject, Targets: []Target{
			{Address: "10.0.0.1:80", Weight: 1}, {Address: "10.0.0.2:80", Weight: 1}, {Address: "10.0.0.3:80", Weight: 1},
		}}
		p, err := r.Acquire(o)
		if err != nil {
			t.Fatal(err)
		}
		pass(10 * time.Second)
		if got := since(r, p); got != "10.0.0.1:-1 10.0.0.2:-1 " {
			t.Errorf("those of the first hour: %s", got)
		}
		set("10.0.0.3:80", true)
		age := since(r, p)
		if age != "10.0.0.1:-1 10.0.0.2:-1 10.0.0.3:9 " {
			t.Errorf("one joins: %s", age)
		}
		// A reload takes the slow start over, and a target that is new with it starts slowly.
		o.Targets = append(o.Targets, Target{Address: "10.0.0.4:80", Weight: 1})
		w.mu.Lock()
		w.answers["10.0.0.4:80"] = true
		w.mu.Unlock()
		q, err := r.Acquire(o)
		if err != nil {
			t.Fatal(err)
		}
		p.Release()
		pass(10 * time.Second)
		if got := since(r, q); got != "10.0.0.1:-1 10.0.0.2:-1 10.0.0.3:19 10.0.0.4:9 " && got != "10.0.0.1:-1 10.0.0.2:-1 10.0.0.3:19 10.0.0.4:10 " {
			t.Errorf("after a reload: %s", got)
		}
		// All fall and come back together: nobody is spared at the others' cost.
		w.mu.Lock()
		clear(w.answers)
		w.mu.Unlock()
		pass(10 * time.Second)
		if q.Live().Len() != 0 {
			t.Fatalf("live: %v", addressesOf(q.Live()))
		}
		w.mu.Lock()
		w.answers["10.0.0.1:80"], w.answers["10.0.0.2:80"] = true, true
		w.mu.Unlock()
		pass(10 * time.Second)
		if got := since(r, q); got != "10.0.0.1:-1 10.0.0.2:-1 " {
			t.Errorf("those that came back to an empty pool: %s", got)
		}
		q.Release()
	})
}

// Probes: at once, then at leisure while all is well, fast while it is not.
func TestProbesKeepTheirRhythm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var at []time.Duration
		fail := false
		begin := time.Now()
		r := NewRegistry(Options{Probe: func(context.Context, string, HealthOptions) error {
			mu.Lock()
			defer mu.Unlock()
			at = append(at, time.Since(begin))
			if fail {
				return errors.New("down")
			}
			return nil
		}})
		defer r.Close()
		p, err := r.Acquire(PoolOptions{Targets: []Target{{Address: "10.0.0.1:80", Weight: 1}}, Health: &HealthOptions{Path: "/"}})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Release()
		probes := func() []time.Duration {
			mu.Lock()
			defer mu.Unlock()
			return slices.Clone(at)
		}
		synctest.Wait()
		if got := probes(); len(got) != 1 || got[0] != 0 {
			t.Fatalf("first probe: %v", got)
		}
		pass(20 * time.Second)
		well := probes()
		for i := 1; i < len(well); i++ {
			if d := well[i] - well[i-1]; d < 1800*time.Millisecond || d > 2200*time.Millisecond {
				t.Errorf("a pause of %v while all is well", d)
			}
		}
		mu.Lock()
		fail = true
		mu.Unlock()
		pass(20 * time.Second)
		if p.Snapshot()[0].State != Unhealthy {
			t.Error("still healthy")
		}
		down := probes()[len(well):]
		for i := 1; i < len(down); i++ {
			if d := down[i] - down[i-1]; d < 315*time.Millisecond || d > 385*time.Millisecond {
				t.Errorf("a pause of %v while it is down", d)
			}
		}
		if len(down) < 50 {
			t.Errorf("%d probes in 20 s of being down", len(down))
		}
	})
}

// rota answers with a TTL from a list, then fails.
type rota struct {
	mu   sync.Mutex // guards what follows
	ttls []time.Duration
	at   []time.Duration
	from time.Time
}

// LookupIP implements Resolver.
func (s *rota) LookupIP(_ context.Context, family, _ string) ([]netip.Addr, time.Duration, error) {
	if family == "ip6" {
		return nil, 0, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	i := len(s.at)
	s.at = append(s.at, time.Since(s.from))
	if i >= len(s.ttls) {
		return nil, 0, ErrNoSuchName
	}
	return []netip.Addr{netip.MustParseAddr("10.0.0.1")}, s.ttls[i], nil
}

// LookupSRV implements Resolver.
func (s *rota) LookupSRV(context.Context, string) ([]SRV, time.Duration, error) {
	return nil, 0, ErrNoSuchName
}

func TestNamesAreLookedUpByTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &rota{ttls: []time.Duration{0, 30 * time.Second, 1000 * time.Hour}, from: time.Now()}
		r := NewRegistry(Options{Resolver: s})
		defer r.Close()
		p, err := r.Acquire(PoolOptions{Targets: []Target{{DNS: "api:80", Weight: 1}}})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Release()
		pass(2 * time.Hour)
		// Floor, TTL, ceiling, then doubling pauses; each 11/10 of it ±10 %.
		want := []time.Duration{time.Second, 30 * time.Second, time.Hour}
		for d := time.Second; d < maxRetry; d *= 2 {
			want = append(want, d)
		}
		want = append(want, maxRetry, maxRetry)
		s.mu.Lock()
		defer s.mu.Unlock()
		for i, w := range want {
			if d := s.at[i+1] - s.at[i]; d < w*98/100 || d > w*122/100 {
				t.Errorf("pause %d is %v, want about %v", i, d, w)
			}
		}
		if got := addressesOf(p.Live()); !slices.Equal(got, []string{"10.0.0.1:80"}) {
			t.Errorf("after all the failures: %v", got)
		}
	})
}
