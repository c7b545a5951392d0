package edgetls

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
)

// LetsEncrypt is the directory used when none is configured. ZeroSSL, which contract.md names as its deputy, asks for an external
// account binding (RFC 8555 §7.3.4) that cannot be configured yet.
const LetsEncrypt = certmagic.LetsEncryptProductionCA

// ACMEOptions is what an ACME works with for its whole life; another set makes another ACME.
type ACMEOptions struct {
	Email       string         // contact of the account; "": none
	Directories []string       // https URLs, tried in order; none: LetsEncrypt
	Roots       *x509.CertPool // trusted for the directories; nil: the system's
	Profile     string         // certificate profile of the CA; "": its default
	Folder      string         // where certificates, keys, accounts and the ledger live; may be shared with other machines

	// Storage keeps certificates, keys, accounts and the answers to challenges under way instead of Folder: replicas that share one share them. nil: Folder.
	Storage certmagic.Storage

	// The listeners of this process that a CA's validations arrive at, IP:PORT, bound before Manage. HTTPAddress answers http-01,
	// TLSAddress tls-alpn-01; an empty one switches its challenge off. certmagic opens a socket of its own where nobody listens,
	// which is why there are no defaults.
	HTTPAddress, TLSAddress string

	Logger   *zap.Logger                      // nil: none
	Resolver string                           // DNS server asked before the CA is, IP:PORT; "": those of /etc/resolv.conf
	Limits   *Limits                          // what the ledger holds the CA's orders to; nil: the CA's documented ones
	Retry    func(failures int) time.Duration // pause after so many failures in a row; nil: 1 minute growing to 6 hours
	Now      func() time.Time                 // nil: time.Now
	Changed  func()                           // called after every check of a name, without any lock held; nil: nobody wants to know
}

// ACME obtains and renews certificates for exactly the names it is given. It is a resource: Close ends it. Each name has one goroutine,
// which sleeps between checks, and certmagic's cache has one; all end with Close.
type ACME struct {
	options ACMEOptions
	manager *Manager
	log     *zap.Logger

	cache       *certmagic.Cache  // holds a certificate only while its name is being looked at; handshakes read the Manager's store
	all         *certmagic.Config // every CA: loading, renewal information
	answers     *certmagic.Config // every CA, silent: challenges, which anybody can ask for
	authorities []*authority      // in fail-over order
	challenge   *tls.Config       // for handshakes that are validations
	ledger      *ledger
	preflight   preflight

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
}

// authority is one CA of the fail-over order.
type authority struct {
	directory string
	issuer    *certmagic.ACMEIssuer
	config    *certmagic.Config // that CA alone
	retry     retryWatch        // what it says about when to come again
}

// ordersAtOnce bounds orders under way: a validation is a handful of requests to us and to the CA, and Let's Encrypt allows 300 new orders per account
// in three hours.
const ordersAtOnce = 8

// NewACME prepares the folder and the CAs' clients; it asks nobody anything. What it obtains is put in force in m while m.UseACME names it.
func NewACME(o ACMEOptions, m *Manager) (*ACME, error) {
	o = o.withDefaults()
	if o.HTTPAddress == "" && o.TLSAddress == "" {
		return nil, errors.New("prepare acme: no listener could answer a CA: http-01 needs a plain listener, tls-alpn-01 a TLS one")
	}
	if err := os.MkdirAll(o.Folder, 0o700); err != nil {
		return nil, fmt.Errorf("prepare acme: %w", err)
	}
	a := &ACME{
		options: o, manager: m, log: o.Logger, subjects: map[string]*subject{}, again: make(chan struct{}), slots: make(chan struct{}, ordersAtOnce),
		ledger: &ledger{storage: o.Storage},
	}
	a.ctx, a.cancel = context.WithCancel(context.Background())
	a.preflight = newPreflight(o)
	if err := a.configure(); err != nil {
		a.cancel()
		return nil, err
	}
	return a, nil
}

