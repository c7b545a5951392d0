package upstream_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valor-ivx/weir/balancer"
	"github.com/valor-ivx/weir/tls/certtest"
	"github.com/valor-ivx/weir/upstream"
)

// authority is a CA that issues certificates for tests.
type authority struct {
	t   testing.TB
	ca  *certtest.Certificate
	pem string
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	ca := certtest.CA(t)
	return &authority{t, ca, string(ca.PEM)}
}

// issue signs a certificate for a name or an address, valid until then.
func (a *authority) issue(name string, until time.Time) *certtest.Certificate {
	a.t.Helper()
	template := certtest.For(name)
	template.NotAfter = until
	return certtest.New(a.t, template, a.ca)
}

// leaf is what issue makes, in PEM.
func (a *authority) leaf(name string, until time.Time) (cert, key string) {
	a.t.Helper()
	c := a.issue(name, until)
	return string(c.PEM), string(c.KeyPEM)
}

func (a *authority) pair(name string, until time.Time) tls.Certificate {
	a.t.Helper()
	return a.issue(name, until).TLS()
}

func (a *authority) pool() *x509.CertPool { return a.ca.Pool() }

const soon = time.Hour

// secureServer answers TLS connections with the handler, one goroutine each, all ended with the test.
func secureServer(t testing.TB, c *tls.Config, serve func(*tls.Conn)) (address string) {
	t.Helper()
	raw, accepted := silentServer(t)
	go func() {
		for conn := range accepted {
			go func() {
				defer func() { _ = conn.Close() }()
				serve(tls.Server(conn, c))
			}()
		}
	}()
	return raw
}

func TestTLSDialIsVerified(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	valid := time.Now().Add(soon)
	clientCert, clientKey := ca.leaf("weir", valid)
	good := upstream.Transport{TLS: true, CA: ca.pem}
	with := func(change func(*upstream.Transport)) upstream.Transport {
		transport := good
		change(&transport)
		return transport
	}
	for _, c := range []struct {
		name      string
		server    *tls.Config
		transport upstream.Transport
		kind      upstream.DialKind
		want      string // of the error; "": none
	}{
		{"address of the target", &tls.Config{Certificates: []tls.Certificate{ca.pair("127.0.0.1", valid)}}, good, 0, ""},
		{"server name", &tls.Config{Certificates: []tls.Certificate{ca.pair("api.internal", valid)}},
			with(func(t *upstream.Transport) { t.ServerName = "api.internal" }), 0, ""},
		{"client certificate", &tls.Config{Certificates: []tls.Certificate{ca.pair("127.0.0.1", valid)}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.pool()},
			with(func(t *upstream.Transport) { t.Certificate, t.Key = clientCert, clientKey }), 0, ""},
		{"insecure", &tls.Config{Certificates: []tls.Certificate{other.pair("elsewhere", time.Now())}}, with(func(t *upstream.Transport) { t.Insecure = true }), 0, ""},
		{"wrong name", &tls.Config{Certificates: []tls.Certificate{ca.pair("api.internal", valid)}}, good, upstream.DialTLSCertificate, "cannot validate certificate for 127.0.0.1"},
		{"expired", &tls.Config{Certificates: []tls.Certificate{ca.pair("127.0.0.1", time.Now().Add(-time.Minute))}}, good, upstream.DialTLSCertificate, "expired"},
		{"unknown CA", &tls.Config{Certificates: []tls.Certificate{other.pair("127.0.0.1", valid)}}, good, upstream.DialTLSCertificate, "unknown authority"},
		{"system roots", &tls.Config{Certificates: []tls.Certificate{ca.pair("127.0.0.1", valid)}}, upstream.Transport{TLS: true}, upstream.DialTLSCertificate, "unknown authority"},
		{"no client certificate, 1.2", &tls.Config{Certificates: []tls.Certificate{ca.pair("127.0.0.1", valid)}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.pool(), MaxVersion: tls.VersionTLS12},
			good, upstream.DialTLSAlert, "handshake failure"},
		{"old server", &tls.Config{Certificates: []tls.Certificate{ca.pair("127.0.0.1", valid)}, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, good, upstream.DialTLSAlert, "protocol version not supported"},
	} {
		t.Run(c.name, func(t *testing.T) {
			address := secureServer(t, c.server, func(s *tls.Conn) { _, _ = io.Copy(s, s) })
			r := newRegistry(t, upstream.Options{})
			pool := acquire(t, r, upstream.PoolOptions{Targets: targets(address), Transport: c.transport})
			defer pool.Release()
			conn, err := pick(t, pool, r.Now()).Dial(limit)
			if c.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				if _, err := io.WriteString(conn.Conn(), "through"); err != nil {
					t.Fatal(err)
				}
				echo := make([]byte, 7)
				if _, err := io.ReadFull(conn.Conn(), echo); err != nil || string(echo) != "through" {
					t.Errorf("echo %q, %v", echo, err)
				}
				conn.Release(false, 0)
				return
			}
			var dial *upstream.DialError
			if !errors.As(err, &dial) || dial.Kind != c.kind || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want kind %v and %q", err, c.kind, c.want)
			}
		})
	}
}

