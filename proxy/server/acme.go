package server

import (
	"crypto/x509"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/valor-ivx/weir/configs"
	edgetls "github.com/valor-ivx/weir/tls"
)

// certificateFolder, under state_dir, holds what an ACME obtained.
const certificateFolder = "certificates"

// acme is the automatic source of certificates with what it was made of: a reload that changes none of it keeps the source and its schedule.
type acme struct {
	*edgetls.ACME
	from acmeKey
}

type acmeKey struct {
	cluster                               *link
	email, authorities, folder, http, tls string
	resolvers                             string
	dns                                   dnsKey
	onDemand                              configs.OnDemand // zero: none
}

// dnsKey is edgetls.DNSOptions, comparable.
type dnsKey struct {
	provider, resolvers string
	settings            edgetls.DNSSettings
	timeout             time.Duration
}

// prepareACME makes the source that a configuration wants, or takes over the one in use; nil when it wants none. Listeners are bound by now: the CA's
// validations arrive at them.
func (s *Server) prepareACME(p *prepared, cfg *configs.Config) (*acme, error) {
	a := cfg.TLS.ACME
	if a == nil {
		return nil, nil
	}
	key := acmeKey{email: a.Email, resolvers: strings.Join(a.Resolvers, " "), authorities: authoritiesKey(a), folder: filepath.Join(cfg.Admin.StateDir, certificateFolder)}
	key.cluster = p.cluster
	if slices.Contains(a.Challenges, "http-01") {
		key.http = validationAddress(p.sockets, false, "80")
	}
	if slices.Contains(a.Challenges, "tls-alpn-01") {
		key.tls = validationAddress(p.sockets, true, "443")
	}
	o := edgetls.ACMEOptions{
		Email: a.Email, Folder: key.folder, HTTPAddress: key.http, TLSAddress: key.tls,
		Logger: s.log, Resolvers: a.Resolvers, Changed: s.exportCertificates, DNS: s.dnsOptions(a.DNS),
	}
	if d := o.DNS; d != nil {
		key.dns = dnsKey{d.Provider, strings.Join(d.Resolvers, " "), d.Settings, d.Timeout}
	}
	o.OnDemand = s.onDemandOptions(cfg.TLS.OnDemand)
	if cfg.TLS.OnDemand != nil {
		key.onDemand = *cfg.TLS.OnDemand
	}
	if used := s.acme.Load(); used != nil && used.from == key {
		return used, nil
	}
	for _, ca := range a.Authorities() {
		o.CAs = append(o.CAs, authority(ca))
	}
	if p.cluster != nil {
		o.Storage = p.cluster.NewStorage(key.folder)
	}
	made, err := edgetls.NewACME(o, s.certs)
	if err != nil {
		return nil, err
	}
	return &acme{ACME: made, from: key}, nil
}

// authoritiesKey is everything that a configuration says of its CAs. It holds secrets: it is compared, never shown.
func authoritiesKey(a *configs.ACME) string {
	var b strings.Builder
	for _, ca := range a.Authorities() {
		fmt.Fprintf(&b, "%q %q %q %q %q\n", ca.Directory, ca.EABKeyID, ca.EABKey.Reveal(), ca.Profile, ca.RootPEM)
	}
	return b.String()
}

func authority(ca configs.ACMECA) edgetls.CA {
	out := edgetls.CA{Directory: ca.Directory, Profile: ca.Profile, KeyID: ca.EABKeyID, Key: ca.EABKey.Reveal()}
	if ca.RootPEM != nil {
		out.Roots = x509.NewCertPool()
		out.Roots.AppendCertsFromPEM(ca.RootPEM) // checked at load
	}
	return out
}

// dnsOptions are those of a configuration; nil when it has none.
func (s *Server) dnsOptions(d *configs.ACMEDNS) *edgetls.DNSOptions {
	if d == nil {
		return nil
	}
	o := &edgetls.DNSOptions{
		Provider: d.Provider, Resolvers: d.Resolvers, Timeout: d.PropagationTimeout,
		Settings: edgetls.DNSSettings{
			Token:       d.Token.Reveal(),
			AccessKeyID: d.AccessKeyID, SecretAccessKey: d.SecretAccessKey.Reveal(), SessionToken: d.SessionToken.Reveal(),
			Region: d.Region, HostedZoneID: d.HostedZoneID, AssumeRole: d.AssumeRole,
			Nameserver: d.Nameserver, Zone: d.Zone,
			TSIGKey: d.TSIGKey, TSIGSecret: d.TSIGSecret.Reveal(), TSIGAlgorithm: d.TSIGAlgorithm,
			Endpoint: d.Endpoint, Username: d.Username, Password: d.Password.Reveal(), Subdomain: d.Subdomain,
			Program: d.Program,
		},
	}
	return o
}

// validationAddress is where the listener is that a CA's validations arrive at: the one on the port they are made to, else the first of its kind, which
// something in front forwards them to. "" when there is none.
func validationAddress(sockets []*listener, secure bool, port string) string {
	first := ""
	for _, l := range sockets {
		if l.config.TLS != secure {
			continue
		}
		address := l.socket.Addr().String()
		if _, p, err := net.SplitHostPort(address); err == nil && p == port {
			return address
		}
		if first == "" {
			first = address
		}
	}
	return first
}

// commitACME puts the prepared source in force; the one before ends when the generation is retired. It cannot fail: what cannot be obtained is told by
// GET /v1/certificates.
func (s *Server) commitACME(a *acme, cfg *configs.Config) {
	if a == nil {
		s.certs.UseACME(nil)
		s.acme.Store(nil)
		return
	}
	s.certs.UseACME(a.ACME)
	s.acme.Store(a)
	a.Manage(cfg.TLS.ACME.Hosts)
}

// retryCertificates is called when the store that replicas share has come back: what failed for want of it need not wait.
func (s *Server) retryCertificates() {
	if a := s.acme.Load(); a != nil {
		a.Retry()
	}
}

// answerChallenge is proxy.Options.Challenge.
func (s *Server) answerChallenge(host, path []byte) ([]byte, bool) {
	a := s.acme.Load()
	if a == nil {
		return nil, false
	}
	return a.HTTPChallenge(string(host), string(path))
}

// managed describes the certificates of the source in force.
func (s *Server) managed() []edgetls.Info {
	if a := s.acme.Load(); a != nil {
		return a.List()
	}
	return nil
}

// acmeNote says what a configuration would obtain and from whom.
func acmeNote(cfg *configs.Config) []string {
	a := cfg.TLS.ACME
	if a == nil || len(a.Hosts) == 0 {
		return nil
	}
	var directories []string
	for _, ca := range a.Authorities() {
		directories = append(directories, ca.Directory)
	}
	return []string{fmt.Sprintf("certificates for %s would come from %s", strings.Join(a.Hosts, ", "), strings.Join(directories, ", then "))}
}
