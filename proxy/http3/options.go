package http3

import (
	"time"

	"github.com/quic-go/quic-go"

	"github.com/valor-ivx/weir/proxy/message"
)

// Protocol is HTTP/3's name in ALPN (RFC 9114 §3.1).
const Protocol = "h3"

// Limits bound one request head.
type Limits = message.Limits

// Options are the bounds of connections. Zero values take the default named beside them.
type Options struct {
	Limits     Limits // 32 KiB, 100, 8 KiB
	MaxStreams int    // concurrent requests of a connection, 128

	HandshakeTimeout time.Duration // 10 s
	IdleTimeout      time.Duration // without a request, or without a packet; 60 s
	HeaderTimeout    time.Duration // from a stream's first packet to the end of its field section; 10 s
	BodyTimeout      time.Duration // between two arrivals of a request body; 60 s
	WriteTimeout     time.Duration // for one buffer of an answer to be taken; 60 s
	DrainGrace       time.Duration // between the two GOAWAYs of Drain, and for the last answer to arrive, at most; 1 s

	// Window is the receive window, in bytes, of a stream and of the connection at first (64 KiB), MaxWindow what it grows to when the path is
	// long enough to want it (1 MiB). MaxWindow is also what one connection's unread request bodies can occupy.
	Window, MaxWindow int

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
	d.MaxWindow = max(d.MaxWindow, d.Window)
	duration(&d.HandshakeTimeout, 10*time.Second)
	duration(&d.IdleTimeout, time.Minute)
	duration(&d.HeaderTimeout, 10*time.Second)
	duration(&d.BodyTimeout, time.Minute)
	duration(&d.WriteTimeout, time.Minute)
	duration(&d.DrainGrace, time.Second)
	if d.Counters == nil {
		d.Counters = new(Counters)
	}
	return d
}

// maxUniStreams is how many one-way streams a client may have open: the three that HTTP/3 has, and a few of types that nobody knows (RFC 9114 §6.2, §9).
const maxUniStreams = 8

// QUIC is the transport's configuration for connections with these bounds.
func (o *Options) QUIC(earlyData bool) *quic.Config {
	d := o.withDefaults()
	return &quic.Config{
		HandshakeIdleTimeout:           d.HandshakeTimeout / 2, // quic-go gives the whole handshake twice the time
		MaxIdleTimeout:                 d.IdleTimeout,
		InitialStreamReceiveWindow:     uint64(d.Window),
		MaxStreamReceiveWindow:         uint64(d.MaxWindow),
		InitialConnectionReceiveWindow: uint64(d.Window),
		MaxConnectionReceiveWindow:     uint64(d.MaxWindow),
		MaxIncomingStreams:             int64(d.MaxStreams),
		MaxIncomingUniStreams:          maxUniStreams,
		Allow0RTT:                      earlyData,
	}
}
