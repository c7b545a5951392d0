package http1_test

import (
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/valor-ivx/weir/proxy/http1"
	"github.com/valor-ivx/weir/proxy/message"
)

// await waits until the other side's kernel has all that was written to conn.
func await(t *testing.T, conn net.Conn) {
	t.Helper()
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	for under := 1; under > 0; runtime.Gosched() {
		if bad := raw.Control(func(fd uintptr) { under, err = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) }); bad != nil || err != nil {
			t.Fatal(bad, err)
		}
	}
}

// TestAnswerThatCameInTime: an answer that stands at the socket when the time for it is over counts; what does not stand there does not, and an interruption is one whatever stands there.
func TestAnswerThatCameInTime(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	up, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = up.Close() }()
	c := http1.NewClientConn(conn)
	defer func() { _ = c.Close() }()
	var resp message.Response
	read := func() error {
		if err := c.Await(time.Now().Add(-time.Hour), time.Second); err != nil {
			t.Fatal(err)
		}
		return c.ReadResponse(&resp, message.GET, false)
	}
	say := func(text string) {
		t.Helper()
		if _, err := up.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		await(t, up)
	}
	c.Begin()
	if err := read(); err != os.ErrDeadlineExceeded {
		t.Errorf("nothing is there: %v", err)
	}
	head := "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Long: " + strings.Repeat("a", 10<<10) // more than one read
	say(head)
	if err := read(); err != os.ErrDeadlineExceeded {
		t.Errorf("half a head is there: %v", err)
	}
	if err := c.StopReading(); err != nil {
		t.Fatal(err)
	}
	say("\r\n\r\nhello")
	if err := read(); err != os.ErrDeadlineExceeded {
		t.Errorf("interrupted: %v", err)
	}
	if err := c.ResumeReading(); err != nil {
		t.Fatal(err)
	}
	if err := read(); err != nil || resp.Status != 200 {
		t.Fatalf("all of it is there: status %d, %v", resp.Status, err)
	}
	if b, err := c.Body().Next(); err != nil || string(b) != "hello" {
		t.Errorf("body %q, %v", b, err)
	}
}
