package upstream_test

import (
	"context"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/valor-ivx/weir/upstream"
	"github.com/valor-ivx/weir/upstream/kubernetes"
	"github.com/valor-ivx/weir/upstream/kubetest"
)

// serviceOf is a target that is Service api of a fake API server.
func serviceOf(a *kubetest.API, port string) upstream.Target {
	return upstream.Target{Weight: 1, Service: kubernetes.Service{API: kubernetes.API{Server: a.URL, CA: a.CA, Token: a.Token, Namespace: a.Namespace}, Name: "api", Port: port}}
}

// pods is the one slice of Service api, of pods at 127.0.0.x, by address and conditions.
func pods(port int, list ...kubetest.Pod) kubetest.Slice {
	return kubetest.Slice{Name: "api-1", Service: "api", Ports: []kubetest.Port{{Name: "http", Number: port}}, Pods: list}
}

// becomes waits for the live set to be of certain addresses.
func becomes(t *testing.T, p *upstream.Pool, want ...string) {
	t.Helper()
	for end := time.Now().Add(limit); !slices.Equal(liveAddresses(p), want); <-time.After(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("live: %v, want %v", liveAddresses(p), want)
		}
	}
}

// TestPodsArePeers: pods join, end and leave without anything else of the pool changing; what is known of those that stay, and their connections, stay.
func TestPodsArePeers(t *testing.T) {
	one, accepted := silentServer(t)
	_, port, _ := net.SplitHostPort(one)
	a := kubetest.Start(t, t.TempDir())
	number, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	first, second := kubetest.Pod{Address: "127.0.0.1", UID: "1"}, kubetest.Pod{Address: "127.0.0.2", UID: "2"}
	a.Apply(pods(number, first))
	events := newRecord()
	r := newRegistry(t, upstream.Options{Events: events.events()})
	p := acquire(t, r, upstream.PoolOptions{Targets: []upstream.Target{serviceOf(a, "http")}})
	waitKnown(t, p)
	becomes(t, p, one)
	peer := p.Live().At(0)
	conn := dial(t, peer)
	server := <-accepted
	conn.Release(true, r.Now())
	pick(t, p, r.Now()).Done(r.Now(), time.Millisecond, upstream.Success)

	two := "127.0.0.2:" + port
	a.Apply(pods(number, first, second))
	becomes(t, p, one, two)
	if s := p.Snapshot(); s[0].Requests != 1 || s[0].Idle != 1 || p.Live().At(0) != peer {
		t.Errorf("the peer that stayed is another: %+v", s[0])
	}
	first.Conditions = kubetest.Ending()
	a.Apply(pods(number, first, second))
	becomes(t, p, two)
	if s := p.Snapshot(); len(s) != 2 || s[0].State != upstream.Draining || s[0].Idle != 1 || s[0].Live || s[1].State != upstream.Healthy {
		t.Errorf("a pod that ends: %+v", s)
	}
	if n := events.count("gone api/blue " + one); n != 0 {
		t.Error("a pod that ends is gone already")
	}
	a.Apply(pods(number, second))
	events.await(t, "gone api/blue "+one, 1)
	closedByUs(t, server)
	second.Conditions = kubetest.NotReady()
	a.Apply(pods(number, second))
	becomes(t, p)
	p.Release()
}

// TestServiceAway: the last pods stay while the API server is away, a new pool waits for it, and status says how it stands.
func TestServiceAway(t *testing.T) {
	a := kubetest.Start(t, t.TempDir())
	a.Apply(pods(80, kubetest.Pod{Address: "10.0.0.1", UID: "1"}, kubetest.Pod{Address: "10.0.0.2", UID: "2", Conditions: kubetest.Ending()}))
	a.Down()
	events := newRecord()
	r := newRegistry(t, upstream.Options{Events: events.events()})
	p := acquire(t, r, upstream.PoolOptions{Targets: []upstream.Target{serviceOf(a, "http")}})
	defer p.Release()
	const source = "kubernetes:api:http"
	events.await(t, "resolved "+source+" false", 1)
	known := make(chan struct{})
	go func() {
		p.WaitKnown(context.Background())
		close(known)
	}()
	if s := p.Sources()[0]; s.Up || s.Source != source || !strings.Contains(s.Error, "connection refused") || !s.Answered.IsZero() || s.Failures == 0 || s.Since.IsZero() {
		t.Errorf("%+v", s)
	}
	select {
	case <-known:
		t.Error("a Service counts as known that nobody has answered for")
	default:
	}
	a.Up(t)
	within(t, known)
	becomes(t, p, "10.0.0.1:80")
	events.await(t, "resolved "+source+" true", 1)
	if s := r.Sources(); len(s) != 1 || !s[0].Up || s[0].Error != "" || s[0].Answered.IsZero() || s[0].Targets != 2 || s[0].Leaving != 1 || s[0].Changes != 1 {
		t.Errorf("%+v", s)
	}
	n := events.count("resolved " + source + " false")
	a.Down()
	events.await(t, "resolved "+source+" false", n+1)
	if s := p.Sources()[0]; s.Up || s.Targets != 2 {
		t.Errorf("%+v", s)
	}
	becomes(t, p, "10.0.0.1:80")
}

// TestPoolsShareAWatch: two pools of a Service, and a reload between them, take one list and one watch; a Service that nobody needs any more is not followed.
func TestPoolsShareAWatch(t *testing.T) {
	a := kubetest.Start(t, t.TempDir())
	a.Apply(pods(80, kubetest.Pod{Address: "10.0.0.1", UID: "1"}))
	r := newRegistry(t, upstream.Options{})
	o := upstream.PoolOptions{Targets: []upstream.Target{serviceOf(a, "http"), {Address: "10.0.0.1:80", Weight: 2}}}
	before := acquire(t, r, o)
	waitKnown(t, before)
	o.SlowStart = time.Second
	after := acquire(t, r, o)
	if got := after.Snapshot(); len(got) != 1 || got[0].Weight != 3 {
		t.Errorf("right after the reload: %+v", got)
	}
	before.Release()
	watched := func(n int) {
		t.Helper()
		for end := time.Now().Add(limit); ; <-time.After(time.Millisecond) {
			if _, _, open := a.Count(); open == n {
				return
			} else if time.Now().After(end) {
				t.Fatalf("%d watches, want %d", open, n)
			}
		}
	}
	watched(1)
	if lists, watches, _ := a.Count(); lists != 1 || watches != 1 {
		t.Errorf("%d lists and %d watches", lists, watches)
	}
	after.Release()
	watched(0)
	again := acquire(t, r, o)
	defer again.Release()
	waitKnown(t, again)
}

func TestServicesAreChecked(t *testing.T) {
	r := newRegistry(t, upstream.Options{})
	s := kubernetes.Service{Name: "api", Port: "http"}
	for want, o := range map[string]upstream.PoolOptions{
		"a Service has a name and a port": {Targets: []upstream.Target{{Service: kubernetes.Service{Name: "api"}}}},
		"exactly one of":                  {Targets: []upstream.Target{{Service: s, Address: "10.0.0.1:80"}}},
		"is named twice":                  {Targets: []upstream.Target{{Service: s}, {Service: s}}},
		"needs a server name":             {Targets: []upstream.Target{{Service: s}}, Transport: upstream.Transport{TLS: true}},
	} {
		if _, err := r.Acquire(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
