package upstream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/valor-ivx/weir/proxy/http1"
)

// resting is an idle pool with n connections that came to rest a second apart, and their other ends, oldest first.
func resting(t *testing.T, n int, timeout time.Duration) (p *idlePool, conns []*Conn, servers []net.Conn, now int64) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	way := newLink(l.Addr().String(), Transport{}, nil)
	p = &way.idle
	p.configure(n, timeout)
	now = 1000 * second
	for range n {
		c, err := way.dial(context.Background(), Client{}, time.Second)
		if err != nil {
			t.Fatal(err)
		}
		s, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		now += second
		if !p.put(c, now) {
			t.Fatal("the connection was not taken")
		}
		conns, servers = append(conns, c), append(servers, s)
	}
	t.Cleanup(p.shut)
	return p, conns, servers, now
}

func hangUp(t *testing.T, c *Conn, server net.Conn) {
	t.Helper()
	_ = server.Close()
	for late := time.Now().Add(10 * time.Second); !c.Readable(); {
		if time.Now().After(late) {
			t.Fatal("the end of the connection never arrived")
		}
	}
}

// A peer that closes the older ones and keeps the younger ones closes by age.
func TestJanitorLearnsThePeersLimit(t *testing.T) {
	p, conns, servers, now := resting(t, 6, time.Hour) // aged 5, 4, 3, 2, 1, 0 s
	for i := range 3 {
		hangUp(t, conns[i], servers[i])
	}
	p.tend(now)
	if p.count != 3 || p.oldest != conns[3] || p.newest != conns[5] {
		t.Fatalf("%d connections rest, want the three young ones in order", p.count)
	}
	if got := time.Duration(p.learned); got != 2*time.Second {
		t.Errorf("learned %v, want a second less than the 3s of the youngest that was closed", got)
	}
	p.tend(now + second) // aged 3, 2 and 1 s now
	if p.count != 1 || p.newest != conns[5] {
		t.Errorf("%d connections rest, want those under the learned limit", p.count)
	}
}

// A peer that closes everything restarted: that says nothing about ages, and nothing closed stays.
func TestJanitorLearnsNothingFromARestart(t *testing.T) {
	const n = 3*inspected + 1
	p, conns, servers, now := resting(t, n, time.Hour)
	for i := range n {
		hangUp(t, conns[i], servers[i])
	}
	p.tend(now)
	if p.count != 0 || p.oldest != nil || p.newest != nil {
		t.Errorf("%d closed connections rest", p.count)
	}
	if p.learned != 0 {
		t.Errorf("learned %v", time.Duration(p.learned))
	}
}

func TestJanitorKeepsTheOrder(t *testing.T) {
	const n = 2*inspected + 3
	p, conns, _, now := resting(t, n, time.Hour)
	p.tend(now)
	for i := n - 1; i >= 0; i-- {
		if got := p.get(now); got != conns[i] {
			t.Fatalf("connection %d is not next", i)
		}
	}
}

// The list against a slice, under every operation.
func TestIdlePoolAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := &idlePool{}
		limit := rapid.IntRange(0, 12).Draw(t, "max")
		timeout := 10 * second
		p.configure(limit, time.Duration(timeout))
		type entry struct {
			c     *Conn
			since int64
		}
		var model []entry // oldest first
		now := second
		expired := func(e entry) bool { return now-e.since >= timeout }
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				near, far := net.Pipe()
				defer far.Close()
				c := &Conn{ClientConn: http1.NewClientConn(near), home: p}
				if got, want := p.put(c, now), len(model) < limit; got != want {
					t.Fatalf("put = %v, want %v", got, want)
				} else if got {
					model = append(model, entry{c, now})
				}
			},
			"get": func(t *rapid.T) {
				var want *Conn
				if n := len(model); n > 0 && !expired(model[n-1]) {
					want, model = model[n-1].c, model[:n-1]
				}
				if got := p.get(now); got != want {
					t.Fatalf("get = %p, want %p", got, want)
				}
			},
			"tend": func(*rapid.T) {
				p.tend(now)
				for len(model) > 0 && expired(model[0]) {
					model = model[1:]
				}
			},
			"wait": func(t *rapid.T) { now += rapid.Int64Range(0, 4*second).Draw(t, "pause") },
			"": func(t *rapid.T) {
				i := len(model)
				for c := p.newest; c != nil; c = c.older {
					if i--; i < 0 || model[i].c != c || c.since != model[i].since {
						t.Fatalf("the list differs from the model at %d of %d", i, len(model))
					}
					if c.older != nil && c.older.newer != c || c.older == nil && p.oldest != c {
						t.Fatal("the list is not linked both ways")
					}
				}
				if i != 0 || p.count != len(model) || (p.newest == nil) != (p.oldest == nil) {
					t.Fatalf("%d of %d are missing, count is %d", i, len(model), p.count)
				}
			},
		})
	})
}