func TestTLSHandshakeIsBounded(t *testing.T) {
	address, _ := silentServer(t)
	r := newRegistry(t, upstream.Options{})
	pool := acquire(t, r, upstream.PoolOptions{Targets: targets(address), Transport: upstream.Transport{TLS: true}})
	defer pool.Release()
	_, err := pick(t, pool, r.Now()).Dial(50 * time.Millisecond)
	var dial *upstream.DialError
	if !errors.As(err, &dial) || dial.Kind != upstream.DialTimeout {
		t.Errorf("a server that says nothing: %v", err)
	}
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	pool2 := acquire(t, r, upstream.PoolOptions{Targets: targets(plain.Listener.Addr().String()), Transport: upstream.Transport{TLS: true}})
	defer pool2.Release()
	if _, err = pick(t, pool2, r.Now()).Dial(limit); !errors.As(err, &dial) || dial.Kind != upstream.DialTLSProtocol {
		t.Errorf("a server without TLS: %v", err)
	}
}

// TestRestingTLSConnection: a session ticket that comes late is no end; a close_notify, an end of the socket, or an answer that nobody asked for is.
func TestRestingTLSConnection(t *testing.T) {
	ca := newAuthority(t)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			servers := make(chan *tls.Conn, 1)
			address := secureServer(t, &tls.Config{
				Certificates: []tls.Certificate{ca.pair("127.0.0.1", time.Now().Add(soon))}, MinVersion: version, MaxVersion: version,
			}, func(s *tls.Conn) {
				if s.Handshake() == nil { // in TLS 1.3 it ends with tickets, which nobody has read when the connection comes to rest
					servers <- s
					_, _ = io.Copy(io.Discard, s) // until the client closes
				}
			})
			for name, c := range map[string]struct {
				act  func(s *tls.Conn) error
				ends bool
			}{
				"nothing":      {func(*tls.Conn) error { return nil }, false},
				"close_notify": {func(s *tls.Conn) error { return s.CloseWrite() }, true},
				"end":          {func(s *tls.Conn) error { return s.NetConn().(*net.TCPConn).CloseWrite() }, true},
				"reset": {func(s *tls.Conn) error {
					return errors.Join(s.NetConn().(*net.TCPConn).SetLinger(0), s.NetConn().Close())
				}, true},
				"answer": {func(s *tls.Conn) error { _, err := io.WriteString(s, "HTTP/1.1 408\r\n\r\n"); return err }, true},
			} {
				t.Run(name, func(t *testing.T) {
					r := newRegistry(t, upstream.Options{})
					pool := acquire(t, r, upstream.PoolOptions{Targets: targets(address), Transport: upstream.Transport{TLS: true, CA: ca.pem}})
					defer pool.Release()
					peer := pick(t, pool, r.Now())
					conn := dial(t, peer)
					server := <-servers
					conn.Release(true, r.Now())
					if err := c.act(server); err != nil {
						t.Fatal(err)
					}
					if !c.ends {
						for range 3 {
							if got := peer.Conn(r.Now()); got != conn {
								t.Fatal("the connection was given up")
							}
							conn.Release(true, r.Now())
						}
						return
					}
					for late := time.Now().Add(limit); !conn.Readable(); {
						if time.Now().After(late) {
							t.Fatal("the end was not seen")
						}
					}
					if peer.Conn(r.Now()) != nil {
						t.Error("it was handed out")
					}
				})
			}
		})
	}
}

