package server

import (
	"net/netip"

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
		e.step("begin", "client "+e.client.String(), "from X-Forwarded-For, right to left through trusted proxies; the connection is %s's", peer)
		return
	}
	e.step("begin", "client "+e.client.String(), "the address of the connection: it is no trusted proxy's, so what it says about its client is replaced")
}

// described is the state that whom leaves for the phases after it.
type described struct {
	client netip.Addr
	header message.Header
}

// limits tells the route's rate limits without asking them: explaining a request takes no token.
func (e *explanation) limits() {
	if e.route.Limits == nil {
		return
	}
	for _, c := range e.g.plan.config.Limits {
		for _, l := range e.route.Limits.List() {
			if l.Limit.Name() != c.Name {
				continue
			}
			then := "429 with Retry-After beyond that"
			if c.DryRun {
				then = "dry run, nothing is refused"
			}
			e.step("admit", "limit "+c.Name, "%s and %d at once for each %s; %s", c.Rate, c.Burst, c.Key, then)
		}
	}
}
