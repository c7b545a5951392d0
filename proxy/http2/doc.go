// Package http2 is both sides of HTTP/2 (RFC 9113). As a server it turns a connection's frames into message heads and bodies, one short goroutine per
// request, and gathers the answers of all streams of a connection into as few writes, and TLS records, as it can.
//
// A Stream offers the methods of http1.ServerConn, so that one Exchange serves both. The package parses frames in place in the connection's input
// buffer and encodes header blocks from byte slices, because x/net's Framer and hpack.Encoder allocate for every HEADERS frame and want strings; of
// x/net it uses the HPACK decoder. Tests use x/net's Framer and Transport as independent peers.
//
// As a client (ClientConn, ClientStream) it carries the requests of many on one connection to an upstream, on the same machinery: the same frames, windows, encoder
// and gathered writes, read by one goroutine. A ClientStream offers the methods of http1.ClientConn.
//
// It refuses server push, the priority tree of RFC 7540 (RFC 9113 §5.3.2), HTTP/1.1 upgrade to h2c, and to answer a client that abuses the protocol:
// such a connection ends with GOAWAY.
package http2

// Preface is what a client says first (RFC 9113 §3.4). A caller that serves h2c by prior knowledge on a shared port looks for it.
const Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
