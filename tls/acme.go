package edgetls

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
)

// ACME obtains and renews certificates for exactly the names it is given. It is a resource: Close ends it. Each name has one goroutine,
// which sleeps between checks, and certmagic's cache has one; all end with Close.
type ACME struct {
	options ACMEOptions
	manager *Manager
	log     *zap.Logger

	cache       *certmagic.Cache  // holds a certificate only while its name is being looked at; handshakes read the Manager's store
	all         *ways             // every CA: loading, renewal information
	answers     *certmagic.Config // every CA, silent: challenges, which anybody can ask for
	authorities []*authority      // in fail-over order
	challenge   *tls.Config       // for handshakes that are validations
	ledger      *ledger
	onDemand    *onDemand // nil: only what Manage names

	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	keepers sync.WaitGroup
	slots   chan struct{} // one per order under way

	// mu guards what follows and the fields of subjects that say so. Held for memory operations, and by Manage while it reads storage.
	mu       sync.Mutex
	closed   bool
	order    []string
	subjects map[string]*subject
	again    chan struct{} // closed, and another made, by Retry

	onDemandNames []string // that handshakes brought
	recalled      bool     // those of earlier runs are among them
}

// ordersAtOnce bounds orders under way: a validation is a handful of requests to us and to the CA, and Let's Encrypt allows 300 new orders per account
// in three hours.
const ordersAtOnce = 8

// NewACME prepares the folder and the CAs' clients; it asks nobody anything. What it obtains is put in force in m while m.UseACME names it.
func NewACME(o ACMEOptions, m *Manager) (*ACME, error) {
	o = o.withDefaults()
	if o.HTTPAddress == "" && o.TLSAddress == "" && o.DNS == nil {
		return nil, errors.New("prepare acme: no listener could answer a CA: http-01 needs a plain listener, tls-alpn-01 a TLS one, dns-01 a provider")
	}
	if err := os.MkdirAll(o.Folder, 0o700); err != nil {
		return nil, fmt.Errorf("prepare acme: %w", err)
	}
	a := &ACME{
		options: o, manager: m, log: o.Logger, subjects: map[string]*subject{}, again: make(chan struct{}), slots: make(chan struct{}, ordersAtOnce),
		ledger: &ledger{storage: o.Storage},
	}
	a.ctx, a.cancel = context.WithCancel(context.Background())
	if err := a.configure(); err != nil {
		a.cancel()
		return nil, err
	}
	if o.OnDemand != nil {
		a.onDemand = newOnDemand(a, *o.OnDemand)
	}
	return a, nil
}

// Manage makes hosts (DNS names, wildcards where there is a provider for dns-01, IP addresses) exactly what is managed. Certificates of
// earlier runs are read from the folder before it returns, so that they are served at once; what is missing is obtained in the background. Names that
// are left out stop being served and renewed; their files stay.
func (a *ACME) Manage(hosts []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return
	}
	a.order = a.order[:0]
	for _, h := range hosts {
		if h = normalSubject(h); !slices.Contains(a.order, h) {
			a.order = append(a.order, h)
		}
	}
	a.recall()
	for name, s := range a.subjects {
		if !slices.Contains(a.order, name) && !slices.Contains(a.onDemandNames, name) {
			s.cancel()
			delete(a.subjects, name)
		}
	}
	for _, name := range a.names() {
		if a.subjects[name] == nil {
			a.manage(name)
		}
	}
	a.publish()
}

// names are those of the routes, then those that handshakes brought. Under mu.
func (a *ACME) names() []string { return append(append([]string(nil), a.order...), a.onDemandNames...) }

// manage begins to keep a name, with what there is of it. Under mu.
func (a *ACME) manage(name string) *subject {
	s := &subject{name: name, state: StateObtaining, settled: make(chan struct{})}
	var ctx context.Context
	ctx, s.cancel = context.WithCancel(a.ctx)
	if stored, err := a.load(ctx, name); err == nil && stored != nil {
		s.cert, s.state = newManaged(stored), StateValid
	}
	a.subjects[name] = s
	a.keepers.Go(func() { a.keep(ctx, s) })
	return s
}

// normalSubject is the form certificates and SNI have a name in.
func normalSubject(host string) string {
	return strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
}

// Retry makes what has failed be tried again now. It returns at once.
func (a *ACME) Retry() {
	a.mu.Lock()
	defer a.mu.Unlock()
	close(a.again)
	a.again = make(chan struct{})
}

// retries is closed with the next Retry.
func (a *ACME) retries() <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.again
}

// List describes every managed name in the order given to Manage, with or without a certificate.
func (a *ACME) List() []Info {
	a.mu.Lock()
	defer a.mu.Unlock()
	names := a.names()
	out := make([]Info, 0, len(names))
	for _, name := range names {
		s := a.subjects[name]
		i := Info{Subject: name, Names: []string{name}}
		if s.cert != nil {
			i = s.cert.info()
		}
		i.File, i.State, i.Error, i.NextAttempt = "acme", s.state, s.problem, s.next
		out = append(out, i)
	}
	return out
}

// Close ends renewals and waits until orders under way are abandoned. What was put in force stays in force in the Manager.
func (a *ACME) Close() {
	a.mu.Lock()
	was := a.closed
	a.closed = true
	a.mu.Unlock()
	if was {
		return
	}
	a.cancel()
	a.keepers.Wait()
	a.cache.Stop()
}

// publish hands the certificates to the Manager. Under mu.
func (a *ACME) publish() {
	names := a.names()
	list := make([]*certificate, 0, len(names))
	for _, name := range names {
		if s := a.subjects[name]; s.cert != nil {
			list = append(list, s.cert)
		}
	}
	a.manager.publish(a, list)
}

// load is the newest certificate of name in storage, from any of the CAs; nil when there is none.
func (a *ACME) load(ctx context.Context, name string) (*certmagic.Certificate, error) {
	defer a.forget(name)
	c, err := a.all.of(name).CacheManagedCertificate(ctx, name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read stored certificate: %w", err)
	}
	return &c, nil
}

// forget takes name out of certmagic's cache: what is in there it does not read again.
func (a *ACME) forget(name string) {
	a.cache.RemoveManaged([]certmagic.SubjectIssuer{{Subject: name}})
}

// HTTPChallenge is the body that answers a request of a CA (RFC 8555 §8.3) for host (with or without port) and path, when this process or another one
// with the same folder has been asked for it. It reads a file when the challenge is another's.
func (a *ACME) HTTPChallenge(host, path string) (body []byte, ok bool) {
	if a.options.HTTPAddress == "" || !strings.HasPrefix(path, challengePath) {
		return nil, false
	}
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = normalSubject(name)
	a.mu.Lock()
	known := a.subjects[name] != nil
	a.mu.Unlock()
	if !known && (a.onDemand == nil || !obtainable(name)) { // on demand another replica may be obtaining it
		return nil, false
	}
	// certmagic offers its answer as an HTTP handler only.
	r := (&http.Request{Method: http.MethodGet, Host: bracketed(name), URL: pathURL(path)}).WithContext(a.ctx)
	w := &recorder{}
	if !a.authorities[0].issuer.HandleHTTPChallenge(w, r) {
		return nil, false
	}
	return w.body, true
}

const (
	challengePath = "/.well-known/acme-challenge/"
	alpnACME      = "acme-tls/1" // RFC 8737 §6.2
)
