package websocket

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// The status codes of a proxy that ends a WebSocket (RFC 6455 §7.4.1, and IANA's registry): a client that is told either comes again.
const (
	GoingAway      = 1001 // for good
	ServiceRestart = 1012 // another process serves already
)

// Farewell is how long a client that was told to go may say nothing, and how long the upstream may take for its part once the client has answered.
const Farewell = 5 * time.Second

// Client is the side that is told to go.
type Client interface {
	io.Writer
	// StopReading ends the wait for what the client says, and every later one.
	StopReading() error
}

// Socket is a WebSocket between a client and an upstream that may be asked to part. Then the client gets a close frame where a message of the upstream's has ended, and after it nothing; what the client
// still says goes to the upstream, up to its own close frame, which closes there what ours has closed here (RFC 6455 §5.5.1, §7.1.2). A side that closes by itself is not talked into.
type Socket struct {
	client   Client
	upstream net.Conn

	up       frames                     // of the client: its direction's own
	answered bool                       // the client's close frame has been seen: its direction's own
	settled  atomic.Bool                // a close frame has been said, by the client or by us: whichever sets it
	farewell atomic.Pointer[time.Timer] // runs while the client is given time to answer. Set once, by part

	mu   sync.Mutex // guards the rest; held while the client is written to, so that nothing comes between the pieces of a frame
	down frames     // of the upstream
	code uint16     // of the close frame that is wished; 0: none is
	said bool       // the client has it
	over bool       // set by End
}

// New is a WebSocket whose ends have just agreed on it.
func New(client Client, upstream net.Conn) *Socket {
	return &Socket{client: client, upstream: upstream}
}

// Part wishes that the WebSocket ends with that code. It may wait for as long as the client takes nothing.
func (s *Socket) Part(code uint16) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.code = code
	_ = s.part() // a client that cannot be written to is found by who reads from it
}

// Parted reports whether the client was told to go.
func (s *Socket) Parted() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.said
}

// End says that both directions have ended: from now on neither side is touched.
func (s *Socket) End() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	if t := s.farewell.Load(); t != nil {
		t.Stop()
	}
}

// part says the close frame, if one is wished and this is the place. mu is held.
func (s *Socket) part() error {
	if s.code == 0 || s.said || s.over || !s.down.whole() {
		return nil
	}
	if !s.settled.CompareAndSwap(false, true) { // the client has closed, and hears the upstream's answer to that
		s.code = 0
		return nil
	}
	s.said = true
	_, err := s.client.Write(closeFrame(s.code))
	s.farewell.Store(time.AfterFunc(Farewell, s.giveUp))
	return err
}

func (s *Socket) giveUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.over {
		_ = s.client.StopReading() // fails on a closed connection, where nobody waits
	}
}

// heard acts on what the client has said last, before the upstream hears it: whoever sees that answered can tell who was first.
func (s *Socket) heard() {
	if t := s.farewell.Load(); t != nil {
		t.Reset(Farewell)
	}
	if s.answered || !s.up.closed {
		return
	}
	s.answered = true
	if !s.settled.CompareAndSwap(false, true) { // ours came first
		_ = s.upstream.SetReadDeadline(time.Now().Add(Farewell))
	}
}

// closeFrame is one as servers send it, not masked: with a status code and without a reason.
func closeFrame(code uint16) []byte { return []byte{0x88, 2, byte(code >> 8), byte(code)} }

// ToClient is the direction from the upstream to the client. One goroutine uses it.
type ToClient struct{ *Socket }

// Deliver takes in b and hands the client what it is still to get of it. io.EOF: the upstream has closed too, and what it says is wanted no more. Any other error is the client's.
func (s ToClient) Deliver(b []byte) (n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(b) > 0 && err == nil {
		k := len(b)
		if s.code == 0 {
			s.down.pass(b)
		} else {
			k = s.down.next(b)
		}
		if !s.said {
			var taken int
			taken, err = s.client.Write(b[:k])
			n += taken
		}
		if err == nil {
			err = s.part()
		}
		b = b[k:]
	}
	if err == nil && s.said && s.down.closed {
		err = io.EOF
	}
	return n, err
}

// Inside is how many of the bytes that come next are payload, which the client may be given past Deliver. Skip must follow.
func (s ToClient) Inside() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.said {
		return 0
	}
	return s.down.left // until they have passed, nothing can be said between them
}

// Skip takes in n bytes that passed so. Its error is Deliver's.
func (s ToClient) Skip(n uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down.skip(n)
	return s.part()
}

// ToUpstream is the other direction, with the same methods. One goroutine uses it.
type ToUpstream struct{ *Socket }

// Deliver hands b to the upstream. Its error is the upstream's.
func (s ToUpstream) Deliver(b []byte) (int, error) {
	s.up.pass(b)
	s.heard()
	return s.upstream.Write(b)
}

// Inside is how many of the bytes that come next are payload, which the upstream may be given past Deliver. Skip must follow.
func (s ToUpstream) Inside() uint64 { return s.up.left }

// Skip takes in n bytes that passed so.
func (s ToUpstream) Skip(n uint64) error {
	s.up.skip(n)
	s.heard()
	return nil
}
