package server

import (
	"errors"
	"net"
	"os"
	"sync"
	"time"
)

// pausing is a listener that can stop accepting for a while, without closing: what comes meanwhile waits in the socket's queue, for this process or for another one that has the socket too. The goroutine that
// accepts and those that pause and resume it share it; whoever serves it closes it.
type pausing struct {
	net.Listener // a *net.TCPListener or *net.UnixListener: it has deadlines

	mu     sync.Mutex // guards what follows
	change *sync.Cond // of any of it
	paused bool
	parked bool // the accepting goroutine waits for resume
	closed bool
}

func newPausing(l net.Listener) *pausing {
	p := &pausing{Listener: l}
	p.change = sync.NewCond(&p.mu)
	return p
}

// Accept implements net.Listener.
func (p *pausing) Accept() (net.Conn, error) {
	for {
		p.park()
		c, err := p.Listener.Accept()
		if err != nil && errors.Is(err, os.ErrDeadlineExceeded) {
			continue // only pause sets a deadline
		}
		return c, err
	}
}

func (p *pausing) park() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.paused && !p.closed {
		p.parked = true
		p.change.Broadcast()
		p.change.Wait()
	}
	p.parked = false
}

// pause returns when nothing is accepted any more. The listener must be being served.
func (p *pausing) pause() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.paused = true
	p.until(time.Unix(1, 0)) // long ago: an Accept that waits is over
	for !p.parked && !p.closed {
		p.change.Wait()
	}
}

// resume lets it accept again.
func (p *pausing) resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.paused = false
	p.until(time.Time{})
	p.change.Broadcast()
}

func (p *pausing) until(t time.Time) {
	if d, ok := p.Listener.(interface{ SetDeadline(time.Time) error }); ok {
		_ = d.SetDeadline(t) // fails when it is closed, and then there is nothing to accept
	}
}

// Close implements net.Listener.
func (p *pausing) Close() error {
	p.mu.Lock()
	p.closed = true
	p.change.Broadcast()
	p.mu.Unlock()
	return p.Listener.Close()
}
