package clientip

import (
	"bytes"
	"net/netip"

	"github.com/valor-ivx/weir/proxy/message"
)

// Trust is the set of proxies whose word is taken. It is a value: nothing in it changes after New. The zero value trusts nobody.
type Trust struct {
	prefixes []netip.Prefix // few (≤ 10 or so): a scan costs 3 ns each and beats any tree at that size
}

// New makes the set of prefixes, each as netip gives it, IPv4 as IPv4.
func New(prefixes []netip.Prefix) Trust { return Trust{append([]netip.Prefix(nil), prefixes...)} }

// Empty reports a set that trusts nobody.
func (t Trust) Empty() bool { return len(t.prefixes) == 0 }

// Trusts reports whether ip, unmapped and without zone, is one of the proxies.
func (t Trust) Trusts(ip netip.Addr) bool {
	for i := range t.prefixes {
		if t.prefixes[i].Contains(ip) {
			return true
		}
	}
	return false
}

// Client walks from the connection's peer through the X-Forwarded-For fields of h, last to first and each from its right, and returns the first address
// that is not a trusted proxy's. When all are trusted it is the leftmost. An element that is no address ends the walk at the address before it, the last
// one somebody trusted has vouched for. It allocates nothing, except for an element that is no address.
func (t Trust) Client(peer netip.Addr, h *message.Header) netip.Addr {
	client := peer
	for i := h.Len() - 1; i >= 0 && t.Trusts(client); i-- {
		f := h.At(i)
		if f.ID() != message.XForwardedFor || Aliased(f) {
			continue
		}
		var whole bool
		if client, whole = t.through(client, f.Value()); !whole {
			break
		}
	}
	return client
}

// through walks one field's list while the address at hand is trusted; whole reports that nothing in it stopped the walk.
func (t Trust) through(client netip.Addr, list []byte) (_ netip.Addr, whole bool) {
	for len(list) > 0 && t.Trusts(client) {
		var element []byte
		if comma := bytes.LastIndexByte(list, ','); comma >= 0 {
			list, element = list[:comma], message.Trim(list[comma+1:])
		} else {
			list, element = nil, message.Trim(list)
		}
		if len(element) == 0 { // RFC 9110 §5.6.1.2: a recipient ignores empty elements
			continue
		}
		ip, ok := Parse(element)
		if !ok {
			return client, false
		}
		client = ip
	}
	return client, true
}

// Aliased reports a field that has its ID by an underscore in place of a hyphen, as X_Forwarded_For: proxies pass such a name on as a field they do not
// know, so what it says is the client's own.
func Aliased(f *message.Field) bool { return bytes.IndexByte(f.Name(), '_') >= 0 }
