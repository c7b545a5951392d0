package configs

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net/netip"
	"strconv"
	"strings"
	"unicode"
)

// checker holds what only the whole file can tell right from wrong. It skips values that have
// already failed and adds nothing to what depends on them.
type checker struct {
	*report
	cfg   *Config
	files *files
}

func check(cfg *Config, r *report, f *files) {
	c := checker{report: r, cfg: cfg, files: f}
	c.admin()
	c.log()
	for i := range cfg.TLS.Certificates {
		c.certificate(&cfg.TLS.Certificates[i], joinIndex("tls.certificate", i))
	}
	c.headers()
	c.listeners()
	c.limits()
	c.accessLists()
	c.auths()
	c.wafs()
	for i := range cfg.Services {
		c.service(&cfg.Services[i])
	}
	c.routes()
	c.clientAuths()
	c.acme()
	c.cluster()
	c.kubernetes()
	c.tracing()
	c.onDemand()
	c.ech()
}

func (c checker) admin() {
	a := c.cfg.Admin
	if c.bad("admin.address") || c.bad("admin.token") {
		return
	}
	if a.Token == "" && !a.Address.Local() {
		c.value("admin.address", "admin.token is missing: an admin address that others can reach needs one")
	}
	// RFC 6750 §2.1: what a client can send as a bearer token is visible ASCII.
	for _, ch := range a.Token.Reveal() {
		if ch <= ' ' || ch >= 0x7f {
			c.value("admin.token", "token contains a character that no Authorization header can carry")
			return
		}
	}
}

// certificate reads both files and holds them against each other, so that a reload cannot commit to
// a pair that no handshake could use.
func (c checker) certificate(cert *Certificate, path string) {
	certPath, keyPath := joinKey(path, "cert"), joinKey(path, "key")
	certPEM, certOK := c.readPEM(certPath, &cert.Cert)
	keyPEM, keyOK := c.readPEM(keyPath, &cert.Key)
	if certOK {
		if err := checkChain(certPEM); err != nil {
			c.value(certPath, "cert %s: %v", c.quote(certPath, cert.Cert), err)
			certOK = false
		}
	}
	if !certOK || !keyOK {
		return
	}
	if _, err := tls.X509KeyPair(certPEM, keyPEM); err != nil {
		reason := strings.TrimPrefix(err.Error(), "tls: ")
		c.value(keyPath, "key %s: %s", c.quote(keyPath, cert.Key), reason)
		return
	}
	cert.CertPEM, cert.KeyPEM = certPEM, Secret(keyPEM)
}

func (c checker) readPEM(path string, name *string) ([]byte, bool) {
	if c.bad(path) {
		return nil, false
	}
	if *name == "" {
		c.value(path, "%s is empty", lastKey(path))
		return nil, false
	}
	data, err := c.files.read(*name)
	if err != nil {
		c.value(path, "%s %s: %v", lastKey(path), c.quote(path, *name), err)
	}
	*name = c.files.path(*name)
	return data, err == nil
}

func checkChain(data []byte) error {
	found := 0
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return errors.New(strings.TrimPrefix(err.Error(), "x509: "))
		}
		found++
	}
	if found == 0 {
		return errors.New("no PEM certificate in the file")
	}
	return nil
}

func (c checker) listeners() {
	if len(c.cfg.Listeners) == 0 && !c.bad("listener") {
		c.key("", "no [[listener]]: nothing could reach this configuration")
	}
	names := map[string]string{}
	bound := &addresses{exact: map[netip.AddrPort]string{}, every: map[uint16]string{}, first: map[uint16]string{}}
	if a := c.cfg.Admin.Address; a.Network == "tcp" && !c.bad("admin.address") {
		if ap, err := parseListen(a.Address); err == nil {
			bound.add(ap, "admin.address")
		}
	}
	for i, l := range c.cfg.Listeners {
		path := joinIndex("listener", i)
		c.name(joinKey(path, "name"), l.Name, names)
		c.listenAddress(joinKey(path, "address"), l.Address, bound)
		if l.TLS && len(c.cfg.TLS.Certificates) == 0 && c.cfg.TLS.ACME == nil && !c.bad("tls") {
			c.value(joinKey(path, "tls"), "tls = true needs a certificate: add [[tls.certificate]] with cert and key, or [tls.acme]")
		}
		c.headersNamed(joinKey(path, "headers"), l.Headers)
		c.redirect(l, path)
		c.listenerSizes(l, path)
		c.protocols(l, path)
	}
}

func (c checker) listenAddress(path, address string, bound *addresses) {
	if c.bad(path) {
		return
	}
	ap, err := parseListen(address)
	if err != nil {
		c.value(path, "address %s %v", c.quote(path, address), err)
		return
	}
	if other := bound.add(ap, path); other != "" {
		where := "by the admin API"
		if c.pos.has(other) {
			where = "on line " + strconv.Itoa(c.pos.value(other).line)
		}
		c.value(path, "address %s is already taken %s", c.quote(path, address), where)
	}
}

// addresses finds listeners that the system would refuse to open beside each other: the same port on
// the same address, or with one of them on every address. The values are paths.
type addresses struct {
	exact map[netip.AddrPort]string
	every map[uint16]string // by port, those on every address
	first map[uint16]string // by port, the first on any
}

// add gives the path of the address that ap collides with, or "". Port 0 collides with nothing.
func (a *addresses) add(ap netip.AddrPort, path string) string {
	port := ap.Port()
	if port == 0 {
		return ""
	}
	ap = netip.AddrPortFrom(ap.Addr().Unmap(), port)
	other := cmp.Or(a.exact[ap], a.every[port])
	if everyAddress(ap.Addr()) {
		other = a.first[port]
		a.every[port] = cmp.Or(a.every[port], path)
	}
	a.exact[ap] = cmp.Or(a.exact[ap], path)
	a.first[port] = cmp.Or(a.first[port], path)
	return other
}

func everyAddress(ip netip.Addr) bool { return !ip.IsValid() || ip.IsUnspecified() }

// maxName bounds labels of logs and metrics.
const maxName = 200

// name checks a listener's or route's label and that it is the only one of its kind.
func (c checker) name(path, name string, taken map[string]string) {
	if c.bad(path) || !c.pos.has(path) {
		return
	}
	switch other, twice := taken[name]; {
	case name == "":
		c.value(path, "name is empty; leave it out to have one derived")
	case len(name) > maxName:
		c.value(path, "name is longer than %d bytes", maxName)
	case strings.ContainsFunc(name, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }):
		c.value(path, "name %s contains a space or an unprintable character", c.quote(path, name))
	case twice:
		c.value(path, "name %s is already used on line %d", c.quote(path, name), c.pos.value(other).line)
	default:
		taken[name] = path
	}
}
