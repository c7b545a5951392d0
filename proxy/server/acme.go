package server

import (
	"crypto/x509"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"

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
	cluster                                                 *link
	email, directories, rootPEM, profile, folder, http, tls string
}

// prepareACME makes the source that a configuration wants, or takes over the one in use; nil when it wants none. Listeners are bound by now: the CA's
// validations arrive at them.
func (s *Server) prepareACME(p *prepared, cfg *configs.Config) (*acme, error) {
	a := cfg.TLS.ACME
	if a == nil {
		return nil, nil
	}
	key := acmeKey{
		email: a.Email, directories: strings.Join(a.Directories, " "), rootPEM: string(a.RootPEM), profile: a.Profile,
		folder: filepath.Join(cfg.Admin.StateDir, certificateFolder),
	}
	key.cluster = p.cluster
	if slices.Contains(a.Challenges, "http-01") {
		key.http = validationAddress(p.sockets, false, "80")
	}
	if slices.Contains(a.Challenges, "tls-alpn-01") {
		key.tls = validationAddress(p.sockets, true, "443")
	}
	if used := s.acme.Load(); used != nil && used.from == key {
		return used, nil
	}
	o := edgetls.ACMEOptions{
		Email: a.Email, Directories: a.Directories, Profile: a.Profile, Folder: key.folder, HTTPAddress: key.http, TLSAddress: key.tls,
		Logger: s.log, Resolver: s.options.Resolver, Changed: s.exportCertificates,
	}
	if a.RootPEM != nil {
		o.Roots = x509.NewCertPool()
		o.Roots.AppendCertsFromPEM(a.RootPEM) // checked at load
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
	return []string{fmt.Sprintf("certificates for %s would come from %s", strings.Join(a.Hosts, ", "), strings.Join(a.Directories, ", then "))}
}
