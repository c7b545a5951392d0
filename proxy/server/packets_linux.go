package server

import "golang.org/x/sys/unix"

const dontWait = unix.MSG_DONTWAIT | unix.MSG_NOSIGNAL

// packetPair is two connected sockets that keep packets apart, and tell of each other's end.
func packetPair() ([2]int, error) {
	return unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
}
