package server

import (
	"bytes"
	"cmp"
	"net/netip"
	"net/url"
	"strings"

	"github.com/valor-ivx/weir/proxy"
	"github.com/valor-ivx/weir/proxy/message"
)

// whom derives the client's address as the data path does.
func (e *explanation) whom() {
	peer := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	if ip, err := netip.ParseAddr(e.request.ClientIP); err == nil {
		peer = ip.Unmap().WithZone("")
	}
	for _, f := range e.request.Headers {
		e.header.Add(f.Name, f.Value)
	}
	trust := e.g.snapshot.Trust
	e.client = peer
	if trust.Trusts(peer) {
		e.client = trust.Client(peer, &e.header)
		scheme, _ := e.header.Get("X-Forwarded-Proto")
		e.viaTLS = bytes.EqualFold(scheme, []byte("https"))
		e.step("begin", "client "+e.client.String(), "from X-Forwarded-For, right to left through trusted proxies; the connection is %s's", peer)
		return
	}
	e.step("begin", "client "+e.client.String(), "the address of the connection: it is no trusted proxy's, so what it says about its client is replaced")
}

// described is the state that whom leaves for the phases after it.
type described struct {
	client netip.Addr
	header message.Header
	viaTLS bool // by the word of a trusted proxy
}

// limits tells the route's rate limits without asking them: explaining a request takes no token.
func (e *explanation) limits() {
	e.limitsAmong(e.route.Limits)
	e.limitsAmong(e.route.UserLimits)
}

func (e *explanation) limitsAmong(limits *proxy.Limits) {
	if limits == nil {
		return
	}
	for _, c := range e.g.plan.config.Limits {
		then := "429 with Retry-After beyond that"
		if c.DryRun {
			then = "dry run, nothing is refused"
		}
		for _, g := range limits.Gates() {
			if g.Gate.Name() == c.Name {
				e.step("admit", "limit "+c.Name, "%d under way at a time for each %s; %s", c.Concurrency, c.Key, then)
			}
		}
		for _, l := range limits.List() {
			if l.Limit.Name() == c.Name {
				if c.Shared {
					then += "; counted across replicas"
				}
				e.step("admit", "limit "+c.Name, "%s and %d at once for each %s; %s", c.Rate, c.Burst, c.Key, then)
			}
		}
	}
}

// headers tells what the answer will carry, whoever makes it.
func (e *explanation) headers() {
	l := e.listener()
	if l == nil {
		return
	}
	name, source := l.config.Headers, "headers of listener "+l.config.Name
	for _, r := range e.g.plan.config.Routes {
		if r.Name == e.route.Name && r.Headers != "" {
			name, source = r.Headers, "headers of route "+r.Name
		}
	}
	var fields []string
	if p := e.route.Headers[l.data.Index]; p != nil {
		for _, f := range p.Fields(l.tls != nil) {
			fields = append(fields, f.Name+": "+f.Value)
		}
	}
	e.step("admit", "headers "+name, "%s, on every answer: %s", source, cmp.Or(strings.Join(fields, " | "), "none"))
}

// listener is the one that a request to the URL comes in by: of its scheme, and of its port if there is one.
func (e *explanation) listener() (found *listener) {
	for _, l := range e.g.sockets {
		if (l.tls != nil) != (e.url.Scheme == "https") {
			continue
		}
		if found == nil || l.data.Port == portOf(e.url) {
			found = l
		}
	}
	return found
}

// portOf is the port that a client of the URL connects to.
func portOf(u *url.URL) string {
	if u.Scheme == "https" {
		return cmp.Or(u.Port(), "443")
	}
	return cmp.Or(u.Port(), "80")
}
