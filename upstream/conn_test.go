package upstream_test

import (
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/valor-ivx/weir/balancer"
	"github.com/valor-ivx/weir/upstream"
)

func pick(t testing.TB, p *upstream.Pool, now int64) *upstream.Peer {
	t.Helper()
	var tried balancer.Tried
	peer := p.Live().Pick(0, now, &tried)
	if peer == nil {
		t.Fatal("nobody to pick")
	}
	return peer
}

func dial(t testing.TB, peer *upstream.Peer) *upstream.Conn {
	t.Helper()
	c, err := peer.Dial(0)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// closedByUs waits until the other end of an accepted connection sees the end.
func closedByUs(t testing.TB, c net.Conn) {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(limit))
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Fatalf("the connection was not closed: %v", err)
	}
}

// closeAndArrive ends an accepted connection and returns when the client's socket has noticed.
func closeAndArrive(t testing.TB, server net.Conn, client *upstream.Conn) {
	t.Helper()
	_ = server.Close()
	for late := time.Now().Add(limit); !client.Readable(); {
		if time.Now().After(late) {
			t.Fatal("the end of the connection never arrived")
		}
	}
}

func TestConnectionsAreReusedLastInFirstOut(t *testing.T) {
	address, accepted := silentServer(t)
	r := newRegistry(t, upstream.Options{})
	pool := acquire(t, r, upstream.PoolOptions{Targets: targets(address), MaxIdle: 2})
	defer pool.Release()
	peer := pick(t, pool, r.Now())
	a, b, c := dial(t, peer), dial(t, peer), dial(t, peer)
	var servers []net.Conn
	for range 3 {
		servers = append(servers, <-accepted)
	}
	if a.Reused() {
		t.Error("a new connection says it was reused")
	}
	now := r.Now()
	a.Release(true, now)
	b.Release(true, now+1)
	third := c.Conn().LocalAddr().String()
	c.Release(true, now+2)
	for _, s := range servers {
		if s.RemoteAddr().String() == third {
			closedByUs(t, s) // MaxIdle is 2
		}
	}
	if got := peer.Conn(now + 3); got != b || !got.Reused() {
		t.Error("the first one out is not the last one in")
	}
	if got := peer.Conn(now + 3); got != a {
		t.Error("the second one out is not the first one in")
	}
	if got := peer.Conn(now + 3); got != nil {
		t.Error("there is a third connection at rest")
	}
	a.Release(false, now)
	b.Release(false, now)
	if got := peer.Conn(now + 4); got != nil {
		t.Error("a connection that is not reusable came to rest")
	}
	peer.Done(r.Now(), 0, upstream.Aborted)
}

