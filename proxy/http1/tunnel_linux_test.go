package http1_test

import (
	"io"
	"net"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/valor-ivx/weir/proxy/http1"
)

// telling is a socket that tells of the first write that fails.
type telling struct {
	*net.TCPConn
	failed chan struct{}
}

func (c telling) Write(b []byte) (int, error) {
	n, err := c.TCPConn.Write(b)
	if err != nil {
		close(c.failed)
	}
	return n, err
}

// narrow is a pair of sockets of which the far one has little room for what it does not read, and segments of an Ethernet's size: the loopback's are as large as that room, and a sender waits for
// room for a whole one.
func narrow(t *testing.T) (near, far *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	d := net.Dialer{Control: func(_, _ string, c syscall.RawConn) (err error) {
		_ = c.Control(func(fd uintptr) {
			if err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 8<<10); err == nil {
				err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_MAXSEG, 1400)
			}
		})
		return err
	}}
	conn, err := d.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	accepted, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = accepted.Close() })
	return accepted.(*net.TCPConn), conn.(*net.TCPConn)
}

// TestTunnelDeliversLastWords: an upstream that says its last and closes, while its client goes on talking, is heard to its end by a client that has not read it yet (RFC 9110 §9.3.6).
func TestTunnelDeliversLastWords(t *testing.T) {
	words := strings.Repeat("last words ", 12_000) // more than what moves takes along, and less than any kernel lets stand at a socket
	near, client := narrow(t)
	upNear, up := pair(t)
	for _, err := range []error{near.SetWriteBuffer(8 << 10), upNear.SetReadBuffer(1 << 20), client.SetDeadline(time.Now().Add(20 * time.Second))} {
		if err != nil {
			t.Fatal(err)
		}
	}
	told := telling{upNear, make(chan struct{})}
	s, u := http1.NewServerConn(near, &http1.ServerOptions{Limits: http1.DefaultLimits()}), http1.NewClientConn(told)
	_, resp := ask(t, client, up, s, u, "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n", "HTTP/1.1 101 Switching Protocols\r\n\r\n")
	s.WriteHead(resp, nil, false)
	s.Flush()
	if _, err := io.ReadFull(up, make([]byte, len(get))); err != nil { // nothing unread is left there: its close is no reset
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); http1.Tunnel(s, u, nil); _ = s.Close(); _ = u.Close() }()
	if _, err := io.WriteString(up, words); err != nil {
		t.Fatal(err)
	}
	raw, err := up.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	for left := 1; left > 0; runtime.Gosched() { // until all of it stands at our side
		if time.Since(begin) > 20*time.Second {
			t.Fatalf("%d bytes do not fit", left)
		}
		if err := raw.Control(func(fd uintptr) { left, err = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) }); err != nil {
			t.Fatal(err)
		}
	}
	_ = up.Close()
	for failed := false; !failed; {
		if _, err := client.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		select {
		case <-told.failed:
			failed = true
		default:
			runtime.Gosched()
		}
	}
	got, err := io.ReadAll(client)
	if h, rest, _ := strings.Cut(string(got), "\r\n\r\n"); err != nil || rest != words || !strings.HasPrefix(h, "HTTP/1.1 101 ") {
		t.Errorf("%d bytes of %d, %v", len(rest), len(words), err)
	}
	_ = client.Close()
	<-done
}
