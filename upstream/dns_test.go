package upstream_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/valor-ivx/weir/upstream"
)

// nameServer is a real name server on loopback, UDP and TCP on one port, with a zone that tests change.
type nameServer struct {
	address string

	mu    sync.Mutex // guards what follows
	zone  map[string][]string
	rcode map[string]int // of a question "name TYPE", instead of an answer
	asked map[string]int
	mute  atomic.Bool // answer nothing by UDP
}

func newNameServer(t *testing.T) *nameServer {
	t.Helper()
	s := &nameServer{zone: map[string][]string{}, rcode: map[string]int{}, asked: map[string]int{}}
	packet, stream := twinPorts(t)
	s.address = stream.Addr().String()
	for _, server := range []*dns.Server{{PacketConn: packet, Handler: s}, {Listener: stream, Handler: s}} {
		started := make(chan struct{})
		server.NotifyStartedFunc = func() { close(started) }
		done := make(chan error, 1)
		go func() { done <- server.ActivateAndServe() }()
		<-started
		t.Cleanup(func() {
			_ = server.Shutdown()
			<-done
		})
	}
	return s
}

// twinPorts binds one port number for UDP and TCP: the number that is free for one may be taken for the other, then another one is.
func twinPorts(t *testing.T) (net.PacketConn, net.Listener) {
	t.Helper()
	for range 50 {
		stream, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		packet, err := net.ListenPacket("udp", stream.Addr().String())
		if err == nil {
			return packet, stream
		}
		_ = stream.Close()
	}
	t.Fatal("no port is free for both UDP and TCP")
	return nil, nil
}

// set replaces the records of a name: "A 1 10.0.0.1" is type, TTL and data.
func (s *nameServer) set(name string, records ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.zone[dns.Fqdn(name)] = records
	for key := range s.rcode {
		if strings.HasPrefix(key, dns.Fqdn(name)+" ") {
			delete(s.rcode, key)
		}
	}
}

func (s *nameServer) answerWith(name, kind string, rcode int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rcode[dns.Fqdn(name)+" "+kind] = rcode
}

func (s *nameServer) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := new(dns.Msg).SetReply(q)
	name, kind := strings.ToLower(q.Question[0].Name), dns.TypeToString[q.Question[0].Qtype]
	_, udp := w.RemoteAddr().(*net.UDPAddr)
	s.asked[name+" "+kind+map[bool]string{true: " udp", false: " tcp"}[udp]]++
	if s.mute.Load() && udp {
		return
	}
	records, ok := s.zone[name]
	code, set := s.rcode[name+" "+kind]
	if code == dns.RcodeFormatError && q.IsEdns0() == nil {
		set = false // a server of before 1999: it is EDNS that it cannot read
	}
	if set {
		m.Rcode = code
	} else if !ok {
		m.Rcode = dns.RcodeNameError
	} else {
		for _, text := range records {
			word := strings.SplitN(text, " ", 3)
			if word[0] == kind || word[0] == "CNAME" {
				rr, err := dns.NewRR(fmt.Sprintf("%s %s IN %s %s", name, word[1], word[0], word[2]))
				if err != nil {
					panic(err)
				}
				m.Answer = append(m.Answer, rr)
			}
		}
	}
	if udp {
		m.Truncate(upTo(q))
	}
	_ = w.WriteMsg(m)
}

func upTo(q *dns.Msg) int {
	if o := q.IsEdns0(); o != nil {
		return int(o.UDPSize())
	}
	return dns.MinMsgSize
}

func (s *nameServer) count(question string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[question]
}

func (s *nameServer) resolver(t *testing.T, hosts, resolv string) *upstream.SystemResolver {
	t.Helper()
	dir := t.TempDir()
	o := upstream.ResolverOptions{Hosts: filepath.Join(dir, "hosts"), ResolvConf: filepath.Join(dir, "resolv.conf"), Servers: []string{s.address}}
	for file, text := range map[string]string{o.Hosts: hosts, o.ResolvConf: resolv} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return upstream.NewResolver(o)
}