func TestClosedConnectionsAreNotHandedOut(t *testing.T) {
	address, accepted := silentServer(t)
	r := newRegistry(t, upstream.Options{})
	pool := acquire(t, r, upstream.PoolOptions{Targets: targets(address)})
	defer pool.Release()
	peer := pick(t, pool, r.Now())
	a := dial(t, peer)
	serverA := <-accepted
	b := dial(t, peer)
	serverB := <-accepted
	now := r.Now()
	a.Release(true, now)
	b.Release(true, now)
	closeAndArrive(t, serverB, b)
	if got := peer.Conn(now); got != a {
		t.Error("not the connection that is still open")
	}
	a.Release(true, now)
	if _, err := serverA.Write([]byte("HTTP/1.1 408 Request Timeout\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	for late := time.Now().Add(limit); !a.Readable() && time.Now().Before(late); {
	}
	if got := peer.Conn(now); got != nil {
		t.Error("a connection with an answer that nobody asked for was handed out")
	}
}

func TestIdleLimitIsKept(t *testing.T) {
	address, accepted := silentServer(t)
	r := newRegistry(t, upstream.Options{})
	pool := acquire(t, r, upstream.PoolOptions{Targets: targets(address), IdleTimeout: time.Second})
	defer pool.Release()
	peer := pick(t, pool, r.Now())
	c := dial(t, peer)
	server := <-accepted
	now := r.Now()
	c.Release(true, now)
	if got := peer.Conn(now + int64(time.Second)); got != nil {
		t.Error("a connection was handed out at its limit")
	}
	closedByUs(t, server) // by the janitor
	if n := pool.Snapshot()[0].Idle; n != 0 {
		t.Errorf("%d connections rest after the janitor", n)
	}
}

// Pools that share an address share the shortest rest and the most connections; what the one wanted goes with it.
func TestLimitsOfSharedAddresses(t *testing.T) {
	address, _ := silentServer(t)
	r := newRegistry(t, upstream.Options{})
	patient := acquire(t, r, upstream.PoolOptions{Service: "patient", Targets: targets(address), IdleTimeout: time.Hour, MaxIdle: 1})
	defer patient.Release()
	hasty := acquire(t, r, upstream.PoolOptions{Service: "hasty", Targets: targets(address), IdleTimeout: time.Minute, MaxIdle: 2})
	peer, now := patient.Live().At(0), r.Now()
	dial(t, peer).Release(true, now)
	dial(t, peer).Release(true, now)
	if n := patient.Snapshot()[0].Idle; n != 2 {
		t.Errorf("%d rest, want 2", n)
	}
	if peer.Conn(now+int64(time.Minute)) != nil {
		t.Error("handed out after the shorter rest")
	}
	hasty.Release()
	c := peer.Conn(now + int64(time.Minute))
	if c == nil {
		t.Fatal("not handed out before the longer rest")
	}
	c.Release(false, now)
}

func TestLimitIsLearnedFromTheHeader(t *testing.T) {
	address, _ := silentServer(t)
	r := newRegistry(t, upstream.Options{})
	pool := acquire(t, r, upstream.PoolOptions{Targets: targets(address)})
	defer pool.Release()
	peer := pick(t, pool, r.Now())
	c := dial(t, peer)
	c.LearnIdle(5 * time.Second)
	c.LearnIdle(50 * time.Second) // never rises
	now := r.Now()
	c.Release(true, now)
	if peer.Conn(now+int64(4*time.Second)) != nil {
		t.Error("handed out four seconds old, and the peer allows five")
	}
	if peer.Conn(now+int64(4*time.Second)-1) != c {
		t.Error("not handed out before its time")
	}
	c.Release(false, now)
}

func TestLastReleaseClosesWhatRests(t *testing.T) {
	address, accepted := silentServer(t)
	r := newRegistry(t, upstream.Options{})
	o := upstream.PoolOptions{Targets: targets(address)}
	one := acquire(t, r, o)
	two := acquire(t, r, o)
	if one != two {
		t.Fatal("equal descriptions are two pools")
	}
	o.Service, o.Group = "other", "blue"
	other := acquire(t, r, o)
	peer := pick(t, one, r.Now())
	c, busy := dial(t, peer), dial(t, peer)
	server, busyServer := <-accepted, <-accepted
	if server.RemoteAddr().String() != c.Conn().LocalAddr().String() {
		server, busyServer = busyServer, server
	}
	c.Release(true, r.Now())
	one.Release()
	two.Release()
	if got := pick(t, other, r.Now()).Conn(r.Now()); got != c {
		t.Fatal("a pool that shares the address does not share its connections")
	}
	c.Release(true, r.Now())
	other.Release()
	closedByUs(t, server)

	// The request that holds the old live set goes on.
	if one.Live().Len() != 1 {
		t.Error("a released pool lost its live set")
	}
	if _, err := busy.Conn().Write([]byte("still here")); err != nil {
		t.Error(err)
	}
	late := dial(t, pick(t, one, r.Now()))
	late.Release(true, r.Now())
	closedByUs(t, <-accepted) // nobody would ever use it
	busy.Release(true, r.Now())
	if n, err := io.ReadAll(busyServer); err != nil || string(n) != "still here" {
		t.Errorf("the busy connection carried %q, %v", n, err)
	}
}

func TestDialErrorsAreClassified(t *testing.T) {
	r := newRegistry(t, upstream.Options{})
	for _, c := range []struct {
		name, address string
		timeout       time.Duration
		kind          upstream.DialKind
	}{
		{"refused", refused(t), limit, upstream.DialRefused},
		{"timeout", "127.0.0.1:1", time.Nanosecond, upstream.DialTimeout},
	} {
		t.Run(c.name, func(t *testing.T) {
			pool := acquire(t, r, upstream.PoolOptions{Targets: targets(c.address)})
			defer pool.Release()
			peer := pick(t, pool, r.Now())
			_, err := peer.Dial(c.timeout)
			var dial *upstream.DialError
			if !errors.As(err, &dial) || dial.Kind != c.kind {
				t.Fatalf("error %v, want kind %v", err, c.kind)
			}
			if dial.Outcome() != upstream.ConnectFailed {
				t.Errorf("outcome %v", dial.Outcome())
			}
			if pool.Snapshot()[0].LastError != err.Error() {
				t.Errorf("status says %q", pool.Snapshot()[0].LastError)
			}
		})
	}
}