func (o ACMEOptions) withDefaults() ACMEOptions {
	if len(o.Directories) == 0 {
		o.Directories = []string{LetsEncrypt}
	}
	if o.Storage == nil {
		o.Storage = &certmagic.FileStorage{Path: o.Folder}
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	if o.Retry == nil {
		o.Retry = retryAfter
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Changed == nil {
		o.Changed = func() {}
	}
	return o
}

// configure makes the certmagic instances. None of its globals' settings are used: every field they would fill in is set.
func (a *ACME) configure() error {
	o := a.options
	quiet := o.Logger.WithOptions(zap.WrapCore(demote))
	a.cache = certmagic.NewCache(certmagic.CacheOptions{
		// certmagic's own maintenance finds nothing it may touch: keepers do it, one name at a time and past the ledger.
		GetConfigForCert: func(certmagic.Certificate) (*certmagic.Config, error) {
			return nil, errors.New("maintained by its keeper")
		},
		// Also what certmagic takes for the time to the next check: certificates closer than five of them to their end are renewed at once.
		RenewCheckInterval: time.Second,
		Logger:             zap.NewNop(),
	})
	template := certmagic.Config{
		RenewalWindowRatio: renewalRatio(o.Profile),
		KeySource:          certmagic.StandardKeyGenerator{KeyType: certmagic.P256},
		OCSP:               certmagic.OCSPConfig{DisableStapling: true},
		Storage:            o.Storage,
		Issuers:            []certmagic.Issuer{}, // not nil: certmagic would make one of its global settings
		OnEvent:            func(context.Context, string, map[string]any) error { return nil },
		Logger:             quiet,
	}
	a.all = certmagic.New(a.cache, template)
	for _, directory := range o.Directories {
		ca := &authority{directory: directory}
		issuer, err := a.issuer(directory, quiet.WithOptions(zap.WrapCore(ca.retry.core)))
		if err != nil {
			a.cache.Stop()
			return err
		}
		a.all.Issuers = append(a.all.Issuers, issuer)
		template.Issuers = []certmagic.Issuer{issuer}
		ca.issuer, ca.config = issuer, certmagic.New(a.cache, template)
		a.authorities = append(a.authorities, ca)
	}
	template.Issuers, template.Logger = a.all.Issuers, zap.NewNop()
	a.answers = certmagic.New(a.cache, template)
	a.challenge = &tls.Config{
		MinVersion: tls.VersionTLS12, // RFC 8737 §3
		NextProtos: []string{alpnACME}, GetCertificate: a.answers.GetCertificate, SessionTicketsDisabled: true,
	}
	return nil
}

// renewalRatio is the part of its lifetime that a certificate is renewed before its end, where the CA gives no renewal information. Six days leave less
// room for a CA's bad day than ninety, so half of them.
func renewalRatio(profile string) float64 {
	if profile == "shortlived" {
		return 0.5
	}
	return 1.0 / 3
}

func (a *ACME) issuer(directory string, log *zap.Logger) (*certmagic.ACMEIssuer, error) {
	o := a.options
	t := certmagic.ACMEIssuer{
		CA: directory, TestCA: directory, Email: o.Email, Agreed: true, Profile: o.Profile, TrustedRoots: o.Roots, Logger: log,
		DisableHTTPChallenge: o.HTTPAddress == "", DisableTLSALPNChallenge: o.TLSAddress == "",
		HTTPProxy: http.ProxyFromEnvironment,
	}
	if t.Email == "" {
		t.Email = " " // trimmed to none by certmagic; the empty string would make it look for one elsewhere and in the end ask on the terminal
	}
	var err error
	if t.ListenHost, t.AltHTTPPort, t.AltTLSALPNPort, err = listenersOf(o); err != nil {
		return nil, fmt.Errorf("prepare acme: %w", err)
	}
	return certmagic.NewACMEIssuer(a.all, t), nil
}

// listenersOf takes the addresses of our own listeners apart, so that certmagic finds its challenges served. It knows one host for both.
func listenersOf(o ACMEOptions) (host string, httpPort, tlsPort int, err error) {
	var hosts [2]netip.Addr
	var ports [2]int
	for i, address := range []string{o.HTTPAddress, o.TLSAddress} {
		if address == "" {
			continue
		}
		ap, err := netip.ParseAddrPort(address)
		if err != nil || ap.Port() == 0 {
			return "", 0, 0, fmt.Errorf("listener address %q is not IP:PORT", address)
		}
		hosts[i], ports[i] = ap.Addr(), int(ap.Port())
	}
	// One on every address is found on the other's too.
	for i, h := range hosts {
		other := hosts[1-i]
		if h.IsValid() && (!other.IsValid() || other.IsUnspecified() || other == h) {
			return h.String(), ports[0], ports[1], nil
		}
	}
	return "", 0, 0, fmt.Errorf("http-01 would arrive at %s and tls-alpn-01 at %s: allow one of them in challenges, or give both listeners one address",
		o.HTTPAddress, o.TLSAddress)
}

// Manage makes hosts (DNS names and IP addresses; wildcards are not possible without dns-01) exactly what is managed. Certificates of
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
	for name, s := range a.subjects {
		if !slices.Contains(a.order, name) {
			s.cancel()
			delete(a.subjects, name)
		}
	}
	for _, name := range a.order {
		if a.subjects[name] != nil {
			continue
		}
		s := &subject{name: name, state: StateObtaining}
		var ctx context.Context
		ctx, s.cancel = context.WithCancel(a.ctx)
		if stored, err := a.load(ctx, name); err == nil && stored != nil {
			s.cert, s.state = newManaged(stored), StateValid
		}
		a.subjects[name] = s
		a.keepers.Go(func() { a.keep(ctx, s) })
	}
	a.publish()
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
	out := make([]Info, 0, len(a.order))
	for _, name := range a.order {
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
	list := make([]*certificate, 0, len(a.order))
	for _, name := range a.order {
		if s := a.subjects[name]; s.cert != nil {
			list = append(list, s.cert)
		}
	}
	a.manager.publish(a, list)
}

// load is the newest certificate of name in storage, from any of the CAs; nil when there is none.
func (a *ACME) load(ctx context.Context, name string) (*certmagic.Certificate, error) {
	defer a.forget(name)
	c, err := a.all.CacheManagedCertificate(ctx, name)
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
	if !known {
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
