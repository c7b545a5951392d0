package http2

import "sync/atomic"

// Flood is a way to abuse the protocol that costs the client less than us.
type Flood uint8

// The floods, each with the budget it exhausted.
const (
	FloodReset        Flood = iota // streams reset before their answer was complete, by the client (CVE-2023-44487) or by us for its fault (CVE-2025-8671)
	FloodRefused                   // streams beyond the announced limit
	FloodContinuation              // header blocks that do not end (CVE-2024-27316)
	FloodSettings                  // CVE-2019-9515
	FloodPing                      // CVE-2019-9512
	FloodEmpty                     // frames that carry nothing (CVE-2019-9518)
	FloodWindow                    // window updates without use
	FloodPriority                  // PRIORITY and PRIORITY_UPDATE (CVE-2019-9513)
	FloodUnknown                   // frames of unknown type
	FloodBacklog                   // control answers that are asked for and not read
	FloodKinds
)

var floodNames = [...]string{"reset", "refused", "continuation", "settings", "ping", "empty", "window", "priority", "unknown", "backlog"}

// String is the flood's name as a metric label.
func (f Flood) String() string { return floodNames[f] }

// Counters is what a listener's connections count. All fields only grow; any goroutine may read them.
type Counters struct {
	Connections   atomic.Uint64
	Streams       atomic.Uint64
	ResetsIn      atomic.Uint64 // RST_STREAM received
	ResetsOut     atomic.Uint64 // RST_STREAM sent
	GoAways       atomic.Uint64 // GOAWAY sent with an error
	HeadsRefused  atomic.Uint64 // heads beyond a limit, answered 4xx
	Malformed     atomic.Uint64 // requests reset as malformed
	Stalls        atomic.Uint64 // streams reset because their client opened no window for WriteTimeout
	SlowReaders   atomic.Uint64 // streams reset and connections ended because of MinSendRate
	WriteTimeouts atomic.Uint64 // connections ended because the socket took nothing for WriteTimeout
	SlowFrames    atomic.Uint64 // connections ended by HeaderTimeout
	Idle          atomic.Uint64 // connections ended by IdleTimeout
	Flushes       atomic.Uint64 // writes to sockets
	Floods        [FloodKinds]atomic.Uint64
}
