//go:build !linux

package server

import "golang.org/x/sys/unix"

const dontWait = unix.MSG_DONTWAIT

// packetPair is Linux's: elsewhere a weir that serves HTTP/3 cannot be upgraded.
func packetPair() ([2]int, error) { return [2]int{}, unix.ENOTSUP }
