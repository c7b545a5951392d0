package http3

import "sync/atomic"

// Counters is what connections count. All fields only grow; any goroutine may read them.
type Counters struct {
	Streams      atomic.Uint64 // requests begun
	Rejected     atomic.Uint64 // requests that came after the last GOAWAY
	Malformed    atomic.Uint64 // requests reset as malformed
	HeadsRefused atomic.Uint64 // heads beyond a limit, answered 4xx
	SlowHeads    atomic.Uint64 // streams reset by HeaderTimeout
	Faults       atomic.Uint64 // connections closed for breaking the protocol
	Floods       atomic.Uint64 // connections closed for frames that do nothing, H3_EXCESSIVE_LOAD
}
