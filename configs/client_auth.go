package configs

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// ClientAuth asks the clients of some hosts for a certificate (mutual TLS). It is chosen by the name the client asks for (SNI)
// and held against each request's host: a request on a connection that was made for a host with another policy is 421, and
// one without TLS too where mode is require. Upstreams hear of a certificate in the fields Client-Cert (RFC 9440),
// X-Client-Cert-Subject and X-Client-Cert-Fingerprint (SHA-256, hex), which are never forwarded as clients sent them. The
// files are watched; what changes asks connected clients for a new handshake.
type ClientAuth struct {
	// Hosts it is for, as routes name them: "admin.example.com", "*.example.com"; "*": every host that no other names.
	Hosts []string `toml:"hosts" required:"true"`
	// PEM file with the CAs whose certificates are accepted; their names are what clients are asked for.
	CA string `toml:"ca" required:"true"`
	// PEM file with revocation lists of these CAs. One past its date is used, with a warning.
	CRL string `toml:"crl"`
	// require: without a certificate there is no connection. optional: without one the upstream is told of none.
	Mode string `toml:"mode" default:"require" enum:"require|optional"`
	// true: upstreams are sent the intermediates too, as Client-Cert-Chain.
	ForwardChain bool `toml:"forward_chain" default:"false"`

	CAPEM  []byte `toml:"-"` // contents of CA as read at load
	CRLPEM []byte `toml:"-"` // contents of CRL as read at load
}

// Modes of ClientAuth.
const (
	ClientAuthRequire  = "require"
	ClientAuthOptional = "optional"
)

// EveryHost is the host of a ClientAuth for all that no other names.
const EveryHost = "*"

// digest writes the contents of the files, with their lengths first, so that none can pass for the beginning of the next.
func (a *ClientAuth) digest(w io.Writer) {
	_, _ = fmt.Fprintf(w, "\x00%d %d\x00%s%s", len(a.CAPEM), len(a.CRLPEM), a.CAPEM, a.CRLPEM)
}

// clientAuths checks every policy and that no two are for the same host.
func (c checker) clientAuths() {
	taken := map[string]string{}
	for i := range c.cfg.TLS.ClientAuths {
		a, path := &c.cfg.TLS.ClientAuths[i], joinIndex("tls.client_auth", i)
		if !slices.ContainsFunc(c.cfg.Listeners, func(l Listener) bool { return l.TLS }) && !c.bad("listener") {
			c.key(path, "tls.client_auth has no use: no listener has tls = true")
		}
		if hosts := joinKey(path, "hosts"); len(a.Hosts) == 0 && !c.bad(hosts) {
			c.value(hosts, `hosts is empty: name some, or "*" for every one`)
		}
		for j, host := range a.Hosts {
			c.clientAuthHost(host, joinIndex(joinKey(path, "hosts"), j), taken)
		}
		c.clientAuthFiles(a, path)
	}
}

// clientAuthHost wants a host that a route serves: a misspelt one would leave the one that was meant open.
func (c checker) clientAuthHost(host, at string, taken map[string]string) {
	if c.bad(at) {
		return
	}
	name := host
	if host != EveryHost {
		var err error
		if name, err = normalHost(host); err != nil {
			c.value(at, "host %s %v", c.quote(at, host), err)
			return
		}
	}
	if other, twice := taken[name]; twice {
		c.value(at, "host %s has a policy already, on line %d", c.quote(at, host), c.pos.value(other).line)
		return
	}
	taken[name] = at
	if name != EveryHost && !c.bad("route") && !slices.ContainsFunc(c.cfg.Routes, func(r Route) bool { return serves(r.Hosts, name) }) {
		c.value(at, "host %s is served by no route", c.quote(at, host))
	}
}

// serves reports whether a route with these hosts can get requests for a name, or for one that a wildcard stands for.
func serves(hosts []string, name string) bool {
	if len(hosts) == 0 {
		return true
	}
	return slices.ContainsFunc(hosts, func(h string) bool {
		h, err := normalHost(h)
		return err == nil && (h == name || under(h, name) || under(name, h))
	})
}

// under reports a name below a wildcard, by any number of labels as routes match them.
func under(wild, name string) bool {
	parent, is := strings.CutPrefix(wild, "*")
	return is && strings.HasSuffix(name, parent) && len(name) > len(parent)
}

func (c checker) clientAuthFiles(a *ClientAuth, path string) {
	caPath, crlPath := joinKey(path, "ca"), joinKey(path, "crl")
	caPEM, ok := c.readPEM(caPath, &a.CA)
	if ok {
		if err := checkChain(caPEM); err != nil {
			c.value(caPath, "ca %s: %v", c.quote(caPath, a.CA), err)
			ok = false
		}
	}
	if c.pos.has(crlPath) {
		crlPEM, read := c.readPEM(crlPath, &a.CRL)
		if read && ok {
			if err := checkCRL(crlPEM, caPEM); err != nil {
				c.value(crlPath, "crl %s: %v", c.quote(crlPath, a.CRL), err)
			}
		}
		a.CRLPEM = crlPEM
	}
	a.CAPEM = caPEM
}

// checkCRL wants revocation lists that the CAs have signed.
func checkCRL(data, ca []byte) error {
	found := 0
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "X509 CRL" {
			continue
		}
		list, err := x509.ParseRevocationList(block.Bytes)
		if err != nil {
			return errors.New(strings.TrimPrefix(err.Error(), "x509: "))
		}
		if !signedBy(list, ca) {
			return fmt.Errorf("%s is none of the CAs in ca, or did not sign it", list.Issuer)
		}
		found++
	}
	if found == 0 {
		return errors.New("no PEM block X509 CRL in the file")
	}
	return nil
}

func signedBy(list *x509.RevocationList, ca []byte) bool {
	for block, rest := pem.Decode(ca); block != nil; block, rest = pem.Decode(rest) {
		if cert, err := x509.ParseCertificate(block.Bytes); err == nil && list.CheckSignatureFrom(cert) == nil {
			return true
		}
	}
	return false
}
