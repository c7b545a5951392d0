package http2

// budget is an allowance of frames that cost us more than the client: burst at first, refilled steadily and by useful work. It is a value; time is
// passed in.
type budget struct {
	left float64
	at   int64 // ns of the last refill
}

// allowance is a budget's size and refill per second.
type allowance struct{ burst, rate float64 }

// allowances are sized by what honest clients do, several times over: a browser that leaves a page resets up to its concurrent streams at once (128 here); gRPC
// pings once per round trip while data moves (refunded per DATA frame); Firefox sends a few PRIORITY frames per request (refunded per request).
var allowances = [FloodKinds]allowance{
	FloodReset:    {256, 32},
	FloodRefused:  {256, 32},
	FloodSettings: {32, 1},
	FloodPing:     {512, 50},
	FloodEmpty:    {128, 16},
	FloodWindow:   {1024, 128},
	FloodPriority: {512, 32},
	FloodUnknown:  {128, 16},
}

// spend takes one frame off the budget and reports whether there was one left.
func (b *budget) spend(a allowance, now int64) bool {
	if b.at == 0 {
		b.left, b.at = a.burst, now
	}
	b.left = max(b.left, min(a.burst, b.left+a.rate*float64(now-b.at)/1e9)) // what was earned beyond the burst stays
	b.at = now
	if b.left < 1 {
		return false
	}
	b.left--
	return true
}

// refund gives n frames back for useful work.
func (b *budget) refund(a allowance, n float64) {
	if b.at != 0 {
		b.left = max(b.left, min(a.burst, b.left+n))
	}
}

// earn is refund beyond the burst, up to most: for frames that come long after what they are due to.
func (b *budget) earn(a allowance, n, most float64) {
	if b.at == 0 {
		b.left, b.at = a.burst, 1 // full, as at the first spend
	}
	b.left = max(b.left, min(most, b.left+n))
}

const (
	// leastUpdate is how much the stingiest honest client reads before it gives the window back, once for its stream and once for its connection: Go's, in small pieces.
	leastUpdate = 4 << 10
	// mostUpdates is what may be owed for data that is on its way or lies at the client: 32 MiB, twice the largest window that browsers have (Chromium's 15 MiB).
	mostUpdates = 2 * (32 << 20) / leastUpdate
)
