package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/valor-ivx/weir/proxy/http2"
)

// maxShared bounds the connections to one address that requests share: 64 of them carry 8,192 streams at http2's limit of 128 each. What is beyond is refused rather
// than queued: whoever has that many calls open to one target needs more targets.
const maxShared = 64

// mux is the connections of a link that speaks HTTP/2: few, because each carries many requests; another is made when none has room. Each has a goroutine
// that reads, started by its dial; it ends with the connection, at the latest when the last stream of a mux that was shut is released.
type mux struct {
	mu     sync.Mutex // guards everything below; held for a few instructions per connection, never over I/O
	conns  []*http2.ClientConn
	dials  *muxDial // under way; nil: none
	idle   time.Duration
	closed bool // the address left: connections end with their streams
}

// muxDial is one dial that several requests wait for: of a hundred that find no room, one makes the connection.
type muxDial struct {
	done chan struct{}
	err  error // valid when done
}

// stream takes a stream of a connection that has room, making one if there is none, within timeout. The error is a *DialError.
func (l *link) stream(timeout time.Duration) (*http2.ClientStream, error) {
	m := &l.mux
	deadline := time.Now().Add(timeout)
	for waited := false; ; waited = true {
		m.mu.Lock()
		if s := m.open(); s != nil {
			m.mu.Unlock()
			return s, nil
		}
		if waited && !time.Now().Before(deadline) {
			m.mu.Unlock()
			return nil, &DialError{Kind: DialTimeout, Address: l.address, Err: errors.New("others took the streams of every new connection")}
		}
		if len(m.conns) >= maxShared {
			m.mu.Unlock()
			return nil, &DialError{Kind: DialFull, Address: l.address, Err: errors.New("all shared connections are full")}
		}
		d := m.dials
		if d == nil {
			d = &muxDial{done: make(chan struct{})}
			m.dials = d
			m.mu.Unlock()
			return l.share(d, deadline)
		}
		m.mu.Unlock()
		<-d.done // it has a deadline of its own
		if d.err != nil {
			return nil, d.err
		}
	}
}

// open asks the connections for a stream, the oldest first, so that those that are not needed fall idle. mu is held.
func (m *mux) open() *http2.ClientStream {
	kept := m.conns[:0]
	var s *http2.ClientStream
	for _, c := range m.conns {
		if s == nil {
			s = c.Open()
		}
		if s != nil || !c.Over() {
			kept = append(kept, c)
		}
	}
	clear(m.conns[len(kept):])
	m.conns = kept
	return s
}

// share makes a connection, takes a stream of it, and lets those who wait have the rest.
func (l *link) share(d *muxDial, deadline time.Time) (s *http2.ClientStream, err error) {
	m := &l.mux
	c, err := l.multiplex(deadline)
	if err == nil {
		if s = c.Open(); s == nil {
			err = &DialError{Kind: DialHTTP, Address: l.address, Err: errors.New("the target takes no streams")}
			c.Retire()
		}
	}
	m.mu.Lock()
	switch {
	case err != nil:
	case m.closed:
		c.Retire()
	default:
		m.conns = append(m.conns, c)
	}
	m.dials, d.err = nil, err
	close(d.done)
	m.mu.Unlock()
	return s, err
}

// multiplex opens a connection and waits until the target has shown that it speaks HTTP/2: nothing of a request is lost on one that does not.
func (l *link) multiplex(deadline time.Time) (*http2.ClientConn, error) {
	conn, err := l.open(context.Background(), Client{}, deadline)
	if err != nil {
		return nil, err
	}
	scheme := "http"
	var socket any = conn
	if secure, ok := conn.(*tls.Conn); ok {
		scheme, socket = "https", secure.NetConn()
		if secure.ConnectionState().NegotiatedProtocol != "h2" {
			_ = conn.Close() // it was of no use
			return nil, &DialError{Kind: DialTLSProtocol, Address: l.address, Err: errors.New("the target did not agree on HTTP/2 (ALPN h2)")}
		}
	}
	if t, ok := socket.(interface {
		SetKeepAliveConfig(net.KeepAliveConfig) error
	}); ok { // streams may rest for hours: a target that vanished is noticed within a minute
		_ = t.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 15 * time.Second, Count: 3})
	}
	l.mux.mu.Lock()
	o := http2.ClientOptions{Scheme: scheme, Authority: l.address, IdleTimeout: l.mux.idle}
	l.mux.mu.Unlock()
	c := http2.NewClientConn(conn, o)
	go func() { _ = c.Serve() }() // its streams are told why it ended
	if err := greeted(c, deadline); err != nil {
		_ = c.Close() // it was of no use
		err.Address = l.address
		return nil, err
	}
	return c, nil
}

// greeted waits for the target's settings. Those that are there count, however late it is: a machine that has slept past the deadline finds both.
func greeted(c *http2.ClientConn, deadline time.Time) *DialError {
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	select {
	case <-c.Ready():
	case <-timer.C:
		select {
		case <-c.Ready():
		default:
			return &DialError{Kind: DialTimeout, Err: errors.New("the target did not say its HTTP/2 settings in time")}
		}
	}
	if err := c.Err(); err != nil {
		return &DialError{Kind: DialHTTP, Err: err}
	}
	return nil
}

// configure sets how long a connection without streams is kept.
func (m *mux) configure(idle time.Duration) {
	m.mu.Lock()
	m.idle = idle
	m.mu.Unlock()
}

// shut lets connections end with their streams, those that have none now.
func (m *mux) shut() {
	m.mu.Lock()
	m.closed = true
	conns := m.conns
	m.conns = nil
	m.mu.Unlock()
	for _, c := range conns {
		c.Retire()
	}
}

// size is the number of connections and of their streams.
func (m *mux) size() (conns, streams int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range m.conns {
		streams += c.Streams()
	}
	return len(m.conns), streams
}
