package http1

import (
	"net"
	"time"
)

// recordTime is how long a look behind TLS waits for the rest of a record whose beginning stands at the socket.
const recordTime = 10 * time.Millisecond

// gone reports whether the peer has ended its side or the connection broke, as far as that can be known without waiting for it; behind TLS up to recordTime for
// a record that is arriving. Bytes that come on the way are kept for the next read. Behind TLS a close_notify stands before the socket's end, so
// the socket shows something to read where it means an end: the record must be opened.
func (in *input) gone() bool {
	if in.raw != nil || in.conn == nil {
		return in.ended()
	}
	switch n, failed := in.peekBeneath(); {
	case failed || n == 0:
		return in.r == in.w
	case n < 0:
		return false
	}
	if in.r < in.w && !in.spare() {
		return false // pipelined requests fill the buffer: somebody is there
	}
	in.alarm.at = time.Time{}
	if in.conn.SetReadDeadline(time.Now().Add(recordTime)) != nil {
		return true
	}
	err := in.fill()
	if in.conn.SetReadDeadline(time.Time{}) != nil {
		return true
	}
	return err != nil && !timedOut(err) && err != errFull && in.r == in.w
}

// peekBeneath is peek for who wants to know, also behind TLS, of whatever stands at the socket, be it a record that says nothing.
func (in *input) peekBeneath() (n int, failed bool) {
	if in.raw != nil || in.conn == nil {
		return in.peek()
	}
	var beneath input
	beneath.init(socketOf(in.conn))
	return beneath.peek()
}

// socketOf is what a connection is made of beneath everything.
func socketOf(conn net.Conn) net.Conn {
	for {
		over, ok := conn.(interface{ NetConn() net.Conn })
		if !ok {
			return conn
		}
		conn = over.NetConn()
	}
}

// spare reports room for a read.
func (in *input) spare() bool { return in.w < len(in.buf) }

func timedOut(err error) bool {
	timeout, ok := err.(net.Error) // crypto/tls hands the socket's own error on
	return ok && timeout.Timeout()
}
