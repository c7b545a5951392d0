package upstream_test

import (
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	xhttp2 "golang.org/x/net/http2"

	"github.com/valor-ivx/weir/proxy/http2"
	"github.com/valor-ivx/weir/upstream"
)

// h2c is the transport of a target that speaks HTTP/2 by prior knowledge.
func h2c() upstream.Transport { return upstream.Transport{HTTP2: true} }

// muxServer takes connections of HTTP/2, says how many streams it takes, and reads until the other side ends. ended tells of each.
func muxServer(t testing.TB, streams uint32) (address string, accepted *atomic.Int64, ended chan struct{}) {
	t.Helper()
	address, conns := silentServer(t)
	accepted, ended = new(atomic.Int64), make(chan struct{}, 1000)
	go func() {
		for c := range conns {
			accepted.Add(1)
			go func() {
				_ = xhttp2.NewFramer(c, nil).WriteSettings(xhttp2.Setting{ID: xhttp2.SettingMaxConcurrentStreams, Val: streams})
				_, _ = io.Copy(io.Discard, c)
				_ = c.Close()
				ended <- struct{}{}
			}()
		}
	}()
	return address, accepted, ended
}

func stream(t testing.TB, peer *upstream.Peer) *http2.ClientStream {
	t.Helper()
	s, err := peer.Stream(0)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestStreamsShareConnections: another connection is made when the last has no room, and only then; what is released is used again.
func TestStreamsShareConnections(t *testing.T) {
	address, accepted, ended := muxServer(t, 4)
	r := newRegistry(t, upstream.Options{})
	pool := acquire(t, r, upstream.PoolOptions{Targets: targets(address), Transport: h2c()})
	peer := pick(t, pool, r.Now())
	if !peer.Multiplexed() {
		t.Fatal("not multiplexed")
	}
	var held []*http2.ClientStream
	for range 10 {
		held = append(held, stream(t, peer))
	}
	if s := pool.Snapshot()[0]; s.Shared != 3 || s.Streams != 10 || accepted.Load() != 3 {
		t.Errorf("%d connections, %d streams, %d accepted", s.Shared, s.Streams, accepted.Load())
	}
	for _, s := range held[:6] {
		s.Release(false)
	}
	for i := range 6 {
		held[i] = stream(t, peer)
	}
	if accepted.Load() != 3 {
		t.Errorf("%d connections for streams that had room", accepted.Load())
	}
	pool.Release() // the address leaves: connections end with their streams
	for _, s := range held {
		s.Release(false)
	}
	for range 3 {
		within(t, ended)
	}
}

func within[T any](t testing.TB, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(limit):
		t.Fatal("nothing came")
	}
	return v
}

// TestOneDialForMany: of many requests that find no connection one makes it, and its failure is everybody's.
func TestOneDialForMany(t *testing.T) {
	address, accepted, _ := muxServer(t, 1000)
	r := newRegistry(t, upstream.Options{})
	pool := acquire(t, r, upstream.PoolOptions{Targets: targets(address), Transport: h2c()})
	defer pool.Release()
	peer := pick(t, pool, r.Now())
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			s, err := peer.Stream(0)
			if err != nil {
				t.Error(err)
				return
			}
			s.Release(false)
		})
	}
	all.Wait()
	if accepted.Load() != 1 {
		t.Errorf("%d connections", accepted.Load())
	}

	lost := acquire(t, r, upstream.PoolOptions{Group: "lost", Service: "api", Targets: targets(refused(t)), Transport: h2c()})
	defer lost.Release()
	peer = pick(t, lost, r.Now())
	for range 20 {
		all.Go(func() {
			var dial *upstream.DialError
			if _, err := peer.Stream(0); !errors.As(err, &dial) || dial.Kind != upstream.DialRefused {
				t.Errorf("%v", err)
			}
		})
	}
	all.Wait()
}

// TestConnectionsAreBounded: what is beyond the bound is refused with a word for it, and held against nobody.
func TestConnectionsAreBounded(t *testing.T) {
	address, accepted, _ := muxServer(t, 1)
	r := newRegistry(t, upstream.Options{})
	pool := acquire(t, r, upstream.PoolOptions{Targets: targets(address), Transport: h2c()})
	defer pool.Release()
	peer := pick(t, pool, r.Now())
	for range 64 {
		defer stream(t, peer).Release(false)
	}
	var dial *upstream.DialError
	if _, err := peer.Stream(0); !errors.As(err, &dial) || dial.Kind != upstream.DialFull || dial.Outcome() != upstream.Aborted || accepted.Load() != 64 {
		t.Errorf("%v, %d connections", err, accepted.Load())
	}
}

