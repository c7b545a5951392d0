package http1

import (
	"errors"
	"time"
)

// ErrSlowReader says that a client took less of a response than MinSendRate asks for.
var ErrSlowReader = errors.New("client reads too slowly")

// paceFree is how much of a response is not measured: it fits the buffers between us and most clients, and what is short costs nobody much.
const paceFree = 64 << 10

// pace measures how fast a client takes what it is sent, so that one that takes a byte in time for each deadline does not hold a response for ever. Only time spent in
// writes counts: what the upstream is slow with is not the client's. The zero pace measures nothing.
type pace struct {
	least  int64         // bytes in each window
	window time.Duration // of writing
	free   int64         // output.sent up to which nothing is measured
	spent  time.Duration
	took   int64
}

// reset begins with a response, at output.sent = at.
func (p *pace) reset(o *ServerOptions, at int64) {
	p.least, p.window = int64(float64(o.MinSendRate)*o.WriteTimeout.Seconds()), o.WriteTimeout
	p.free, p.spent, p.took = at+paceFree, 0, 0
}

// begin is the time before a write, zero when it is not measured.
func (p *pace) begin(sent int64) time.Time {
	if p.least == 0 || sent < p.free {
		return time.Time{}
	}
	return time.Now()
}

// end counts a write of n bytes that began at from.
func (p *pace) end(from time.Time, n int64) error {
	if from.IsZero() {
		return nil
	}
	return p.add(time.Since(from), n)
}

func (p *pace) add(d time.Duration, n int64) error {
	p.spent += d
	p.took += n
	switch {
	case p.took >= p.least:
		p.spent, p.took = 0, 0
	case p.spent >= p.window:
		return ErrSlowReader
	}
	return nil
}
