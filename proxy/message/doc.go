// Package message holds what every HTTP version shares: request and response heads, the ordered header list and the framing of bodies.
//
// It is the currency of the data path: proxy/http1 proxy/http2 and proxy/http3 turn bytes or frames into these types and back, and
// everything between them reads and edits only these types. What HTTP/2 and HTTP/3 demand of a head alike is checked here once, by the Collector, and so are hosts,
// names and values. It refuses to read or write any wire format, and to own memory: names and values are
// slices of the buffer that a protocol package read them into, valid until that buffer is reused (for http1: the end of the exchange).
package message
