package http2

import (
	"net"

	"golang.org/x/sys/unix"
)

// untaken is how many bytes the kernel holds that the other side has not acknowledged (tcp(7), SIOCOUTQ), 0 also where nobody knows.
func untaken(conn net.Conn) (n int) {
	for {
		over, ok := conn.(interface{ NetConn() net.Conn })
		if !ok {
			break
		}
		conn = over.NetConn()
	}
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return 0
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return 0
	}
	if err = raw.Control(func(fd uintptr) { n, err = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) }); err != nil {
		return 0
	}
	return n
}
