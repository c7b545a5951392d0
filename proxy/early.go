package proxy

import "github.com/valor-ivx/weir/proxy/message"

// errTooEarly refuses what a replay could do twice (RFC 8470 §5.2): the client says it again when the handshake has ended.
var errTooEarly = &Error{425, TooEarly, nil}

// appendEarly tells the upstream that the request may be a replay (RFC 8470 §5.1): it came to us in early data, or to a trusted proxy, by its word. What anybody else
// says of it does not reach the upstream (http1 drops the field).
func (x *Exchange) appendEarly(b []byte) []byte {
	if x.down.Early() || x.who.proxied && string(lone(&x.req.Header, message.EarlyData)) == "1" {
		b = append(b, "Early-Data: 1\r\n"...)
	}
	return b
}
