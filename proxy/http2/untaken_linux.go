package http2

import (
	"net"

	"golang.org/x/sys/unix"
)

// untaken is how many bytes the kernel holds that the other side has not acknowledged (tcp(7), SIOCOUTQ), 0 also where nobody knows.
func untaken(conn net.Conn) int { return standing(conn, unix.SIOCOUTQ) }

// unread is how many bytes the kernel holds that have come and that nobody has read (SIOCINQ), 0 also where nobody knows.
func unread(conn net.Conn) int { return standing(conn, unix.SIOCINQ) }

func standing(conn net.Conn, what uint) (n int) {
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
	if err = raw.Control(func(fd uintptr) { n, err = unix.IoctlGetInt(int(fd), what) }); err != nil {
		return 0
	}
	return n
}
