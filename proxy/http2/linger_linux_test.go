package http2_test

import (
	"net"
	"syscall"
	"testing"
	"time"

	xhttp2 "golang.org/x/net/http2"
	"golang.org/x/sys/unix"

	"github.com/valor-ivx/weir/proxy/http2"
)

// patiently is a socket that tells of every read deadline in the future, once when the lingering begins and whenever it is prolonged, and waits with it until it is let go on.
type patiently struct {
	*net.TCPConn
	renewed, on chan struct{}
}

func (p patiently) NetConn() net.Conn { return p.TCPConn }

func (p patiently) SetReadDeadline(t time.Time) error {
	if t.Unix() > 1 {
		p.renewed <- struct{}{}
		<-p.on
	}
	return p.TCPConn.SetReadDeadline(t)
}

// TestDrainWaitsForSlowReader: a client that takes its last answer off the kernel, more slowly than we handed it over, has the connection for as long as that goes on: its WINDOW_UPDATEs reset nothing.
func TestDrainWaitsForSlowReader(t *testing.T) {
	const size = 120 << 10 // fits our kernel's buffer, not the client's
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	served, ended, renewed := make(chan *http2.Conn, 1), make(chan error, 1), make(chan struct{}, 100)
	release, on := make(chan struct{}), make(chan struct{})
	go func() {
		conn, err := l.Accept()
		if err != nil {
			ended <- err
			return
		}
		tcp := conn.(*net.TCPConn)
		if err := tcp.SetWriteBuffer(2 * size); err != nil {
			t.Error(err)
		}
		c := http2.New(patiently{tcp, renewed, on}, &http2.Options{DrainGrace: time.Hour}, func(s *http2.Stream) {
			<-release
			large(size)(s)
		})
		served <- c
		ended <- c.Serve(nil)
	}()
	r := dialNarrow(t, l.Addr().String())
	r.write([]byte(http2.Preface))
	r.check(r.fr.WriteSettings(xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: 1 << 20}))
	r.check(r.fr.WriteSettingsAck())
	r.check(r.fr.WriteWindowUpdate(0, 1<<20))
	r.headers(1, true, get...)
	r.barrier()
	(<-served).Drain()
	r.farewell()
	close(release)
	<-renewed // all of the answer is in the kernel, and our side is shut
	got := 0
	take := func(enough int) {
		t.Helper()
		r.next(func(f xhttp2.Frame) bool {
			if d, ok := f.(*xhttp2.DataFrame); ok {
				got += len(d.Data())
			}
			return got >= enough
		})
	}
	take(size / 3)
	close(on)
	select {
	case <-renewed:
	case err := <-ended:
		t.Fatalf("closed on a client that has %d bytes to take: %v", size-got, err)
	}
	for range 2 { // what is said to a closed socket is answered by a reset
		r.check(r.fr.WriteWindowUpdate(0, 1000))
	}
	take(size)
	_ = r.conn.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// dialNarrow is dialSilent with little room for what the client does not read, and segments of an Ethernet's size: the loopback's are as large as that room, and a sender waits for
// room for a whole one.
func dialNarrow(t *testing.T, address string) *raw {
	t.Helper()
	d := net.Dialer{Control: func(_, _ string, c syscall.RawConn) (err error) {
		_ = c.Control(func(fd uintptr) {
			if err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 32<<10); err == nil {
				err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_MAXSEG, 1400)
			}
		})
		return err
	}}
	conn, err := d.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return rawOn(t, conn)
}
