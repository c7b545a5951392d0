package configs

import (
	"crypto/x509"
	"encoding/pem"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// acme checks [tls.acme] and works out which names it is for.
func (c checker) acme() {
	a := c.cfg.TLS.ACME
	if a == nil {
		return
	}
	if len(a.CAs) > 0 {
		c.authorities(a)
	} else {
		c.directories(a)
		if c.pos.has("tls.acme.root_ca") {
			a.RootPEM = c.rootCA("tls.acme.root_ca", &a.RootCA)
		}
	}
	if !c.bad("tls.acme.email") && (strings.ContainsAny(a.Email, " ,\t") || a.Email != "" && !strings.Contains(a.Email, "@")) {
		c.value("tls.acme.email", "email %s is not one address, as ops@example.com", c.quote("tls.acme.email", a.Email))
	}
	if !slices.ContainsFunc(c.cfg.Listeners, func(l Listener) bool { return l.TLS }) {
		if !c.bad("listener") {
			c.key("tls.acme", "tls.acme has no use: no listener has tls = true")
		}
		return
	}
	c.challenges(a)
	c.resolvers(a.Resolvers, "tls.acme")
	c.acmeDNS(a)
	if c.bad("route") || c.bad("tls.certificate") {
		return // names would be missed or taken for uncovered
	}
	c.managed(a)
}

func (c checker) directories(a *ACME) {
	const path = "tls.acme.directory"
	if c.bad(path) {
		return
	}
	if c.pos.has(path) && len(a.Directories) == 0 {
		c.value(path, "directory is empty; leave it out for Let's Encrypt")
	}
	for i, d := range a.Directories {
		at := path
		if c.pos.has(joinIndex(path, i)) {
			at = joinIndex(path, i)
		}
		c.directory(at, d)
	}
}

func (c checker) directory(at, directory string) {
	u, err := url.Parse(directory)
	if err != nil || u.Scheme != "https" || u.Host == "" {
		c.value(at, "directory %s is not an https:// URL", c.quote(at, directory))
	}
}

// rootCA gives the contents of a file of roots; nil when it is none, which is then said.
func (c checker) rootCA(path string, name *string) []byte {
	data, ok := c.readPEM(path, name)
	if !ok {
		return nil
	}
	if err := checkChain(data); err != nil {
		c.value(path, "root_ca %s: %v", c.quote(path, *name), err)
		return nil
	}
	return data
}

// challenges needs a listener for one of them: without, no order could ever succeed.
func (c checker) challenges(a *ACME) {
	const path = "tls.acme.challenges"
	if c.bad(path) || c.bad("listener") {
		return
	}
	if c.pos.has(path) && len(a.Challenges) == 0 {
		c.value(path, "challenges is empty; leave it out for both")
		return
	}
	plain := slices.ContainsFunc(c.cfg.Listeners, func(l Listener) bool { return !l.TLS })
	if !plain && slices.Equal(a.Challenges, []string{"http-01"}) {
		c.value(path, "http-01 needs a listener without tls, which the CA reaches on port 80")
	}
}

// managed collects the hosts that no static certificate covers and holds each against the challenges that could prove it.
func (c checker) managed(a *ACME) {
	covered := c.staticNames()
	byDNS := slices.Contains(a.Challenges, "dns-01")
	onlyDNS := slices.Equal(a.Challenges, []string{"dns-01"})
	unprovable := false
	for i, rt := range c.cfg.Routes {
		for j, host := range rt.Hosts {
			name := strings.Trim(host, "[]")
			switch {
			case covers(covered, name) || slices.Contains(a.Hosts, name):
			case strings.HasPrefix(name, "*.") && !byDNS:
				unprovable = true
				at := joinIndex(joinKey(joinIndex("route", i), "host"), j)
				c.value(at, "host %s: a wildcard certificate needs dns-01 among tls.acme.challenges; or name the hosts, or add a [[tls.certificate]] for it",
					c.quote(at, host))
			case onlyDNS && isAddress(name):
				unprovable = true
				at := joinIndex(joinKey(joinIndex("route", i), "host"), j)
				c.value(at, "host %s: dns-01 cannot prove an IP address: add tls-alpn-01 or http-01 to tls.acme.challenges", c.quote(at, host))
			default:
				a.Hosts = append(a.Hosts, name)
			}
		}
	}
	if c.cfg.TLS.OnDemand == nil && len(a.Hosts) == 0 && len(c.cfg.TLS.Certificates) == 0 && !unprovable {
		c.key("tls.acme", "tls.acme has nothing to obtain: no route names a host")
	}
}

func isAddress(name string) bool {
	_, err := netip.ParseAddr(name)
	return err == nil
}

// staticNames are the names and addresses that static certificates are valid for.
func (c checker) staticNames() []string {
	var names []string
	for _, cert := range c.cfg.TLS.Certificates {
		block, _ := pem.Decode(cert.CertPEM)
		if block == nil {
			continue
		}
		leaf, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			continue
		}
		for _, name := range leaf.DNSNames {
			names = append(names, strings.ToLower(strings.TrimSuffix(name, ".")))
		}
		for _, ip := range leaf.IPAddresses {
			names = append(names, ip.String())
		}
	}
	return names
}

// covers reports whether one of names is host's, or a wildcard for its first label (RFC 9525 §6.3).
func covers(names []string, host string) bool {
	if slices.Contains(names, host) {
		return true
	}
	_, parent, found := strings.Cut(host, ".")
	return found && slices.Contains(names, "*."+parent)
}

// redirect checks a listener that sends its clients to another one.
func (c checker) redirect(l Listener, path string) {
	at := joinKey(path, "redirect")
	if l.Redirect == "" || c.bad(at) {
		return
	}
	switch {
	case l.TLS:
		c.value(at, "redirect = \"https\" is for a listener without tls")
	case !slices.ContainsFunc(c.cfg.Listeners, func(o Listener) bool { return o.TLS }):
		c.value(at, "redirect = \"https\" needs a listener with tls = true to lead to")
	}
}
