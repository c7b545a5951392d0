package http2

import (
	"time"

	"github.com/valor-ivx/weir/proxy/message"
)

// Limits bound one request head.
type Limits = message.Limits

// Options are one listener's bounds. Zero values take the default named beside them. A duration d is kept between d and d + 1 s or d + d/4 (see watch).
type Options struct {
	Limits     Limits // 32 KiB, 100, 8 KiB
	MaxStreams int    // concurrent streams, 128

	IdleTimeout     time.Duration // without a stream; 60 s
	HeaderTimeout   time.Duration // from the first byte of a preface, frame or header block to its last; 10 s
	BodyTimeout     time.Duration // between two arrivals of a request body; 60 s
	WriteTimeout    time.Duration // for one write, or a stream that has something to say, to make progress; 60 s
	SettingsTimeout time.Duration // for the client to acknowledge ours; 10 s
	// MinSendRate is how many bytes per second of response a client must make room for, in each WriteTimeout that a stream waits for its window, or streams
	// for the connection's; 0: any.
	MinSendRate int
	DrainGrace  time.Duration // between the two GOAWAYs of Drain at most; 1 s

	// Window is the receive window, in bytes, of a stream and of the connection at first (64 KiB), MaxWindow what it grows to when the path is
	// long enough to want it (1 MiB). MaxWindow is also what one connection's unread request bodies can occupy.
	Window, MaxWindow int

	ExtendedConnect bool // offer RFC 8441

	Counters *Counters // nil: not counted
}

func (o *Options) withDefaults() Options {
	d := *o
	number := func(n *int, v int) {
		if *n <= 0 {
			*n = v
		}
	}
	duration := func(t *time.Duration, v time.Duration) {
		if *t <= 0 {
			*t = v
		}
	}
	number(&d.Limits.Head, 32<<10)
	number(&d.Limits.Fields, 100)
	number(&d.Limits.Target, 8<<10)
	number(&d.MaxStreams, 128)
	number(&d.Window, 64<<10)
	number(&d.MaxWindow, 1<<20)
	d.Window = max(d.Window, defaultWindow) // a smaller one would have to be taken back from a client that already writes
	d.MaxWindow = max(d.MaxWindow, d.Window)
	duration(&d.IdleTimeout, time.Minute)
	duration(&d.HeaderTimeout, 10*time.Second)
	duration(&d.BodyTimeout, time.Minute)
	duration(&d.WriteTimeout, time.Minute)
	duration(&d.SettingsTimeout, 10*time.Second)
	duration(&d.DrainGrace, time.Second)
	if d.Counters == nil {
		d.Counters = new(Counters)
	}
	return d
}