// TestTLSSessionsAreResumed, and not across transports: a session proves what the last handshake proved.
func TestTLSSessionsAreResumed(t *testing.T) {
	ca := newAuthority(t)
	resumed := make(chan bool, 8)
	address := secureServer(t, &tls.Config{Certificates: []tls.Certificate{ca.pair("127.0.0.1", time.Now().Add(soon))}}, func(s *tls.Conn) {
		if s.Handshake() == nil {
			resumed <- s.ConnectionState().DidResume
			_, _ = io.Copy(s, s)
		}
	})
	r := newRegistry(t, upstream.Options{})
	use := func(transport upstream.Transport) bool {
		t.Helper()
		pool := acquire(t, r, upstream.PoolOptions{Service: transport.ServerName, Targets: targets(address), Transport: transport})
		t.Cleanup(pool.Release)
		conn := dial(t, pick(t, pool, r.Now()))
		if _, err := io.WriteString(conn.Conn(), "x"); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(conn.Conn(), make([]byte, 1)); err != nil { // takes the tickets in
			t.Fatal(err)
		}
		conn.Release(false, 0)
		return <-resumed
	}
	one, two := upstream.Transport{TLS: true, CA: ca.pem}, upstream.Transport{TLS: true, CA: ca.pem + "\n"}
	if use(one) || !use(one) || use(two) || !use(two) {
		t.Error("want a full handshake and a short one for each transport")
	}
}