func TestResolverAnswers(t *testing.T) {
	s := newNameServer(t)
	s.set("api.example", "A 30 10.0.0.2", "A 20 10.0.0.1", "AAAA 60 fd00::1")
	s.set("web.corp.example", "A 5 10.0.0.3")
	s.set("four.example", "A 5 10.0.0.4")
	s.answerWith("broken.example", "A", dns.RcodeServerFailure)
	s.set("old.example", "A 7 10.0.0.5")
	s.answerWith("old.example", "A", dns.RcodeFormatError)
	var many []string
	for i := range 120 {
		many = append(many, fmt.Sprintf("A 9 10.1.0.%d", i))
	}
	s.set("many.example", many...)
	r := s.resolver(t, "127.0.0.9 api.local db.local\nfd00::9 db.local\n", "search corp.example\noptions ndots:1 attempts:1\n")
	for _, c := range []struct {
		family, host string
		want         string // addresses, or the error
		ttl          time.Duration
	}{
		{"ip4", "api.example", "10.0.0.2 10.0.0.1", 20 * time.Second},
		{"ip6", "API.example.", "fd00::1", 60 * time.Second},
		{"ip4", "web", "10.0.0.3", 5 * time.Second}, // by the search list
		{"ip6", "four.example", "", 0},
		{"ip4", "nothing.example", "no such name", 0},
		{"ip4", "broken.example", "SERVFAIL", 0},
		{"ip4", "old.example", "10.0.0.5", 7 * time.Second},
		{"ip4", "api.local", "127.0.0.9", 5 * time.Second},
		{"ip6", "api.local", "", 5 * time.Second}, // the hosts file decides for both families
		{"ip6", "db.local", "fd00::9", 5 * time.Second},
	} {
		t.Run(c.family+" "+c.host, func(t *testing.T) {
			addrs, ttl, err := r.LookupIP(context.Background(), c.family, c.host)
			got := strings.Trim(fmt.Sprint(addrs), "[]")
			if err != nil {
				got = err.Error()
			}
			if got != c.want && (err == nil || !strings.Contains(got, c.want)) {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if c.ttl != 0 && ttl != c.ttl {
				t.Errorf("ttl %v, want %v", ttl, c.ttl)
			}
		})
	}
	if _, _, err := r.LookupIP(context.Background(), "ip4", "nothing.example"); !errors.Is(err, upstream.ErrNoSuchName) {
		t.Errorf("NXDOMAIN is %v", err)
	}
	addrs, _, err := r.LookupIP(context.Background(), "ip4", "many.example")
	if err != nil || len(addrs) != 120 || s.count("many.example. A tcp") != 1 {
		t.Errorf("a long answer has %d addresses, %v, by TCP %d times", len(addrs), err, s.count("many.example. A tcp"))
	}
}

func TestResolverAsksTheNextServer(t *testing.T) {
	bad, good := newNameServer(t), newNameServer(t)
	bad.answerWith("api.example", "A", dns.RcodeRefused)
	good.set("api.example", "A 30 10.0.0.1")
	r := upstream.NewResolver(upstream.ResolverOptions{Servers: []string{bad.address, good.address}, Hosts: os.DevNull})
	addrs, _, err := r.LookupIP(context.Background(), "ip4", "api.example")
	if err != nil || len(addrs) != 1 || bad.count("api.example. A udp") != 1 {
		t.Errorf("got %v, %v after %d questions to the first server", addrs, err, bad.count("api.example. A udp"))
	}
}

func TestCancelledLookUpReturnsAtOnce(t *testing.T) {
	s := newNameServer(t)
	s.mute.Store(true)
	r := s.resolver(t, "", "options attempts:5 timeout:30\n") // it would ask on for longer than is waited for here
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		_, _, err := r.LookupIP(ctx, "ip4", "api.example")
		done <- err
	}()
	for s.count("api.example. A udp") == 0 {
		<-time.After(time.Millisecond)
	}
	cancel()
	if err := within(t, done); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// A name's life through a real server: found, changed within its TTL, kept through every kind of failure, gone peers dropped with their connections.
func TestNamesFollowTheirRecords(t *testing.T) {
	address, accepted := silentServer(t)
	_, port, _ := net.SplitHostPort(address)
	s := newNameServer(t)
	s.set("api.example", "A 1 127.0.0.1", "AAAA 1 ::1")
	events := newRecord()
	r := newRegistry(t, upstream.Options{Events: events.events(), Resolver: s.resolver(t, "", "options attempts:1 timeout:30\n")})
	p := acquire(t, r, upstream.PoolOptions{Targets: []upstream.Target{{DNS: "api.example:" + port, Weight: 1}}})
	waitKnown(t, p)
	four, six := "127.0.0.1:"+port, "[::1]:"+port
	if got := liveAddresses(p); !slices.Equal(got, []string{four, six}) {
		t.Fatalf("live: %v", got)
	}

	var conn *upstream.Conn
	live := p.Live()
	for i := range live.Len() {
		if live.At(i).Address() == four {
			conn = dial(t, live.At(i))
		}
	}
	server := <-accepted
	conn.Release(true, r.Now())
	s.set("api.example", "A 1 127.0.0.2", "AAAA 1 ::1")
	events.await(t, "gone api/blue "+four, 1)
	closedByUs(t, server)
	other := "127.0.0.2:" + port
	if got := liveAddresses(p); !slices.Equal(got, []string{other, six}) {
		t.Fatalf("live after the change: %v", got)
	}

	for _, rcode := range []int{dns.RcodeServerFailure, dns.RcodeNameError} {
		s.answerWith("api.example", "A", rcode)
		s.answerWith("api.example", "AAAA", rcode)
		n := events.count("resolved dns:api.example false")
		events.await(t, "resolved dns:api.example false", n+1)
		if got := liveAddresses(p); !slices.Equal(got, []string{other, six}) {
			t.Fatalf("live after %s: %v", dns.RcodeToString[rcode], got)
		}
	}
	p.Release()
	if n := events.count("gone api/blue " + six); n != 1 {
		t.Errorf("%s is gone %d times", six, n)
	}
}

func TestServiceRecordsMakePeers(t *testing.T) {
	s := newNameServer(t)
	s.set("_http._tcp.api.example", "SRV 1 10 30 5001 a.example.", "SRV 30 10 10 5002 b.example.", "SRV 30 20 1 5003 backup.example.")
	s.set("a.example", "A 30 10.0.0.1")
	s.set("b.example", "A 30 10.0.0.2", "AAAA 30 fd00::2")
	events := newRecord()
	r := newRegistry(t, upstream.Options{Resolver: s.resolver(t, "", "options attempts:1\n"), Events: events.events()})
	p := acquire(t, r, upstream.PoolOptions{Targets: []upstream.Target{
		{SRV: "_http._tcp.api.example", Weight: 2}, {Address: netip.MustParseAddrPort("10.0.0.9:80").String(), Weight: 1},
	}})
	defer p.Release()
	waitKnown(t, p)
	got := map[string]float64{}
	for _, peer := range p.Snapshot() {
		got[peer.Address] = peer.Weight
	}
	want := map[string]float64{"10.0.0.1:5001": 3, "10.0.0.2:5002": 1, "[fd00::2]:5002": 1, "10.0.0.9:80": 1}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("weights %v, want %v", got, want)
	}
	s.answerWith("_http._tcp.api.example", "SRV", dns.RcodeServerFailure)
	events.await(t, "resolved srv:_http._tcp.api.example false", 1)
	if got := liveAddresses(p); len(got) != len(want) {
		t.Errorf("live after SERVFAIL: %v", got)
	}
}

// Two pools share a name's look-ups; a reload in between neither forgets nor asks anew.
func TestReloadKeepsWhatNamesMean(t *testing.T) {
	s := newNameServer(t)
	s.set("api.example", "A 3600 10.0.0.1")
	r := newRegistry(t, upstream.Options{Resolver: s.resolver(t, "", "")})
	o := upstream.PoolOptions{Targets: []upstream.Target{{DNS: "api.example:80", Weight: 1}}}
	before := acquire(t, r, o)
	waitKnown(t, before)
	o.SlowStart = time.Second
	after := acquire(t, r, o)
	if got := liveAddresses(after); !slices.Equal(got, []string{"10.0.0.1:80"}) {
		t.Errorf("live right after the reload: %v", got)
	}
	before.Release()
	after.Release()
	if n := s.count("api.example. A udp"); n != 1 {
		t.Errorf("the name was looked up %d times", n)
	}
}
