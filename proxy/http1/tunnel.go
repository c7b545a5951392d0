package http1

import (
	"io"
	"net"
)

// Tunnel joins a client and an upstream that have switched protocols (RFC 9110 §7.8): bytes that either side sent early first, then everything,
// until both directions have ended. An end in one direction is passed on as a half-close. When one side breaks, what it had said before still reaches the other (RFC 9110
// §9.3.6), which then hears an end. It returns the bytes moved each way; closing is the callers'.
func Tunnel(client *ServerConn, up *ClientConn) (toUpstream, toClient int64) {
	done := make(chan int64, 1)
	// Owner: this call, which waits for it below. It ends when the client's direction does, at the latest when the connections are closed.
	go func() { done <- pour(up.conn, &client.in) }()
	toClient = pour(client.conn, &up.in)
	toUpstream = <-done
	return toUpstream, toClient
}

// pour moves what src says to dst until either has ended.
func pour(dst net.Conn, src *input) (n int64) {
	early := src.buffered()
	src.r = src.w
	taken, err := deliver(dst, early)
	for n = taken; err == nil; n += taken {
		taken, err = src.pass(dst)
	}
	if _, deaf := err.(undelivered); deaf {
		return n // dst is no more. The other direction reads what it has left to say, and comes to its end by itself: nothing is closed here that it may need for that
	}
	if half, ok := dst.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite() // a peer that is gone already needs no half-close
	}
	if err != io.EOF {
		_ = dst.SetReadDeadline(past()) // src is no more: what dst says would reach nobody, so the other direction is not to wait for it
	}
	return n
}

// undelivered is a failure of who was written to.
type undelivered struct{ error }

func deliver(dst net.Conn, b []byte) (int64, error) {
	if len(b) == 0 {
		return 0, nil
	}
	n, err := dst.Write(b)
	if err != nil {
		err = undelivered{err}
	}
	return int64(n), err
}

// pass moves once what there is, after waiting for it. On plain TCP the wait holds no block, and what is long stays in the kernel. An error that is not undelivered is the source's. The source's
// own block is left alone: a head lies in it that is still wanted for the log.
func (in *input) pass(dst net.Conn) (int64, error) {
	block := borrowLarge
	if in.raw != nil {
		n, err := in.available()
		switch tcp, plain := dst.(*net.TCPConn); {
		case err != nil:
			return 0, err
		case n == 0:
			return 0, io.EOF
		case n <= smallBlock:
			block = borrowSmall
		case plain: // never more than what stands there: then it cannot be the source that fails
			moved, err := tcp.ReadFrom(&io.LimitedReader{R: in.conn, N: min(int64(n), spliceMost)})
			if err != nil {
				err = undelivered{err}
			}
			return moved, err
		}
	}
	b := block()
	defer giveBack(b)
	n, err := in.conn.Read(b)
	if n > 0 {
		return deliver(dst, b[:n]) // an error beside it shows again
	}
	return 0, err
}
