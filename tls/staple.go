package edgetls

import (
	"crypto/sha256"
	"crypto/x509"
)

// everything is every certificate of s, from files and from an ACME.
func (s *Store) everything() []*certificate {
	return append(append([]*certificate(nil), s.all...), s.inManaged...)
}

// stapled is s with answers of OCSP responders at the certificates that they are about.
func (s *Store) stapled(answers map[fingerprint][]byte) *Store {
	with := map[*certificate]*certificate{}
	for _, c := range s.everything() {
		if raw := answers[sha256.Sum256(c.tls.Leaf.Raw)]; raw != nil {
			made := *c
			made.tls.OCSPStaple = raw
			with[c] = &made
		}
	}
	if len(with) == 0 {
		return s
	}
	replace := func(list []*certificate) []*certificate {
		out := append([]*certificate(nil), list...)
		for i, c := range out {
			if made := with[c]; made != nil {
				out[i] = made
			}
		}
		return out
	}
	out := *s
	out.all, out.fallback, out.inManaged = replace(s.all), replace(s.fallback), replace(s.inManaged)
	out.byName = make(map[string][]*certificate, len(s.byName))
	for name, list := range s.byName {
		out.byName[name] = replace(list)
	}
	out.managed = make(map[string]*certificate, len(s.managed))
	for name, c := range s.managed {
		out.managed[name] = replace([]*certificate{c})[0]
	}
	return &out
}

// demandsStaple reports a certificate that clients refuse without a staple (RFC 7633: TLS feature status_request).
func demandsStaple(leaf *x509.Certificate) bool {
	for _, e := range leaf.Extensions {
		if e.Id.String() == "1.3.6.1.5.5.7.1.24" {
			return true
		}
	}
	return false
}
