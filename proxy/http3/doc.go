// Package http3 is the server side of HTTP/3 (RFC 9114) on quic-go's transport: it turns the streams of a QUIC connection into message heads and bodies, one
// goroutine per request. A Stream offers the methods of http1.ServerConn, so that one Exchange serves every protocol; what a request's head must be is
// message.Collector's business, the same as for HTTP/2.
//
// Frames and field sections are written and read here, because quic-go's own http3 server sets no bound on the time that a request's head may take, answers heads
// that are too large behind our back, and offers a body that cannot be waited for in steps (docs/adr/0010-own-http3-layer.md). Of QPACK (RFC 9204) the static
// table is used, without a dynamic one: nothing a client sends is kept beyond its request.
//
// It refuses server push, extended CONNECT, datagrams and WebTransport, and to answer a client that abuses the protocol: such a connection is closed.
package http3
