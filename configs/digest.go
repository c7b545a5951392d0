package configs

import (
	"crypto/sha256"
	"fmt"
)

// Digest identifies what a configuration means: the SHA-256 of the effective configuration, secrets
// and the contents of certificates and keys included. Two files with the same digest differ at most in
// comments, layout, the order of services and groups, or defaults spelt out; a reload to the same
// digest changes nothing. A digest is no secret and gives none away to somebody who cannot guess it.
func (c *Config) Digest() [sha256.Size]byte {
	h := sha256.New()
	h.Write(c.print(true))
	for _, cert := range c.TLS.Certificates {
		// Lengths first, so that no content can pass for the beginning of the next.
		fmt.Fprintf(h, "\x00%d %d\x00%s%s", len(cert.CertPEM), len(cert.KeyPEM), cert.CertPEM, cert.KeyPEM.Reveal())
	}
	for i := range c.TLS.ClientAuths {
		c.TLS.ClientAuths[i].digest(h)
	}
	if a := c.TLS.ACME; a != nil {
		for _, ca := range a.Authorities() {
			fmt.Fprintf(h, "\x00%d\x00%s", len(ca.RootPEM), ca.RootPEM)
		}
	}
	if k := c.Cluster; k != nil {
		fmt.Fprintf(h, "\x00%d\x00%s", len(k.CAPEM), k.CAPEM)
	}
	if t := c.Tracing; t != nil {
		fmt.Fprintf(h, "\x00%d\x00%s", len(t.CAPEM), t.CAPEM)
	}
	for _, a := range c.Auths {
		fmt.Fprintf(h, "\x00%d\x00%s", len(a.CAPEM), a.CAPEM)
	}
	for i := range c.Services {
		if t := c.Services[i].TLS; t != nil {
			t.digest(h)
		}
	}
	return [sha256.Size]byte(h.Sum(nil))
}
