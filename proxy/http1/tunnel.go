package http1

import (
	"io"
	"net"
)

// Tunnel joins a client and an upstream that have switched protocols (RFC 9110 §7.8): bytes that either side sent early first, then everything,
// until both directions have ended. An end in one direction is passed on as a half-close. It returns the bytes moved each way.
func Tunnel(client *ServerConn, up *ClientConn) (toUpstream, toClient int64) {
	done := make(chan int64, 1)
	// Owner: this call, which waits for it below. It ends when the client's direction does, at the latest when the connections are closed.
	go func() { done <- pour(up.conn, &client.in) }()
	toClient = pour(client.conn, &up.in)
	toUpstream = <-done
	return toUpstream, toClient
}

// pour copies until the source ends; io.Copy splices when both are plain sockets.
func pour(dst net.Conn, src *input) (n int64) {
	if early := src.buffered(); len(early) > 0 {
		w, err := dst.Write(early)
		n = int64(w)
		src.r = src.w
		if err != nil {
			shut(dst, src.conn)
			return n
		}
	}
	m, err := io.Copy(dst, src.conn)
	if err != nil {
		shut(dst, src.conn)
		return n + m
	}
	if half, ok := dst.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite() // a peer that is gone already needs no half-close
	}
	return n + m
}

// shut ends a tunnel that broke: the other direction must not wait for bytes that nobody can deliver.
func shut(a, b net.Conn) {
	_ = a.Close()
	_ = b.Close()
}
