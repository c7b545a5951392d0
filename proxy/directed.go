package proxy

import (
	"github.com/valor-ivx/weir/proxy/message"
	edgetls "github.com/valor-ivx/weir/tls"
)

var errMisdirected = &Error{421, Misdirected, nil}

// verdict is whether requests for a host belong on the connection, as long as policies and certificates are those it was reached with. Immutable.
type verdict struct {
	host        string // as received
	auths       *edgetls.ClientAuths
	store       *edgetls.Store
	misdirected bool
}

// directed refuses a request that came by a connection made for others (RFC 9110 §15.5.20): see edgetls.Session.Misdirected. A host that wants a client's
// certificate is not served without TLS at all, whatever a proxy in front says, unless the answer is the redirect to where it is.
func (x *Exchange) directed() *Error {
	c, auths := x.client, x.snap.ClientAuth
	if c.session == nil {
		if auths == nil || c.listener.Redirect != "" && !x.who.secure || !auths.For(x.req.Host).Required() {
			return nil
		}
		return errMisdirected
	}
	var store *edgetls.Store
	if certificates := x.proxy.options.Certificates; certificates != nil {
		store = certificates()
	}
	v := c.verdict.Load()
	if v == nil || v.auths != auths || v.store != store || v.host != string(x.req.Host) {
		v = &verdict{string(x.req.Host), auths, store, c.session.Misdirected(x.req.Host, auths, store)}
		c.verdict.Store(v) // of two streams at once one's is kept; both are right
	}
	if v.misdirected {
		return errMisdirected
	}
	return nil
}

// appendClientCert appends the lines that tell the upstream of the client's certificate. What clients say of it themselves is never forwarded; only on a plain
// listener a trusted proxy, which has ended TLS in our place, is believed.
func (x *Exchange) appendClientCert(b []byte) []byte {
	if s := x.client.session; s != nil {
		return append(b, s.ClientLines()...)
	}
	if !x.who.proxied {
		return b
	}
	h := &x.req.Header
	b = line(b, "Client-Cert: ", lone(h, message.ClientCert))
	b = line(b, "Client-Cert-Chain: ", lone(h, message.ClientCertChain))
	b = line(b, "X-Client-Cert-Subject: ", lone(h, message.XClientCertSubject))
	return line(b, "X-Client-Cert-Fingerprint: ", lone(h, message.XClientCertFingerprint))
}
