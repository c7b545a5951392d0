package proxy

import (
	"net/netip"

	"github.com/valor-ivx/weir/proxy/limit"
)

// Replay finds what limits count requests by that are over, of which only a log is left. It goes the way of the live ones, with a request without header
// fields; a key of a header or cookie is therefore not its to tell. One goroutine owns it.
type Replay struct{ x Exchange }

// Key is what a request of that client is counted by.
func (r *Replay) Key(registry *limit.Registry, parts []LimitKeyPart, client netip.Addr) limit.Key {
	r.x.who.ip = client
	r.x.scratchKey = r.x.appendLimitKey(r.x.scratchKey[:0], parts)
	return registry.Key(r.x.scratchKey)
}
