// Package http1 is HTTP/1.1 on both sides of the proxy: bytes on a connection to and from message heads and bodies (RFC 9112).
//
// Parsing is in place and strict. Where RFC 9112 lets a recipient choose between repairing and refusing, this package refuses, because two
// parsers that repair differently are how requests are smuggled. Heads are slices of the connection's buffer; nothing is allocated for a
// keep-alive exchange, and an idle connection holds no buffer at all.
//
// The package knows no routing, no retries and no policy. A ServerConn or ClientConn belongs to one goroutine; the only exception is
// stated at both types: one message's body may be read, or written, by a second goroutine while the first one is busy with the other message.
package http1
