package proxy

import (
	"bytes"
	"net/netip"

	"github.com/valor-ivx/weir/proxy/clientip"
	"github.com/valor-ivx/weir/proxy/message"
	"github.com/valor-ivx/weir/proxy/observe"
)

// identity is whom a request comes from: the one derivation that the log, the hash key, limits and the forwarded fields use.
type identity struct {
	ip      netip.Addr
	address []byte // ip as text; in the client's own when the peer is nobody's proxy, else in text
	proxied bool   // the peer is a trusted proxy: what it says about the request is kept where it is valid
	secure  bool   // the client speaks TLS, to us or, by the word of a trusted proxy, to it

	text [46]byte // INET6_ADDRSTRLEN, for address
	id   [128]byte
}

// identify begins with the connection's own peer, which costs nothing per request.
func (x *Exchange) identify() {
	c := x.client
	x.who.ip, x.who.address, x.who.proxied, x.who.secure = c.ip, c.address, false, c.session != nil
	x.id = observe.AppendID(x.who.id[:0])
}

// believe takes a trusted proxy's word about a request whose head has been read. The request id is the proxy's when it sent exactly one that is valid.
func (x *Exchange) believe() {
	w, h := &x.who, &x.req.Header
	if x.snap.Trust.Empty() {
		x.suspectProxy()
		return
	}
	if !x.snap.Trust.Trusts(w.ip) {
		return
	}
	w.proxied = true
	w.ip = x.snap.Trust.Client(w.ip, h)
	w.address = w.ip.AppendTo(w.text[:0])
	if id := lone(h, message.XRequestID); observe.ValidID(id) {
		x.id = append(w.id[:0], id...)
	}
	if scheme := lone(h, message.XForwardedProto); validScheme(scheme) {
		w.secure = scheme[len(scheme)-1] == 's'
	}
}

// appendIdentity appends the lines that tell the upstream whom the request comes from and how it came.
func (x *Exchange) appendIdentity(b []byte) []byte {
	c, h := x.client, &x.req.Header
	if !x.who.proxied {
		b = append(b, c.lines...)
		return line(b, "X-Forwarded-Host: ", x.req.Host)
	}
	b = append(b, "X-Forwarded-For: "...)
	for i := h.Find(message.XForwardedFor, 0); i >= 0; i = h.Find(message.XForwardedFor, i+1) {
		if f := h.At(i); !clientip.Aliased(f) && len(f.Value()) > 0 {
			b = append(b, f.Value()...)
			b = append(b, ", "...)
		}
	}
	b = append(b, c.address...)
	b = append(b, "\r\n"...)
	b = line(b, "X-Real-IP: ", x.who.address)
	if scheme := lone(h, message.XForwardedProto); validScheme(scheme) {
		b = line(b, "X-Forwarded-Proto: ", scheme)
	} else {
		b = append(b, "X-Forwarded-Proto: "...)
		b = append(b, c.listener.Scheme...)
		b = append(b, "\r\n"...)
	}
	if port := lone(h, message.XForwardedPort); clientip.IsPort(port) {
		b = line(b, "X-Forwarded-Port: ", port)
	} else {
		b = append(b, "X-Forwarded-Port: "...)
		b = append(b, c.listener.Port...)
		b = append(b, "\r\n"...)
	}
	if host := lone(h, message.XForwardedHost); validAuthority(host) {
		return line(b, "X-Forwarded-Host: ", host)
	}
	return line(b, "X-Forwarded-Host: ", x.req.Host)
}

// line appends a field unless its value is empty.
func line(b []byte, name string, value []byte) []byte {
	if len(value) == 0 {
		return b
	}
	b = append(b, name...)
	b = append(b, value...)
	return append(b, "\r\n"...)
}

// lone is the value of a field that is there exactly once, nil otherwise: of two one is somebody else's. A name with underscores is not the field: see
// clientip.Aliased.
func lone(h *message.Header, id message.ID) (value []byte) {
	for i := h.Find(id, 0); i >= 0; i = h.Find(id, i+1) {
		if clientip.Aliased(h.At(i)) {
			continue
		}
		if value != nil {
			return nil
		}
		value = h.At(i).Value()
	}
	return value
}

// validScheme knows what proxies write: the schemes of HTTP and, by some for an upgrade, of WebSocket. Those over TLS end in "s".
func validScheme(s []byte) bool {
	switch string(s) { // no allocation: the compiler compares in place
	case "http", "https", "ws", "wss":
		return true
	}
	return false
}

// validAuthority reports a host with or without a port in the letters that host names and IP literals have: what upstreams build links of must not bring
// markup, separators or user information along.
func validAuthority(s []byte) bool {
	for _, c := range s {
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		if !letter && !('0' <= c && c <= '9') && bytes.IndexByte([]byte("-._:[]"), c) < 0 {
			return false
		}
	}
	return len(s) > 0 && len(s) <= 261 // 255 of a name, and ":65535"
}
