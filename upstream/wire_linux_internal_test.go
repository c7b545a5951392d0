package upstream

import (
	"crypto/tls"
	"io"
	"net"
	"net/http/httptest"
	"os"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/valor-ivx/weir/proxy/http1"
	"github.com/valor-ivx/weir/proxy/message"
)

// TestSecureAnswerThatCameInTime: an answer that stands at the socket when the time for it is over counts, in TLS too.
func TestSecureAnswerThatCameInTime(t *testing.T) {
	pair := httptest.NewTLSServer(nil)
	defer pair.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	socket, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	below, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	up := tls.Server(below, &tls.Config{Certificates: pair.TLS.Certificates, SessionTicketsDisabled: true})
	defer func() { _ = up.Close() }()
	shaken := make(chan error, 1)
	go func() { shaken <- up.Handshake() }()
	w, err := newWire(socket.(*net.TCPConn))
	if err != nil {
		t.Fatal(err)
	}
	secure := tls.Client(w, &tls.Config{InsecureSkipVerify: true})
	if err := secure.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := <-shaken; err != nil {
		t.Fatal(err)
	}
	c := http1.NewClientConn(secure)
	defer func() { _ = c.Close() }()
	c.Begin()
	var resp message.Response
	read := func() error {
		if err := c.Await(time.Now().Add(-time.Hour), time.Second); err != nil {
			t.Fatal(err)
		}
		return c.ReadResponse(&resp, message.GET, false)
	}
	if err := read(); err != os.ErrDeadlineExceeded {
		t.Errorf("nothing is there: %v", err)
	}
	if _, err := io.WriteString(up, "HTTP/1.1 204 No Content\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	raw, err := below.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	for under := 1; under > 0; runtime.Gosched() { // until it stands at the other side's socket
		if err := raw.Control(func(fd uintptr) { under, _ = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) }); err != nil {
			t.Fatal(err)
		}
	}
	if err := read(); err != nil || resp.Status != 204 {
		t.Errorf("status %d, %v", resp.Status, err)
	}
}