func TestDialErrorClasses(t *testing.T) {
	wrapped := func(err error) error {
		return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", err)}
	}
	for _, c := range []struct {
		err     error
		kind    DialKind
		outcome Outcome
	}{
		{wrapped(syscall.ECONNREFUSED), DialRefused, ConnectFailed},
		{wrapped(syscall.ETIMEDOUT), DialTimeout, ConnectFailed},
		{&net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded}, DialTimeout, ConnectFailed},
		{wrapped(syscall.EHOSTUNREACH), DialUnreachable, ConnectFailed},
		{wrapped(syscall.ENETUNREACH), DialUnreachable, ConnectFailed},
		{wrapped(syscall.EADDRNOTAVAIL), DialLocal, Aborted},
		{wrapped(syscall.EMFILE), DialLocal, Aborted},
		{&net.DNSError{Err: "no such host", Name: "x"}, DialOther, ConnectFailed},
		{errors.New("else"), DialOther, ConnectFailed},
	} {
		t.Run(fmt.Sprint(c.err), func(t *testing.T) {
			e := &DialError{Kind: classify(c.err), Err: c.err}
			if e.Kind != c.kind || e.Outcome() != c.outcome {
				t.Errorf("kind %v, outcome %v; want %v, %v", e.Kind, e.Outcome(), c.kind, c.outcome)
			}
		})
	}
}

// A peer with one connection at a time shows its limit by closing twice at the same age; once may be a restart, and so may two at different ages.
func TestLimitIsLearnedFromLoneCloses(t *testing.T) {
	for _, c := range []struct {
		ages []int64 // of the lone connection when its end is found
		want time.Duration
	}{
		{[]int64{5 * second}, 0},
		{[]int64{5 * second, 5*second + second/2}, 3 * time.Second}, // found up to a round late, less the margin
		{[]int64{5 * second, 9 * second}, 0},
		{[]int64{5 * second, 9 * second, 9*second + second/3}, 7 * time.Second},
		{[]int64{second, second}, 0},
	} {
		p, conns, servers, now := resting(t, 1, time.Hour)
		for i, age := range c.ages {
			if i > 0 {
				l, more, s, _ := resting(t, 1, time.Hour)
				if l.get(now+second) != more[0] {
					t.Fatal("not the connection that rests")
				}
				conns, servers = more, s
				if !p.put(conns[0], now) {
					t.Fatal("the connection was not taken")
				}
			}
			hangUp(t, conns[0], servers[0])
			p.tend(now + age)
			now += age
			if p.count != 0 {
				t.Fatal("a closed connection rests")
			}
		}
		if got := time.Duration(p.learned); got != c.want {
			t.Errorf("closed at %v: learned %v, want %v", c.ages, got, c.want)
		}
	}
}

// Connections of named clients: each finds its own, youngest first, whoever else rests between; a full pool lets the oldest go.
func TestConnectionsRestByClient(t *testing.T) {
	p, conns, _, now := resting(t, 5, time.Hour)
	name := func(port uint16) Client {
		return Client{Source: netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, 1}), port), Destination: netip.MustParseAddrPort("198.51.100.1:80")}
	}
	for i, c := range conns {
		c.client = name(uint16(i % 2))
	}
	for _, want := range []int{4, 2, 0} {
		if got := p.getFor(name(0), now); got != conns[want] {
			t.Fatalf("not connection %d", want)
		}
	}
	if p.getFor(name(0), now) != nil || p.getFor(name(2), now) != nil {
		t.Error("somebody else's connection was handed out")
	}
	if p.count != 2 || p.newest != conns[3] || p.oldest != conns[1] || p.newest.older != p.oldest || p.oldest.newer != p.newest {
		t.Error("the list is broken")
	}
	for _, i := range []int{0, 2, 4} {
		p.put(conns[i], now)
	}
	late := conns[0]
	if p.getFor(name(0), now); p.count != 4 {
		t.Fatal("no connection left")
	}
	p.configure(4, time.Hour)
	if !p.put(conns[4], now) || p.count != 4 || p.oldest != conns[3] {
		t.Error("a full pool did not let its oldest go")
	}
	if err := conns[1].Conn().SetDeadline(time.Time{}); err == nil {
		t.Error("what went is still open")
	}
	if p.getFor(name(0), late.since+int64(time.Hour)) != nil {
		t.Error("handed out after its rest")
	}
}
