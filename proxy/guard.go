package proxy

import (
	"strconv"
	"time"

	"github.com/valor-ivx/weir/proxy/auth"
	"github.com/valor-ivx/weir/proxy/message"
)

// Guard finds out who asks for what a route serves.
type Guard struct {
	Authenticator Authenticator
	// ForwardAuthorization leaves the client's Authorization field in the request, ForwardCookies the cookies that say who it is.
	ForwardAuthorization, ForwardCookies bool
}

// Authenticator judges requests. It is safe for concurrent use; it may take its time where it says so.
type Authenticator interface {
	Authenticate(r *auth.Request) auth.Verdict
	// Owns reports a field that only the Authenticator may send to the upstream: what a client says in it is taken out.
	Owns(name []byte) bool
	// OwnsCookie reports a cookie that says who the client is: the upstream is not sent it.
	OwnsCookie(name []byte) bool
}

// guarded is what a Guard found out.
type guarded struct {
	request auth.Request // in the exchange: it is handed on as a pointer
	verdict auth.Verdict
}

// permitted asks the route's access lists about the client's address.
func (x *Exchange) permitted() bool {
	for _, l := range x.route.Access {
		if !l.Permits(x.who.ip) {
			return false
		}
	}
	return true
}

// denials are the errors of auth's denials, by kind.
var denials = [auth.Whys]Reason{
	auth.Missing: CredentialsMissing, auth.Invalid: CredentialsInvalid, auth.Busy: LoginsBusy,
	auth.TokenMissing: TokenMissing, auth.TokenInvalid: TokenInvalid, auth.TokenExpired: TokenExpired, auth.ClaimRefused: ClaimRefused, auth.KeysAway: KeysAway,
	auth.CertificateMissing: CertificateMissing, auth.CertificateRefused: CertificateRefused, auth.CertificateExpired: CertificateExpired, auth.Gone: ClientGone,
	auth.Refused: AuthRefused, auth.Unavailable: AuthUnavailable,
	auth.LoginRequired: LoginRequired, auth.SessionInvalid: SessionInvalid, auth.SessionExpired: SessionExpired, auth.LoginFailed: LoginFailed, auth.LoginInsecure: LoginInsecure,
}

// Gone implements auth.Asker. While a request is authenticated nobody else reads its connection: its body has not been begun.
func (x *Exchange) Gone() bool { return x.down.ClientGone() }

// Introduce implements auth.Asker: an upstream would be told the same.
func (x *Exchange) Introduce(b []byte) []byte {
	b = line(x.appendClientCert(x.appendIdentity(b)), "X-Request-ID: ", x.id)
	if x.placed.on {
		b = x.placed.appendPlace(b, x.placed.span)
	}
	return b
}

// authenticate is where a request waits for its password to be verified, for the key of its token, or for the word of a service that is asked.
func (x *Exchange) authenticate(g *Guard) *Error {
	if x.req.Nominates { // what the upstream will not see proves nothing
		x.req.Header.DropNominated()
	}
	if x.placed.request != nil {
		defer x.waited("auth", x.proxy.options.Now())
	}
	x.user.request = auth.Request{
		Header: &x.req.Header, Now: time.Now(), Client: x.client.session.Client(), Asker: x,
		Method: x.req.MethodName, Host: x.req.Host, Path: x.path, Query: x.req.Query, Secure: x.who.secure,
	}
	x.user.verdict = g.Authenticator.Authenticate(&x.user.request)
	if d := x.user.verdict.Denial; d != nil {
		return &Error{d.Status, denials[d.Why], d.Err}
	}
	if x.user.verdict.Answer == nil && x.route.UserLimits != nil {
		return x.limited(x.route.UserLimits)
	}
	return nil
}

// step answers a request that is a step of a login, with its end.
func (x *Exchange) step(a *auth.Answer) *Error {
	x.service = nil
	x.say(a)
	if err := x.down.Err(); err != nil {
		return unwritten(err)
	}
	return nil
}

// say sends an authenticator's own answer. To a relayed one the policy for response fields does what it does to an upstream's.
func (x *Exchange) say(a *auth.Answer) {
	c := x.down
	x.resp.Reset()
	for _, f := range a.Fields {
		x.resp.Header.Add(f.Name, f.Value)
	}
	x.resp.Header.Add("Content-Length", strconv.Itoa(len(a.Body)))
	x.ours = !a.Relayed
	x.resp.Status, x.resp.Framing, x.resp.ContentLength = a.Status, message.Length, int64(len(a.Body))
	x.resp.Reason = []byte(a.Reason)
	x.writeHead(&x.resp, nil, !c.DiscardBody())
	c.Write(a.Body)
	c.Finish(nil)
	if x.req.Method != message.HEAD {
		x.sent = int64(len(a.Body))
	}
}

// challenge tells a client how to say who it is (RFC 9110 §15.5.2).
func (u *guarded) challenge(h *message.Header) {
	if d := u.verdict.Denial; d != nil && d.Challenge != "" {
		h.Add("WWW-Authenticate", d.Challenge)
	}
}

// presentUser takes out what a client may not say about itself, or only to us, and appends the lines that say who it is.
func (x *Exchange) presentUser(b []byte) []byte {
	g, h := x.route.Guard, &x.req.Header
	for i := h.Len() - 1; i >= 0; i-- {
		f := h.At(i)
		switch {
		case f.ID() == message.Authorization && !g.ForwardAuthorization || g.Authenticator.Owns(f.Name()):
			h.Remove(i)
		case f.ID() == message.Cookie && !g.ForwardCookies && g.hasCookie(f.Value()):
			b = g.appendCookies(b, f.Value())
			h.Remove(i)
		}
	}
	return append(b, x.user.verdict.Fields...)
}

func (g *Guard) hasCookie(list []byte) bool {
	for len(list) > 0 {
		var pair []byte
		if pair, list = message.NextCookie(list); g.Authenticator.OwnsCookie(auth.CookieName(pair)) {
			return true
		}
	}
	return false
}

// appendCookies appends a Cookie line of those that the upstream is sent, none if there are none.
func (g *Guard) appendCookies(b, list []byte) []byte {
	begun := false
	for len(list) > 0 {
		var pair []byte
		pair, list = message.NextCookie(list)
		if pair = message.Trim(pair); len(pair) == 0 || g.Authenticator.OwnsCookie(auth.CookieName(pair)) {
			continue
		}
		if !begun {
			b, begun = append(b, "Cookie: "...), true
		} else {
			b = append(b, "; "...)
		}
		b = append(b, pair...)
	}
	if begun {
		b = append(b, "\r\n"...)
	}
	return b
}
