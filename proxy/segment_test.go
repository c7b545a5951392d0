package proxy_test

import (
	"context"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// ethernet gives a socket segments of an Ethernet's size. The loopback's are 64 KiB, as large as a receiver's whole window before it has shown that it keeps up, and a kernel that has a whole segment to
// send waits for room for it: once the other side has let its window fill, what remains goes out in probes, of which each comes twice as late as the one before. They took more than two seconds to bring
// what was lying ready, and a test of who was slow blamed the wrong one.
func ethernet(_, _ string, c syscall.RawConn) (err error) {
	if failed := c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_MAXSEG, 1460) }); failed != nil {
		return failed
	}
	return err
}

func dialTCP(address string) (net.Conn, error) {
	d := net.Dialer{Control: ethernet}
	return d.Dial("tcp", address)
}

func listenTCP() (net.Listener, error) {
	c := net.ListenConfig{Control: ethernet}
	return c.Listen(context.Background(), "tcp", "127.0.0.1:0")
}
