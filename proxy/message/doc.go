// Package message holds what every HTTP version shares: request and response heads, the ordered header list and the framing of bodies.
//
// It is the currency of the data path: proxy/http1 (and later http2 and http3) turn bytes or frames into these types and back, and
// everything between them reads and edits only these types. It refuses to parse, to write, and to own memory: names and values are
// slices of the buffer that a protocol package read them into, valid until that buffer is reused (for http1: the end of the exchange).
package message
