//go:build !linux

package http2

import "net"

// untaken is unknown here: a client is given lingerTime, whatever it has left to take.
func untaken(net.Conn) int { return 0 }

// unread is unknown here: an answer that comes while the process stands still has a moment.
func unread(net.Conn) int { return 0 }
