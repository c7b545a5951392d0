package server

import "sync/atomic"

// How many handshakes a second, from addresses that have not been proved, begin without one more round trip, and how many of them at once. Each costs us about 0.5 ms
// and an answer of up to three times the packet that asked (RFC 9000 §8.1), which a forged address turns on somebody else. A busy edge has more returning clients,
// whose token proves theirs, than new ones; and those beyond wait one round trip longer.
const (
	handshakesPerSecond = 256
	handshakesAtOnce    = 512
)

// gate decides when clients must prove their address first (Retry, RFC 9000 §8.1.2): a token bucket, as the moment at which it will be full again.
type gate struct {
	full atomic.Int64 // ns of the registry's clock; written by whoever asks
}

// closed takes a token, and reports that there was none.
func (g *gate) closed(now int64) bool {
	const each, most = int64(1e9) / handshakesPerSecond, int64(1e9) / handshakesPerSecond * handshakesAtOnce
	for {
		was := g.full.Load()
		next := max(was, now) + each
		if next-now > most {
			return true
		}
		if g.full.CompareAndSwap(was, next) {
			return false
		}
	}
}
