package http1

import (
	"errors"
	"io"
	"math"
	"net"
	"os"

	"github.com/valor-ivx/weir/proxy/websocket"
)

// Tunnel joins a client and an upstream that have switched protocols (RFC 9110 §7.8): bytes that either side sent early first, then everything,
// until both directions have ended. An end in one direction is passed on as a half-close. When one side breaks, what it had said before still reaches the other (RFC 9110
// §9.3.6), which then hears an end. socket is what they have switched to; nil: something else. It returns the bytes moved each way; closing is the callers'.
func Tunnel(client *ServerConn, up *ClientConn, socket *websocket.Socket) (toUpstream, toClient int64) {
	var there, back way = direct{up.conn}, direct{client.conn}
	if socket != nil {
		there, back = websocket.ToUpstream{Socket: socket}, websocket.ToClient{Socket: socket}
	}
	done := make(chan int64, 1)
	// Owner: this call, which waits for it below. It ends when the client's direction does, at the latest when the connections are closed.
	go func() { done <- pour(there, up.conn, &client.in) }()
	toClient = pour(back, client.conn, &up.in)
	toUpstream = <-done
	return toUpstream, toClient
}

// way is how one direction reaches who is written to. What its methods promise is written at websocket.ToClient.
type way interface {
	Deliver(b []byte) (int, error)
	Inside() uint64
	Skip(n uint64) error
}

// direct is a way without anything on it.
type direct struct{ net.Conn }

// Deliver implements way.
func (d direct) Deliver(b []byte) (int, error) { return d.Write(b) }

// Inside implements way.
func (d direct) Inside() uint64 { return math.MaxUint64 }

// Skip implements way.
func (d direct) Skip(uint64) error { return nil }

// pour moves what src says to dst until either has ended.
func pour(w way, dst net.Conn, src *input) (n int64) {
	early := src.buffered()
	src.r = src.w
	taken, err := deliver(w, early)
	for n = taken; err == nil; n += taken {
		taken, err = src.pass(w, dst)
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

func deliver(w way, b []byte) (int64, error) {
	if len(b) == 0 {
		return 0, nil
	}
	n, err := w.Deliver(b)
	if err != nil && err != io.EOF {
		err = undelivered{err}
	}
	return int64(n), err
}

// pass moves once what there is, after waiting for it. On plain TCP the wait holds no block, and what is long stays in the kernel. An error that is not undelivered is the source's. The source's
// own block is left alone: a head lies in it that is still wanted for the log.
func (in *input) pass(w way, dst net.Conn) (int64, error) {
	block := borrowLarge
	if in.raw != nil {
		n, err := in.available()
		switch {
		case err != nil:
			return 0, err
		case n == 0:
			return 0, io.EOF
		case n <= smallBlock:
			block = borrowSmall
		default:
			// Never more than what stands there: then it cannot be the source that fails.
			tcp, plain := dst.(*net.TCPConn)
			if most := min(uint64(n), w.Inside(), spliceMost); plain && most > smallBlock {
				return in.move(w, tcp, int64(most))
			}
		}
	}
	b := block()
	defer giveBack(b)
	n, err := in.conn.Read(b)
	if n > 0 {
		return deliver(w, b[:n]) // an error beside it shows again
	}
	return 0, err
}

// move passes n bytes on inside the kernel.
func (in *input) move(w way, dst *net.TCPConn, n int64) (int64, error) {
	moved, err := dst.ReadFrom(&io.LimitedReader{R: in.conn, N: n})
	if skipped := w.Skip(uint64(moved)); err == nil {
		err = skipped
	}
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) { // a tunnel's writes have no deadline: that one is the source's, who is listened to no more
		err = undelivered{err}
	}
	return moved, err
}