// TestTransportsDoNotShareConnections, but load and the address.
func TestTransportsDoNotShareConnections(t *testing.T) {
	ca := newAuthority(t)
	address := secureServer(t, &tls.Config{Certificates: []tls.Certificate{ca.pair("127.0.0.1", time.Now().Add(soon))}}, func(s *tls.Conn) { _, _ = io.Copy(s, s) })
	r := newRegistry(t, upstream.Options{})
	plain := acquire(t, r, upstream.PoolOptions{Targets: targets(address)})
	defer plain.Release()
	secure := acquire(t, r, upstream.PoolOptions{Targets: targets(address), Transport: upstream.Transport{TLS: true, CA: ca.pem}})
	if plain == secure {
		t.Fatal("one pool for two transports")
	}
	p, s := pick(t, plain, r.Now()), pick(t, secure, r.Now())
	if p.InFlight() != 2 || s.InFlight() != 2 {
		t.Errorf("in flight %d and %d, want the address's 2", p.InFlight(), s.InFlight())
	}
	conn := dial(t, p)
	conn.Release(true, r.Now())
	if s.Conn(r.Now()) != nil {
		t.Error("a plain connection was handed out for TLS")
	}
	hidden := dial(t, s)
	secure.Release() // a reload that changes the CA: the request under way goes on
	if _, err := io.WriteString(hidden.Conn(), "still"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(hidden.Conn(), make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	hidden.Release(true, r.Now())
	if s.Conn(r.Now()) != nil {
		t.Error("a connection of a released transport rests")
	}
	if p.Conn(r.Now()) != conn {
		t.Error("the other transport lost its connection")
	}
	conn.Release(false, 0)
}

// TestProbesUseTheTransport: a check of a TLS target passes exactly when requests could be made.
func TestProbesUseTheTransport(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	b := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	var names atomic.Pointer[string]
	b.TLS = &tls.Config{Certificates: []tls.Certificate{ca.pair("api.internal", time.Now().Add(soon))}, GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		names.Store(&h.ServerName)
		return nil, nil
	}}
	b.StartTLS()
	defer b.Close()
	address := b.Listener.Addr().String()
	r := newRegistry(t, upstream.Options{})
	for _, c := range []struct {
		transport upstream.Transport
		state     upstream.State
		err       string
	}{
		{upstream.Transport{TLS: true, CA: ca.pem, ServerName: "api.internal"}, upstream.Healthy, ""},
		{upstream.Transport{TLS: true, CA: other.pem, ServerName: "api.internal"}, upstream.Unhealthy, "unknown authority"},
		{upstream.Transport{TLS: true, CA: ca.pem}, upstream.Unhealthy, "tls_certificate_error"},
		{upstream.Transport{}, upstream.Unhealthy, "400"},
	} {
		pool := acquire(t, r, upstream.PoolOptions{
			Targets: targets(address), Balance: balancer.RoundRobin, Transport: c.transport, Health: &upstream.HealthOptions{Path: "/", Timeout: limit},
		})
		pool.WaitKnown(t.Context())
		s := pool.Snapshot()[0]
		if s.State != c.state || !strings.Contains(s.LastError, c.err) {
			t.Errorf("%+v: %v, %q", c.transport.ServerName, s.State, s.LastError)
		}
		pool.Release()
	}
	if name := names.Load(); name == nil || *name != "" {
		t.Error("the last probe by TLS sent a name for an address")
	}
}

// TestBadTransports are refused before anything is acquired.
func TestBadTransports(t *testing.T) {
	ca := newAuthority(t)
	cert, _ := ca.leaf("weir", time.Now().Add(soon))
	_, key := ca.leaf("weir", time.Now().Add(soon))
	r := newRegistry(t, upstream.Options{})
	for want, transport := range map[string]upstream.Transport{
		"without it":         {ServerName: "x"},
		"no certificate":     {TLS: true, CA: "x"},
		"client certificate": {TLS: true, Certificate: cert, Key: key},
	} {
		if _, err := r.Acquire(upstream.PoolOptions{Targets: targets("127.0.0.1:1"), Transport: transport}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	_, err := r.Acquire(upstream.PoolOptions{Targets: []upstream.Target{{SRV: "_http._tcp.x", Weight: 1}}, Transport: upstream.Transport{TLS: true}})
	if err == nil || !strings.Contains(err.Error(), "server name") {
		t.Errorf("srv: %v", err)
	}
}

// TestCutIsNotAnEnd: a socket that ends without close_notify does not look like the end of an answer (RFC 9112 §9.8).
func TestCutIsNotAnEnd(t *testing.T) {
	ca := newAuthority(t)
	notify := make(chan bool, 1)
	address := secureServer(t, &tls.Config{Certificates: []tls.Certificate{ca.pair("127.0.0.1", time.Now().Add(soon))}}, func(s *tls.Conn) {
		if _, err := http.ReadRequest(bufio.NewReader(s)); err != nil {
			return
		}
		_, _ = io.WriteString(s, "HTTP/1.1 200 OK\r\n\r\nhalf")
		if <-notify {
			_ = s.CloseWrite()
		}
	})
	r := newRegistry(t, upstream.Options{})
	pool := acquire(t, r, upstream.PoolOptions{Targets: targets(address), Transport: upstream.Transport{TLS: true, CA: ca.pem}})
	defer pool.Release()
	for _, clean := range []bool{true, false} {
		conn := dial(t, pick(t, pool, r.Now()))
		if _, err := io.WriteString(conn.Conn(), "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		notify <- clean
		b, err := io.ReadAll(conn.Conn())
		if !strings.HasSuffix(string(b), "half") || (err == nil) != clean {
			t.Errorf("close_notify %t: %q, %v", clean, b, err)
		}
		conn.Release(false, 0)
	}
}
