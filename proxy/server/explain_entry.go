package server

import (
	"cmp"
	"net/netip"
	"strings"
	"time"

	edgetls "github.com/valor-ivx/weir/tls"
)

// entry tells which listener the request comes in by, and with which certificate.
func (e *explanation) entry() {
	l := e.listener()
	if l == nil {
		e.step("begin", "no listener", "none speaks %s: what follows is for a request that a proxy in front passes on", e.url.Scheme)
		return
	}
	how := "it has the URL's port"
	if l.data.Port != portOf(e.url) {
		how = "the first for " + e.url.Scheme + ": none has the URL's port, " + portOf(e.url)
	}
	e.step("begin", "listener "+l.config.Name, "%s, %s; %s", l.socket.Addr(), strings.Join(l.config.Protocols, " "), how)
	if l.tls != nil {
		e.certificate(l.server.certs.Store())
	}
}

// certificate tells what the handshake is answered with. A client that asks for an address sends no server name (RFC 6066 §3).
func (e *explanation) certificate(store *edgetls.Store) {
	name, address := strings.ToLower(e.url.Hostname()), ""
	if ip, err := netip.ParseAddr(name); err == nil {
		name, address = "", ip.Unmap().String()
	}
	c := store.Choose(name, address)
	asked := "server name " + name
	if name == "" {
		asked = "no server name, address " + address
	}
	demanded := !c.Named && name != "" && e.g.plan.config.TLS.OnDemand != nil
	switch {
	case demanded:
		e.step("begin", "certificate on demand", "%s: none has it, [tls.on_demand] obtains one or the handshake is refused", asked)
		return
	case len(c.Certificates) == 0:
		e.step("begin", "no certificate", "%s: the handshake is refused, there is none", asked)
		return
	}
	for i, info := range c.Certificates {
		why := asked + ": it is for " + strings.Join(info.Names, ", ")
		if !c.Named {
			why = asked + ": none has it, this is the one for names without; clients that look at names refuse it; it is for " + strings.Join(info.Names, ", ")
		}
		if i > 0 {
			why += "; for clients that cannot use the one before"
		}
		if time.Now().After(info.NotAfter) {
			why += "; EXPIRED"
		}
		e.step("begin", "certificate "+info.Subject, "%s; %s, until %s, %s", why, info.KeyType, info.NotAfter.UTC().Format(time.DateOnly), cmp.Or(info.File, "obtained by [tls.acme]"))
	}
}

// redirected tells of a listener that sends what a route serves to https, and reports whether it does.
func (e *explanation) redirected() bool {
	l := e.listener()
	if l == nil || l.data.Redirect == "" {
		return false
	}
	if e.viaTLS {
		e.step("match", "not redirected", "listener %s redirects to https, but by the word of a trusted proxy the client speaks it already", l.config.Name)
		return false
	}
	to := "https://" + e.url.Hostname()
	if strings.Contains(e.url.Hostname(), ":") { // an IPv6 address
		to = "https://[" + e.url.Hostname() + "]"
	}
	if l.data.Redirect != "443" {
		to += ":" + l.data.Redirect
	}
	to += pathOf(e.url)
	if e.url.RawQuery != "" {
		to += "?" + e.url.RawQuery
	}
	e.step("match", "redirected", "listener %s sends what a route serves to https: nothing behind it is asked", l.config.Name)
	e.end("308 to %s", to)
	return true
}
