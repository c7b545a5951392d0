package http3

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
)

// Handler answers one request. It runs on a goroutine of its own, which ends with it; the stream is not used afterwards.
type Handler func(*Stream)

// Conn is one client's connection: a resource, owned by the goroutine that calls Serve. Streams run on goroutines that it starts, one each, and waits for.
type Conn struct {
	quic    *quic.Conn
	o       Options
	handler Handler
	work    sync.WaitGroup

	// mu guards what follows; it is held for memory operations and for queueing a control frame, which does not wait.
	mu      sync.Mutex
	control *quic.SendStream // ours; nil until Serve has opened it
	live    map[quic.StreamID]*Stream
	next    quic.StreamID // the lowest that has not come
	rested  time.Time     // when the last request ended
	idle    *time.Timer   // closes a connection without requests
	drain   drain
	kinds   [streamDecoder + 1]bool // one-way streams of the client that have come
}

// New readies a connection, whose handshake may still run.
func New(conn *quic.Conn, o *Options, handler Handler) *Conn {
	return &Conn{quic: conn, o: o.withDefaults(), handler: handler, live: map[quic.StreamID]*Stream{}}
}

// Serve answers requests until the connection ends, and waits for the handlers. Its error says what the client did wrong, nil for nothing.
func (c *Conn) Serve() error {
	if err := c.greet(); err != nil {
		return err
	}
	c.work.Go(c.acceptControl)
	var err error
	for {
		var q *quic.Stream
		if q, err = c.quic.AcceptStream(context.Background()); err != nil { // ends with the connection
			break
		}
		if c.admit(q) {
			c.work.Go(func() { c.serve(q) })
		}
	}
	c.mu.Lock()
	c.idle.Stop()
	c.drain.stop()
	c.mu.Unlock()
	c.work.Wait()
	var gone *GoneError
	if errors.As(translate(err), &gone) && (gone.Code == NoError || gone.Code == 0) {
		return nil
	}
	return translate(err)
}

// Close ends the connection at once, with all its requests.
func (c *Conn) Close() {
	_ = c.quic.CloseWithError(quic.ApplicationErrorCode(NoError), "") // that it has ended already is no news
}

// fail closes the connection for what the client did.
func (c *Conn) fail(fault *connError) {
	if fault.code == ExcessiveLoad {
		c.o.Counters.Floods.Add(1)
	} else {
		c.o.Counters.Faults.Add(1)
	}
	_ = c.quic.CloseWithError(quic.ApplicationErrorCode(fault.code), fault.text)
}

// greet opens our control stream with our SETTINGS (RFC 9114 §6.2.1): the limit on heads; no dynamic table, which is the default.
func (c *Conn) greet() error {
	control, err := c.quic.OpenUniStream()
	if err != nil {
		c.Close()
		return translate(err)
	}
	settings := appendVarint(appendVarint(nil, settingMaxFieldSection), uint64(c.o.Limits.Head))
	b := append([]byte{streamControl, frameSettings, byte(len(settings))}, settings...)
	if err := control.TryWriteAll(b); err != nil { // a client whose window has no room for that does not want to be served
		c.Close()
		return translate(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.control = control
	c.idle = time.AfterFunc(c.o.IdleTimeout, c.Drain)
	if c.drain.begun {
		c.sayEnd()
	}
	return nil
}

// admit takes a request in, or turns it away because the last GOAWAY has been said (RFC 9114 §5.2).
func (c *Conn) admit(q *quic.Stream) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.drain.last {
		c.o.Counters.Rejected.Add(1)
		q.CancelRead(quic.StreamErrorCode(RequestRejected))
		q.CancelWrite(quic.StreamErrorCode(RequestRejected))
		return false
	}
	c.idle.Stop()
	c.next = q.StreamID() + 4
	c.live[q.StreamID()] = nil
	return true
}

// finished lets go of a stream.
func (c *Conn) finished(s *Stream) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.live, s.quic.StreamID())
	if len(c.live) > 0 {
		return
	}
	c.rested = time.Now()
	if c.drain.last {
		c.leave()
	} else {
		c.idle.Reset(c.o.IdleTimeout)
	}
}

// early reports that the handshake has not ended, so that what the client said may be a replay.
func (c *Conn) early() bool {
	select {
	case <-c.quic.HandshakeComplete():
		return false
	default:
		return true
	}
}
