package configs

import (
	"encoding/base64"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
)

// dnsProvider is what a provider of dns-01 may and must be told.
type dnsProvider struct {
	needs, takes []string
}

// dnsProviders, by name. A key that belongs to another is a mistake: it would do nothing.
func dnsProviders() map[string]dnsProvider {
	return map[string]dnsProvider{
		"cloudflare": {needs: []string{"token"}},
		"route53":    {takes: []string{"access_key_id", "secret_access_key", "session_token", "region", "hosted_zone_id", "assume_role"}},
		"rfc2136":    {needs: []string{"nameserver"}, takes: []string{"zone", "tsig_key", "tsig_secret", "tsig_algorithm"}},
		"acme-dns":   {needs: []string{"endpoint", "username", "password", "subdomain"}},
		"httpreq":    {needs: []string{"endpoint"}, takes: []string{"username", "password"}},
		"exec":       {needs: []string{"program"}},
	}
}

// acmeDNS checks [tls.acme.dns] against challenges and its provider.
func (c checker) acmeDNS(a *ACME) {
	const path = "tls.acme.dns"
	named := slices.Contains(a.Challenges, "dns-01")
	switch {
	case a.DNS == nil:
		if named && !c.bad("tls.acme.challenges") && !c.bad(path) {
			c.value("tls.acme.challenges", "dns-01 needs a [tls.acme.dns] with the provider that publishes the record")
		}
		return
	case !named && !c.bad("tls.acme.challenges"):
		c.key(path, `tls.acme.dns has no use: challenges does not contain "dns-01"`)
	}
	c.dnsKeys(a.DNS, path)
	c.resolvers(a.DNS.Resolvers, path)
	if at := joinKey(path, "endpoint"); a.DNS.Endpoint != "" && !c.bad(at) {
		if u, err := url.Parse(a.DNS.Endpoint); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
			c.value(at, "endpoint %s is not an http:// or https:// URL", c.quote(at, a.DNS.Endpoint))
		}
	}
	if at := joinKey(path, "program"); a.DNS.Program != "" && !c.bad(at) {
		if strings.ContainsRune(a.DNS.Program, filepath.Separator) {
			a.DNS.Program = c.files.path(a.DNS.Program)
		} else {
			c.value(at, "program %s is not a path, as ./hook or /usr/local/bin/hook", c.quote(at, a.DNS.Program))
		}
	}
	if at := joinKey(path, "tsig_secret"); a.DNS.TSIGSecret != "" && !c.bad(at) {
		if _, err := base64.StdEncoding.DecodeString(a.DNS.TSIGSecret.Reveal()); err != nil {
			c.value(at, "tsig_secret is not base64")
		}
	}
}

// dnsKeys holds every key of a provider against the one that is named.
func (c checker) dnsKeys(d *ACMEDNS, path string) {
	own, known := dnsProviders()[d.Provider]
	if !known {
		return // missing or misspelt, and said
	}
	for _, p := range dnsProviders() {
		for _, key := range slices.Concat(p.needs, p.takes) {
			at := joinKey(path, key)
			if c.pos.has(at) && !c.bad(at) && !slices.Contains(own.needs, key) && !slices.Contains(own.takes, key) {
				c.key(at, "%s is not for provider %q", key, d.Provider)
			}
		}
	}
	for _, key := range own.needs {
		if at := joinKey(path, key); !c.pos.has(at) && !c.bad(at) {
			c.value(joinKey(path, "provider"), "provider %q needs %s", d.Provider, key)
		}
	}
	for _, pair := range [][2]string{{"tsig_key", "tsig_secret"}, {"access_key_id", "secret_access_key"}, {"username", "password"}} {
		for i, key := range pair {
			if other := pair[1-i]; c.pos.has(joinKey(path, key)) && !c.pos.has(joinKey(path, other)) && !c.bad(joinKey(path, key)) {
				c.value(joinKey(path, key), "%s needs %s", key, other)
			}
		}
	}
}

// resolvers gives every resolver of a table its port.
func (c checker) resolvers(list []string, path string) {
	at := joinKey(path, "resolvers")
	if c.bad(at) {
		return
	}
	for i, r := range list {
		if ip, err := netip.ParseAddr(strings.Trim(r, "[]")); err == nil {
			list[i] = net.JoinHostPort(ip.String(), "53")
		} else if ap, err := netip.ParseAddrPort(r); err != nil || ap.Port() == 0 {
			where := at
			if c.pos.has(joinIndex(at, i)) {
				where = joinIndex(at, i)
			}
			c.value(where, "resolver %s is not IP or IP:PORT", c.quote(where, r))
		}
	}
}

// authorities checks [[tls.acme.ca]], which stands for the keys of a single CA.
func (c checker) authorities(a *ACME) {
	for _, key := range []string{"directory", "root_ca", "profile"} {
		if at := joinKey("tls.acme", key); c.pos.has(at) && !c.bad(at) {
			c.key(at, "%s is for CAs without a [[tls.acme.ca]]: write it there", key)
		}
	}
	a.Directories = nil
	taken := map[string]int{}
	for i := range a.CAs {
		ca, path := &a.CAs[i], joinIndex("tls.acme.ca", i)
		if at := joinKey(path, "directory"); !c.bad(at) {
			c.directory(at, ca.Directory)
			if line, twice := taken[ca.Directory]; twice {
				c.value(at, "directory %s is already on line %d", c.quote(at, ca.Directory), line)
			}
			taken[ca.Directory] = c.pos.value(at).line
		}
		if at := joinKey(path, "root_ca"); c.pos.has(at) {
			ca.RootPEM = c.rootCA(at, &ca.RootCA)
		}
		c.binding(ca, path)
	}
}

func (c checker) binding(ca *ACMECA, path string) {
	kid, key := joinKey(path, "eab_kid"), joinKey(path, "eab_hmac")
	if c.bad(kid) || c.bad(key) {
		return
	}
	switch {
	case ca.EABKeyID != "" && ca.EABKey == "":
		c.value(kid, "eab_kid needs eab_hmac, the key of the binding")
	case ca.EABKeyID == "" && ca.EABKey != "":
		c.value(key, "eab_hmac needs eab_kid, the key's id")
	}
	if _, err := base64.RawURLEncoding.DecodeString(ca.EABKey.Reveal()); err != nil {
		c.value(key, "eab_hmac is not base64url without padding, as CAs show it")
	}
}
