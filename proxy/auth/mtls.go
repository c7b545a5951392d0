package auth

import (
	"crypto/x509"
	"strings"

	lru "github.com/hashicorp/golang-lru/v2"

	edgetls "github.com/valor-ivx/weir/tls"
)

// MTLSOptions are those of an MTLS: patterns, of which one is enough. Without any, every certificate that was verified will do. In them "*" stands for one or more
// characters of one part: of a subject's attribute none that RFC 4514 would escape or separate by, of a DNS name one label, of a URI one segment of its path, of an
// address what stands on one side of the at sign.
type MTLSOptions struct {
	Name                     string
	Subject, DNS, URI, Email []string
}

// mostIdentities are remembered by their certificates' hashes.
const mostIdentities = 10_000

// MTLS lets in whose certificate the connection's handshake has verified and the patterns take.
//
// It is safe for concurrent use. It has no goroutine and nothing to close.
type MTLS struct {
	options                   MTLSOptions
	missing, refused, expired *Denial
	known                     *lru.Cache[string, Verdict] // by fingerprint
}

// NewMTLS makes an MTLS.
func NewMTLS(o MTLSOptions) (*MTLS, error) {
	known, err := lru.New[string, Verdict](mostIdentities)
	if err != nil {
		return nil, err
	}
	for _, list := range []*[]string{&o.DNS, &o.Email} {
		folded := make([]string, len(*list))
		for i, p := range *list {
			folded[i] = strings.ToLower(p)
		}
		*list = folded
	}
	// All are 403: a 401 must name a way to say who it is within HTTP (RFC 9110 §15.5.2), and there is none.
	return &MTLS{
		options: o, known: known,
		missing: &Denial{Status: 403, Why: CertificateMissing},
		refused: &Denial{Status: 403, Why: CertificateRefused},
		expired: &Denial{Status: 403, Why: CertificateExpired},
	}, nil
}

// Authenticate holds the client's certificate to the patterns. For one that is known it allocates nothing.
func (m *MTLS) Authenticate(r *Request) Verdict {
	c := r.Client
	if c == nil {
		return Verdict{Denial: m.missing}
	}
	v, known := m.known.Get(c.Fingerprint)
	if !known {
		v = m.judge(c)
		m.known.Add(c.Fingerprint, v)
	}
	if v.Denial == nil && r.Now.After(c.Leaf.NotAfter) { // the handshake may have been days ago
		return Verdict{User: v.User, Denial: m.expired}
	}
	return v
}

func (m *MTLS) judge(c *edgetls.Identity) Verdict {
	v := Verdict{User: []byte(nameOf(c))}
	if !m.takes(c) {
		v.Denial = m.refused
		return v
	}
	v.Fields = []byte(userField + ": " + string(v.User) + "\r\n")
	return v
}

func (m *MTLS) takes(c *edgetls.Identity) bool {
	o := &m.options
	if len(o.Subject)+len(o.DNS)+len(o.URI)+len(o.Email) == 0 || matchesOne(o.Subject, c.Subject, `,+\`) {
		return true
	}
	for _, name := range c.Leaf.DNSNames {
		if matchesOne(o.DNS, strings.ToLower(name), ".") {
			return true
		}
	}
	for _, u := range c.Leaf.URIs {
		if matchesOne(o.URI, u.String(), "/?#") {
			return true
		}
	}
	for _, address := range c.Leaf.EmailAddresses {
		if matchesOne(o.Email, strings.ToLower(address), "@") {
			return true
		}
	}
	return false
}

// nameOf is the certificate's common name, else its first alternative name, else its subject: the first of them that a field can carry.
func nameOf(c *edgetls.Identity) string {
	for _, name := range append([]string{c.Leaf.Subject.CommonName}, alternatives(c.Leaf)...) {
		if name != "" && presentable(name) {
			return name
		}
	}
	if c.Subject == "" || !presentable(c.Subject) {
		return c.Fingerprint
	}
	return c.Subject
}

func alternatives(leaf *x509.Certificate) (names []string) {
	names = append(append(names, leaf.DNSNames...), leaf.EmailAddresses...)
	for _, u := range leaf.URIs {
		names = append(names, u.String())
	}
	return names
}

// Owns reports a field of requests that only weir writes: clients' own are taken out.
func (m *MTLS) Owns(name []byte) bool { return sameField(name, userField) }

// OwnsCookie is false: no cookie says who it is.
func (m *MTLS) OwnsCookie([]byte) bool { return false }

// Reload has nothing to read: the CAs are the handshakes'.
func (m *MTLS) Reload() error { return nil }
