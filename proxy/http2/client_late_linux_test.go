package http2_test

import (
	"io"
	"net"
	"os"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	xhttp2 "golang.org/x/net/http2"
	"golang.org/x/sys/unix"

	"github.com/valor-ivx/weir/proxy/http2"
	"github.com/valor-ivx/weir/proxy/message"
)

// behind is a connection whose reader can be held: what comes stands at the socket meanwhile, as while a process stands still.
type behind struct {
	*net.TCPConn
	held, kept, ended atomic.Bool
}

// NetConn is where the kernel is asked.
func (b *behind) NetConn() net.Conn { return b.TCPConn }

func (b *behind) standing() (n int) {
	raw, err := b.SyscallConn()
	if err == nil {
		_ = raw.Control(func(fd uintptr) { n, _ = unix.IoctlGetInt(int(fd), unix.SIOCINQ) })
	}
	return n
}

func (b *behind) Read(p []byte) (int, error) {
	for b.standing() == 0 || b.held.Load() { // in this order: what comes while it is held is not read
		if b.ended.Load() {
			return 0, os.ErrDeadlineExceeded
		}
		runtime.Gosched()
	}
	n, err := b.TCPConn.Read(p)
	for b.kept.Load() { // not at the socket any more, and not acted on yet
		runtime.Gosched()
	}
	return n, err
}

func (b *behind) SetReadDeadline(time.Time) error {
	b.ended.Store(true)
	return nil
}

// TestAnswerThatCameInTime: an answer that stands at the socket when the time for it is over counts, though nobody has read it yet.
func TestAnswerThatCameInTime(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	go func() { // ends with the connection
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		if _, err := io.ReadFull(conn, make([]byte, len(xhttp2.ClientPreface))); err != nil {
			return
		}
		f := xhttp2.NewFramer(conn, conn)
		_ = f.WriteSettings()
		for {
			frame, err := f.ReadFrame()
			if err != nil {
				return
			}
			if h, ok := frame.(*xhttp2.HeadersFrame); ok { // 0x88: :status 200, RFC 7541 appendix A
				_ = f.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: h.StreamID, BlockFragment: []byte{0x88}, EndHeaders: true, EndStream: true})
			}
		}
	}()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	b := &behind{TCPConn: conn.(*net.TCPConn)}
	c := http2.NewClientConn(b, http2.ClientOptions{Scheme: "http", Authority: "a"})
	served := make(chan error, 1)
	go func() { served <- c.Serve() }()
	<-c.Ready()
	s := c.Open()
	for range 2 { // nothing comes without a request: the time is over, and over
		_ = s.Await(time.Time{}, time.Nanosecond)
		if err := s.ReadResponse(&message.Response{}, message.GET, false); err != os.ErrDeadlineExceeded {
			t.Fatalf("without a request: %v", err)
		}
	}
	b.held.Store(true)
	for b.standing() > 0 { // the rest of the greeting is not the answer
		b.held.Store(false)
		runtime.Gosched()
		b.held.Store(true)
	}
	s.WriteHead(&message.Request{Method: message.GET}, []byte("/"), nil)
	s.Finish(nil)
	for b.standing() == 0 {
		runtime.Gosched()
	}
	_ = s.Await(time.Time{}, time.Nanosecond)
	b.kept.Store(true)
	time.AfterFunc(50*time.Millisecond, func() { b.held.Store(false) }) // long after the time is over
	time.AfterFunc(100*time.Millisecond, func() { b.kept.Store(false) })
	var resp message.Response
	if err := s.ReadResponse(&resp, message.GET, false); err != nil || resp.Status != 200 {
		t.Errorf("status %d, %v", resp.Status, err)
	}
	s.Release(false)
	c.Retire()
	<-served
}
