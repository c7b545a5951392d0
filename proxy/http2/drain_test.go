package http2_test

import (
	"net"
	"testing"
	"time"

	xhttp2 "golang.org/x/net/http2"

	"github.com/valor-ivx/weir/proxy/http2"
)

// slowly is a connection whose writes wait to be let through while it is held.
type slowly struct {
	net.Conn
	entered, through chan struct{}
	held             chan bool     // one value: whether it is
	deadline         chan struct{} // a write deadline was set while it was held
}

func (s *slowly) isHeld() bool {
	h := <-s.held
	s.held <- h
	return h
}

func (s *slowly) hold() { <-s.held; s.held <- true }

func (s *slowly) Write(b []byte) (int, error) {
	if s.isHeld() {
		s.entered <- struct{}{}
		<-s.through
	}
	return s.Conn.Write(b)
}

func (s *slowly) SetWriteDeadline(t time.Time) error {
	if s.isHeld() {
		s.deadline <- struct{}{}
	}
	return s.Conn.SetWriteDeadline(t)
}

func (s *slowly) CloseWrite() error { return s.Conn.(*net.TCPConn).CloseWrite() }

// TestDrainSendsTheRest: the answer that ends a drained connection arrives even if it was put behind the last of a busy writer's rounds, and was left to a goroutine.
func TestDrainSendsTheRest(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	release, answered := make(chan struct{}), make(chan struct{})
	s := &slowly{entered: make(chan struct{}), through: make(chan struct{}), held: make(chan bool, 1), deadline: make(chan struct{}, 1)}
	s.held <- false
	served, ended := make(chan *http2.Conn, 1), make(chan error, 1)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			ended <- err
			return
		}
		s.Conn = conn
		c := http2.New(s, &http2.Options{WriteTimeout: time.Hour, DrainGrace: time.Hour, Counters: new(http2.Counters)}, func(s *http2.Stream) {
			<-release
			small(s)
			answered <- struct{}{}
		})
		served <- c
		ended <- c.Serve(nil)
	}()
	r := dial(t, &server{t: t, listener: l})
	const streams = 5 // one more than a writer's rounds
	for i := range uint32(streams) {
		r.headers(2*i+1, true, get...)
	}
	r.barrier()
	(<-served).Drain()
	r.farewell()
	s.hold()
	for i := range streams {
		release <- struct{}{}
		<-answered
		switch i {
		case 0:
			<-s.entered
		case streams - 1:
			<-s.deadline // the reader has stopped
			s.through <- struct{}{}
		default:
			s.through <- struct{}{}
			<-s.entered
		}
	}
	go func() {
		<-s.entered // the goroutine's write
		s.through <- struct{}{}
	}()
	for range streams {
		r.next(func(f xhttp2.Frame) bool { d, ok := f.(*xhttp2.DataFrame); return ok && d.StreamEnded() })
	}
	_ = r.conn.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
