package proxy

import (
	"errors"

	"github.com/valor-ivx/weir/upstream"
)

// dialError is what a failed dial means for the client and for the peer's books.
func dialError(err error) (*Error, upstream.Outcome) {
	e := &Error{502, ConnectFailed, err}
	var dial *upstream.DialError
	if !errors.As(err, &dial) {
		return e, upstream.ConnectFailed
	}
	switch dial.Kind {
	case upstream.DialRefused:
		e.Reason = ConnectRefused
	case upstream.DialTimeout:
		e.Status, e.Reason = 504, ConnectTimeout
	case upstream.DialTLSCertificate:
		e.Reason = TLSCertificate
	case upstream.DialTLSAlert:
		e.Reason = TLSAlert
	case upstream.DialTLSProtocol:
		e.Reason = TLSProtocol
	case upstream.DialHTTP:
		e.Reason = UpstreamInvalid
	case upstream.DialFull:
		e.Status, e.Reason = 503, ConnectionLimit
	}
	return e, dial.Outcome()
}

// upstreamError tells a response that must not be forwarded from a connection that broke. A TLS alert in the place of an answer is the end of a handshake
// that the upstream did not accept.
func upstreamError(err error) *Error {
	switch {
	case refusedWith(err) != 0:
		return &Error{502, UpstreamInvalid, err}
	case upstream.IsTLSAlert(err):
		return &Error{502, TLSAlert, err}
	}
	return &Error{502, UpstreamBroken, err}
}
