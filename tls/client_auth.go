package edgetls

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"
)

// ClientAuthOptions say what is asked of the certificates of some hosts' clients.
type ClientAuthOptions struct {
	CA       []byte // PEM: who may have issued them
	CRL      []byte // PEM: what those revoked; nil: nothing
	Required bool   // a client without one is refused; else it is served without an identity
	Chain    bool   // upstreams hear of the intermediates too
}

// ClientAuth is a policy for clients' certificates. It never changes; nil is the policy that asks for none.
type ClientAuth struct {
	required bool
	chain    bool
	roots    *x509.CertPool
	revoked  map[string]struct{} // by revocationKey
	id       string              // digest of all of it: policies with the same one let the same clients in
}

// NewClientAuth reads the files of a policy. Warnings are what is used all the same but should be looked at.
func NewClientAuth(o ClientAuthOptions, now time.Time) (a *ClientAuth, warnings []string, err error) {
	a = &ClientAuth{required: o.Required, chain: o.Chain, roots: x509.NewCertPool(), revoked: map[string]struct{}{}}
	issuers, err := readCertificates(o.CA)
	if err != nil {
		return nil, nil, err
	}
	for _, c := range issuers {
		a.roots.AddCert(c)
		if now.After(c.NotAfter) {
			warnings = append(warnings, fmt.Sprintf("client CA %s expired on %s", c.Subject, c.NotAfter.UTC().Format(time.RFC3339)))
		}
	}
	more, err := a.readCRL(o.CRL, issuers, now)
	if err != nil {
		return nil, nil, err
	}
	h := sha256.New()
	fmt.Fprintf(h, "%t %t %d %d\x00%s%s", o.Required, o.Chain, len(o.CA), len(o.CRL), o.CA, o.CRL)
	a.id = hex.EncodeToString(h.Sum(nil))
	return a, append(warnings, more...), nil
}

func readCertificates(data []byte) (list []*x509.Certificate, err error) {
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("read client CA: %w", err)
		}
		list = append(list, c)
	}
	if len(list) == 0 {
		return nil, errors.New("read client CA: no PEM certificate in the file")
	}
	return list, nil
}

// readCRL takes lists of any of the issuers. One that is past its next update is used: refusing everybody because a cron job failed helps nobody who
// was not revoked, and the warning says it.
func (a *ClientAuth) readCRL(data []byte, issuers []*x509.Certificate, now time.Time) (warnings []string, err error) {
	found := 0
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "X509 CRL" {
			continue
		}
		list, err := x509.ParseRevocationList(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("read CRL: %w", err)
		}
		if !signedByOne(list, issuers) {
			return nil, fmt.Errorf("read CRL: %s is not one of the CAs, or did not sign it", list.Issuer)
		}
		if !list.NextUpdate.IsZero() && now.After(list.NextUpdate) {
			warnings = append(warnings, fmt.Sprintf("CRL of %s should have been replaced by %s", list.Issuer, list.NextUpdate.UTC().Format(time.RFC3339)))
		}
		for _, entry := range list.RevokedCertificateEntries {
			a.revoked[revocationKey(list.RawIssuer, entry.SerialNumber.String())] = struct{}{}
		}
		found++
	}
	if data != nil && found == 0 {
		return nil, errors.New("read CRL: no PEM block X509 CRL in the file")
	}
	return warnings, nil
}

func signedByOne(list *x509.RevocationList, issuers []*x509.Certificate) bool {
	for _, c := range issuers {
		if list.CheckSignatureFrom(c) == nil {
			return true
		}
	}
	return false
}

func revocationKey(issuer []byte, serial string) string { return string(issuer) + "\x00" + serial }

// Required reports a policy that refuses clients without a certificate.
func (a *ClientAuth) Required() bool { return a != nil && a.required }

// same reports whether two policies ask for the same.
func (a *ClientAuth) same(b *ClientAuth) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.id == b.id
}

// apply makes c, a listener's own copy, ask for what the policy wants. Sessions are resumed under the very same policy only: its digest is what their tickets are
// sealed with, so one from before a change opens nothing.
func (a *ClientAuth) apply(c *tls.Config, tickets *Tickets) *tls.Config {
	c.GetConfigForClient = nil
	c.ClientCAs = a.roots
	c.ClientAuth = tls.VerifyClientCertIfGiven
	if a.required {
		c.ClientAuth = tls.RequireAndVerifyClientCert
	}
	c.VerifyConnection = a.verify
	if tickets == nil {
		c.SessionTicketsDisabled = true
	} else {
		tickets.Seal(c, a.id)
	}
	return c
}

// errRevoked wraps what crypto/tls says of other certificates that do not verify, so that both are counted alike.
func errRevoked(c *x509.Certificate) error {
	return &tls.CertificateVerificationError{
		UnverifiedCertificates: []*x509.Certificate{c},
		Err:                    fmt.Errorf("certificate %s of %s is revoked", c.SerialNumber.Text(16), strings.TrimSpace(c.Issuer.String())),
	}
}

// verify runs for every handshake, resumed ones too, after the chain was verified: one chain without a revoked certificate is enough.
func (a *ClientAuth) verify(state tls.ConnectionState) error {
	var err error
	for _, chain := range state.VerifiedChains {
		if err = a.revokedIn(chain); err == nil {
			return nil
		}
	}
	return err
}

func (a *ClientAuth) revokedIn(chain []*x509.Certificate) error {
	for _, c := range chain {
		if _, is := a.revoked[revocationKey(c.RawIssuer, c.SerialNumber.String())]; is {
			return errRevoked(c)
		}
	}
	return nil
}

// ClientAuths are the policies of all hosts. It never changes; nil asks for nothing anywhere.
type ClientAuths struct {
	list []*ClientAuth
	find func(host []byte) int
}

// NewClientAuths makes the policies of a configuration. find gives the index of the policy for a host (a name or address as a client says it, with or without port; empty:
// none said), negative: none; it is the function that finds routes, so that no spelling of a host has a route without having its policy.
func NewClientAuths(list []*ClientAuth, find func(host []byte) int) *ClientAuths {
	return &ClientAuths{list: list, find: find}
}

// For is the policy of a host.
func (c *ClientAuths) For(host []byte) *ClientAuth {
	if c == nil {
		return nil
	}
	if i := c.find(host); i >= 0 {
		return c.list[i]
	}
	return nil
}