// TestNotHTTP2: a target that does not speak it is a failed dial, found out before a request is said.
func TestNotHTTP2(t *testing.T) {
	ca := newAuthority(t)
	pair := ca.pair("127.0.0.1", time.Now().Add(soon))
	secure := upstream.Transport{HTTP2: true, TLS: true, CA: ca.pem}
	talk := func(words string) string {
		address, conns := silentServer(t)
		go func() {
			for c := range conns {
				_, _ = io.WriteString(c, words)
				go func() { _, _ = io.Copy(io.Discard, c); _ = c.Close() }()
			}
		}()
		return address
	}
	handshake := func(protocols ...string) string {
		return secureServer(t, &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: protocols}, func(c *tls.Conn) {
			if c.Handshake() == nil {
				_, _ = io.Copy(io.Discard, c)
			}
		})
	}
	for _, c := range []struct {
		name, address string
		transport     upstream.Transport
		kind          upstream.DialKind
	}{
		{"HTTP/1", talk("HTTP/1.1 400 Bad Request\r\n\r\n"), h2c(), upstream.DialHTTP},
		{"silence", talk(""), h2c(), upstream.DialTimeout},
		{"no streams at all", talk("\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x00"), h2c(), upstream.DialHTTP},
		{"no ALPN", handshake(), secure, upstream.DialTLSProtocol},
		{"another protocol", handshake("http/1.1"), secure, upstream.DialTLSAlert},
		{"silence behind TLS", handshake("h2"), secure, upstream.DialTimeout},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRegistry(t, upstream.Options{})
			pool := acquire(t, r, upstream.PoolOptions{Targets: targets(c.address), Transport: c.transport})
			defer pool.Release()
			timeout := limit
			if c.kind == upstream.DialTimeout {
				timeout = 50 * time.Millisecond
			}
			var dial *upstream.DialError
			if _, err := pick(t, pool, r.Now()).Stream(timeout); !errors.As(err, &dial) || dial.Kind != c.kind {
				t.Errorf("%v", err)
			}
		})
	}
}

// TestIdleSharedConnectionEnds: one that carries nothing is closed after the idle timeout, with GOAWAY.
func TestIdleSharedConnectionEnds(t *testing.T) {
	address, _, ended := muxServer(t, 4)
	r := newRegistry(t, upstream.Options{})
	pool := acquire(t, r, upstream.PoolOptions{Targets: targets(address), Transport: h2c(), IdleTimeout: 20 * time.Millisecond})
	defer pool.Release()
	stream(t, pick(t, pool, r.Now())).Release(false)
	within(t, ended)
}

// TestProbesSpeakHTTP2: a check goes the way that requests go.
func TestProbesSpeakHTTP2(t *testing.T) {
	ca := newAuthority(t)
	for _, secure := range []bool{false, true} {
		protocols := make(chan string, 100)
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { protocols <- r.Proto }))
		s.Config.Protocols = new(http.Protocols)
		transport := h2c()
		if secure {
			s.Config.Protocols.SetHTTP2(true)
			s.TLS = &tls.Config{Certificates: []tls.Certificate{ca.pair("127.0.0.1", time.Now().Add(soon))}, NextProtos: []string{"h2"}}
			s.EnableHTTP2 = true
			s.StartTLS()
			transport.TLS, transport.CA = true, ca.pem
		} else {
			s.Config.Protocols.SetUnencryptedHTTP2(true)
			s.Start()
		}
		t.Cleanup(s.Close)
		r := newRegistry(t, upstream.Options{})
		pool := acquire(t, r, upstream.PoolOptions{Targets: targets(s.Listener.Addr().String()), Transport: transport, Health: &upstream.HealthOptions{Path: "/ready", Timeout: limit}})
		pool.WaitKnown(t.Context())
		if p := within(t, protocols); p != "HTTP/2.0" || len(liveAddresses(pool)) != 1 {
			t.Errorf("TLS %t: %s, %+v", secure, p, pool.Snapshot())
		}
		pool.Release()
	}
}
