//go:build !linux

package admin

import "net"

// unixPeer cannot name the user here: the calls differ by system, and Linux is where Weir is deployed.
func unixPeer(*net.UnixConn) string { return "unix" }
