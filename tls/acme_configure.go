package edgetls

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3/acme"
	"go.uber.org/zap"
)

// authority is one CA of the fail-over order.
type authority struct {
	CA
	*ways                        // that CA alone
	issuer *certmagic.ACMEIssuer // proves by http-01 and tls-alpn-01
	check  preflight
	retry  retryWatch // what it says about when to come again
}

// ways are certmagic instances for the two ways to prove a name: an issuer of certmagic's does either dns-01 or the others.
type ways struct {
	direct, dns *certmagic.Config // direct proves by http-01 and tls-alpn-01; dns is nil without a provider
	only        bool              // no listener could answer a CA: dns-01 for every name
}

// byDNS reports whether a name is proven by dns-01: wildcards can be by nothing else (RFC 8555 §8.3, RFC 8737 §3).
func (w *ways) byDNS(name string) bool {
	return w.dns != nil && (w.only || strings.HasPrefix(name, "*."))
}

func (w *ways) of(name string) *certmagic.Config {
	if w.byDNS(name) {
		return w.dns
	}
	return w.direct
}

// configure makes the certmagic instances. None of its globals' settings are used: every field they would fill in is set.
func (a *ACME) configure() error {
	o := a.options
	solver, err := a.solver()
	if err != nil {
		return fmt.Errorf("prepare acme: %w", err)
	}
	host, httpPort, tlsPort, err := listenersOf(o)
	if err != nil {
		return fmt.Errorf("prepare acme: %w", err)
	}
	a.cache = certmagic.NewCache(certmagic.CacheOptions{
		// certmagic's own maintenance finds nothing it may touch: keepers do it, one name at a time and past the ledger.
		GetConfigForCert: func(certmagic.Certificate) (*certmagic.Config, error) {
			return nil, errors.New("maintained by its keeper")
		},
		// Also what certmagic takes for the time to the next check: certificates closer than five of them to their end are renewed at once.
		RenewCheckInterval: time.Second,
		Logger:             zap.NewNop(),
	})
	quiet := o.Logger.WithOptions(zap.WrapCore(demote))
	a.all = a.ways(quiet, solver != nil)
	for _, ca := range o.CAs {
		made := &authority{CA: ca, ways: a.ways(quiet, solver != nil), check: newPreflight(ca, o.Resolvers)}
		t := a.template(ca, quiet.WithOptions(zap.WrapCore(made.retry.core)))
		t.ListenHost, t.AltHTTPPort, t.AltTLSALPNPort = host, httpPort, tlsPort
		made.issuer = certmagic.NewACMEIssuer(a.all.direct, t)
		made.direct.Issuers = []certmagic.Issuer{made.issuer}
		a.all.direct.Issuers = append(a.all.direct.Issuers, made.issuer)
		if solver != nil {
			t.DNS01Solver = solver
			issuer := certmagic.NewACMEIssuer(a.all.dns, t)
			made.dns.Issuers = []certmagic.Issuer{issuer}
			a.all.dns.Issuers = append(a.all.dns.Issuers, issuer)
		}
		a.authorities = append(a.authorities, made)
	}
	a.answers = a.instance(zap.NewNop())
	a.answers.Issuers = a.all.direct.Issuers
	a.challenge = &tls.Config{
		MinVersion: tls.VersionTLS12, // RFC 8737 §3
		NextProtos: []string{alpnACME}, GetCertificate: a.answers.GetCertificate, SessionTicketsDisabled: true,
	}
	return nil
}

// solver is one for all CAs: what it serialises is a record, whoever asks for it.
func (a *ACME) solver() (*dnsSolver, error) {
	if a.options.DNS == nil {
		return nil, nil
	}
	o := *a.options.DNS
	return newDNSSolver(o)
}

func (a *ACME) ways(log *zap.Logger, withDNS bool) *ways {
	w := &ways{direct: a.instance(log), only: a.options.HTTPAddress == "" && a.options.TLSAddress == ""}
	if withDNS {
		w.dns = a.instance(log)
	}
	return w
}

// instance is a certmagic instance without issuers.
func (a *ACME) instance(log *zap.Logger) *certmagic.Config {
	profile := ""
	for _, ca := range a.options.CAs {
		if ca.Profile == shortlived {
			profile = ca.Profile
		}
	}
	return certmagic.New(a.cache, certmagic.Config{
		RenewalWindowRatio: renewalRatio(profile),
		KeySource:          certmagic.StandardKeyGenerator{KeyType: certmagic.P256},
		OCSP:               certmagic.OCSPConfig{DisableStapling: true},
		Storage:            a.options.Storage,
		Issuers:            []certmagic.Issuer{}, // not nil: certmagic would make one of its global settings
		OnEvent:            func(context.Context, string, map[string]any) error { return nil },
		Logger:             log,
	})
}

const shortlived = "shortlived" // Let's Encrypt's profile of six days

// renewalRatio is the part of its lifetime that a certificate is renewed before its end, where the CA gives no renewal information. Six days leave less
// room for a CA's bad day than ninety, so half of them.
func renewalRatio(profile string) float64 {
	if profile == shortlived {
		return 0.5
	}
	return 1.0 / 3
}

func (a *ACME) template(ca CA, log *zap.Logger) certmagic.ACMEIssuer {
	o := a.options
	t := certmagic.ACMEIssuer{
		CA: ca.Directory, TestCA: ca.Directory, Email: o.Email, Agreed: true, Profile: ca.Profile, TrustedRoots: ca.Roots, Logger: log,
		DisableHTTPChallenge: o.HTTPAddress == "", DisableTLSALPNChallenge: o.TLSAddress == "",
		HTTPProxy: http.ProxyFromEnvironment,
	}
	if ca.KeyID != "" {
		t.ExternalAccount = &acme.EAB{KeyID: ca.KeyID, MACKey: ca.Key}
	}
	if t.Email == "" {
		t.Email = " " // trimmed to none by certmagic; the empty string would make it look for one elsewhere and in the end ask on the terminal
	}
	return t
}

// listenersOf takes the addresses of our own listeners apart, so that certmagic finds its challenges served. It knows one host for both.
func listenersOf(o ACMEOptions) (host string, httpPort, tlsPort int, err error) {
	if o.HTTPAddress == "" && o.TLSAddress == "" {
		return "", 0, 0, nil
	}
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
