package edgetls_test

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	edgetls "github.com/valor-ivx/weir/tls"
	"github.com/valor-ivx/weir/tls/pebbletest"
)

// site is an edge of one test: a plain and a TLS listener, as the server has them.
type site struct {
	t         *testing.T
	http, tls net.Listener
	manager   *edgetls.Manager
	folder    string
	changed   chan struct{}

	mu   sync.Mutex // guards acme
	acme *edgetls.ACME
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{t: t, manager: edgetls.NewManager(), folder: t.TempDir(), changed: make(chan struct{}, 1)}
	for _, l := range []*net.Listener{&s.http, &s.tls} {
		var err error
		if *l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
	}
	var loops sync.WaitGroup
	loops.Go(func() { _ = http.Serve(s.http, http.HandlerFunc(s.plain)) })
	config := s.manager.Config([]string{"http/1.1"}, 0)
	loops.Go(func() {
		for {
			c, err := s.tls.Accept()
			if err != nil {
				return
			}
			loops.Go(func() {
				defer c.Close()
				_ = c.SetDeadline(time.Now().Add(60 * time.Second))
				secure := tls.Server(c, config)
				if secure.Handshake() == nil && !edgetls.IsValidation(secure.ConnectionState()) {
					_, _ = io.Copy(secure, secure)
				}
			})
		}
	})
	t.Cleanup(func() {
		s.stop()
		s.http.Close()
		s.tls.Close()
		loops.Wait()
	})
	return s
}

func (s *site) plain(w http.ResponseWriter, r *http.Request) {
	if a := s.current(); a != nil {
		if body, ok := a.HTTPChallenge(r.Host, r.URL.Path); ok {
			_, _ = w.Write(body)
			return
		}
	}
	http.NotFound(w, r)
}

func (s *site) current() *edgetls.ACME {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.acme
}

func port(l net.Listener) int { return l.Addr().(*net.TCPAddr).Port }

// pebble is a CA whose validations arrive at the site's listeners.
func (s *site) pebble() *pebbletest.CA {
	return pebbletest.New(s.t, pebbletest.Options{HTTPPort: port(s.http), TLSPort: port(s.tls)})
}

// options are for the given CA, with impatient retries.
func (s *site) options(p *pebbletest.CA) edgetls.ACMEOptions {
	return edgetls.ACMEOptions{
		CAs: []edgetls.CA{{Directory: p.Directory, Roots: p.Trust, Profile: "default"}}, Folder: s.folder,
		HTTPAddress: s.http.Addr().String(), TLSAddress: s.tls.Addr().String(), Resolvers: []string{p.Resolver},
		Retry: func(int) time.Duration { return 20 * time.Millisecond },
		Changed: func() {
			select {
			case s.changed <- struct{}{}:
			default:
			}
		},
	}
}

func (s *site) start(o edgetls.ACMEOptions, hosts ...string) *edgetls.ACME {
	s.t.Helper()
	a, err := edgetls.NewACME(o, s.manager)
	if err != nil {
		s.t.Fatal(err)
	}
	s.mu.Lock()
	s.acme = a
	s.mu.Unlock()
	s.manager.UseACME(a)
	a.Manage(hosts)
	return a
}

func (s *site) stop() {
	if a := s.current(); a != nil {
		a.Close()
	}
}

// await looks at every change until done says so.
func (s *site) await(what string, done func() bool) {
	s.t.Helper()
	limit := time.After(90 * time.Second)
	for !done() {
		select {
		case <-s.changed:
		case <-limit:
			s.t.Fatalf("never came: %s; now %+v", what, s.current().List())
		}
	}
}

// info is what is known of one managed name.
func (s *site) info(name string) edgetls.Info {
	for _, i := range s.current().List() {
		if i.Subject == name {
			return i
		}
	}
	return edgetls.Info{}
}

func (s *site) isValid(names ...string) func() bool {
	return func() bool {
		for _, n := range names {
			if s.info(n).State != edgetls.StateValid {
				return false
			}
		}
		return true
	}
}

func (s *site) hasFailed(name string) func() bool {
	return func() bool { return s.info(name).State == edgetls.StateFailed }
}

// served is the leaf a client gets that asks for name and verifies it against roots; roots nil: it does not verify. An IP address is no server name.
func (s *site) served(name string, roots *x509.CertPool) (*x509.Certificate, error) {
	config := &tls.Config{ServerName: name, RootCAs: roots, InsecureSkipVerify: roots == nil}
	c, err := tls.DialWithDialer(&net.Dialer{Timeout: 60 * time.Second}, "tcp", s.tls.Addr().String(), config)
	if err != nil {
		return nil, fmt.Errorf("handshake for %s: %w", name, err)
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0], echo(c)
}

func (s *site) mustServe(name string, roots *x509.CertPool) *x509.Certificate {
	s.t.Helper()
	leaf, err := s.served(name, roots)
	if err != nil {
		s.t.Fatal(err)
	}
	return leaf
}

func addresses(leaf *x509.Certificate) []string {
	var out []string
	for _, ip := range leaf.IPAddresses {
		out = append(out, ip.String())
	}
	return out
}

// validated reports whether a handshake as a CA makes it for tls-alpn-01 gets the challenge's certificate: for name alone, with the extension of
// RFC 8737 §3.
func (s *site) validated(name string) bool {
	config := &tls.Config{ServerName: name, InsecureSkipVerify: true, NextProtos: []string{"acme-tls/1"}}
	c, err := tls.DialWithDialer(&net.Dialer{Timeout: 60 * time.Second}, "tcp", s.tls.Addr().String(), config)
	if err != nil {
		return false
	}
	defer c.Close()
	leaf := c.ConnectionState().PeerCertificates[0]
	return len(leaf.DNSNames) == 1 && leaf.DNSNames[0] == name && slices.ContainsFunc(leaf.Extensions, func(e pkix.Extension) bool {
		return e.Critical && e.Id.String() == "1.3.6.1.5.5.7.1.31"
	})
}
