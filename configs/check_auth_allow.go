package configs

import (
	"maps"
	"slices"
	"strings"
)

// mtls checks the patterns of an authentication by certificates.
func (c checker) mtls(a *Auth, path string) {
	at := joinKey(path, "allow")
	if a.Allow == nil || c.bad(at) {
		return
	}
	c.patterns(a, at, map[string][]string{"subject": a.Allow.Subject, "dns": a.Allow.DNS, "uri": a.Allow.URI, "email": a.Allow.Email})
}

// patterns checks the lists of an allow table, of which at least one must be there: an empty table could mean nobody or everybody.
func (c checker) patterns(a *Auth, path string, lists map[string][]string) {
	said := false
	for _, key := range []string{"subject", "dns", "uri", "email", "groups"} {
		if at := joinKey(path, key); lists[key] == nil && c.pos.has(at) && !c.bad(at) && !slices.Contains(slices.Collect(maps.Keys(lists)), key) {
			c.key(at, "%s has no use with type = %q", key, a.Type)
			said = true
		}
	}
	for key, list := range lists {
		at := joinKey(path, key)
		said = said || c.pos.has(at) || c.bad(at)
		c.emptyList(at, len(list))
		for i, p := range list {
			c.authPattern(joinIndex(at, i), p)
		}
	}
	if !said {
		c.key(path, "allow is empty; leave it out to let everybody in who is known")
	}
}

func (c checker) authPattern(at, p string) {
	switch {
	case c.bad(at):
	case p == "":
		c.value(at, "pattern is empty")
	case strings.Contains(p, "**"):
		c.value(at, "pattern %s has two stars in a row: one stands for all within its part, none for more", c.quote(at, p))
	case fieldValue(p) != "":
		c.value(at, "pattern %s %s", c.quote(at, p), strings.Replace(fieldValue(p), "field value", "pattern", 1))
	}
}

// mtlsHosts wants a policy for clients' certificates for every host of a route that goes by them: without one no client would be asked for its own.
func (c checker) mtlsHosts(rt *Route, route string) {
	if c.bad("tls") || c.bad("tls.client_auth") || c.bad(joinKey(route, "host")) {
		return
	}
	hosts := rt.Hosts
	if len(hosts) == 0 {
		hosts = []string{EveryHost}
	}
	for _, h := range hosts {
		name, err := h, error(nil)
		if h != EveryHost {
			name, err = normalHost(h)
		}
		if err == nil && !c.asked(name) {
			path := joinKey(route, "auth")
			c.value(path, "auth %s goes by the client's certificate, and no [[tls.client_auth]] asks for one at host %q", c.quote(path, rt.Auth), h)
			return
		}
	}
}

// asked reports whether every host that a route's stands for has a policy for clients' certificates.
func (c checker) asked(host string) bool {
	return slices.ContainsFunc(c.cfg.TLS.ClientAuths, func(a ClientAuth) bool {
		return slices.ContainsFunc(a.Hosts, func(h string) bool {
			if h == EveryHost {
				return true
			}
			h, err := normalHost(h)
			return err == nil && (h == host || under(h, host))
		})
	})
}

// authCA reads the CAs that are trusted in place of the system's.
func (c checker) authCA(a *Auth, path string) {
	at := joinKey(path, "ca")
	if !c.pos.has(at) {
		return
	}
	text, ok := c.readPEM(at, &a.CA)
	if !ok {
		return
	}
	if err := checkChain(text); err != nil {
		c.value(at, "ca %s: %v", c.quote(at, a.CA), err)
		return
	}
	a.CAPEM = text
}
