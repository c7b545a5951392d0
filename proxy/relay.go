package proxy

import (
	"errors"
	"net"
	"os"
	"time"

	"github.com/valor-ivx/weir/proxy/http1"
	"github.com/valor-ivx/weir/proxy/message"
	"github.com/valor-ivx/weir/proxy/websocket"
)

// writeHead is the one step that hands a final response head to the client, an upstream's or our own. own are further lines, each ended by CRLF.
func (x *Exchange) writeHead(resp *message.Response, own []byte, last bool) {
	b := append(x.lines[:0], own...)
	b = x.appendPolicy(b, resp)
	b = x.appendAlternative(b, resp)
	b = x.appendSticky(b, resp)
	now := x.proxy.options.Now()
	if resp.Status >= 200 && resp.Header.Find(message.Date, 0) < 0 {
		b = append(b, x.proxy.dateLine(now)...)
	}
	x.lines = line(b, "X-Request-ID: ", x.id)
	c := x.down
	c.AwaitWrite(x.proxy.wall(now))
	c.WriteHead(resp, x.lines, last || x.req.Close || x.proxy.leaving.Load())
	x.began, x.status = true, resp.Status
}

// relay passes the final response on, head and body.
func (t *attempt) relay() *Error {
	x := t.x
	c := x.down
	// An answer that is complete before the request is: nobody will read the rest of it, so the connection cannot go on.
	x.writeHead(&x.resp, nil, x.upload.unfinished())
	body := t.conn.ResponseBody()
	moved, err := false, error(nil)
	if plain := t.conn.Spliceable(); plain != nil {
		moved, err = c.Splice(plain, x.renewRelay)
	}
	switch {
	case !moved:
		if err := t.copy(body); err != nil {
			return err
		}
	default:
		x.sent = body.Received()
		if err != nil {
			return t.spliceError(err)
		}
	}
	if x.rpc.call {
		x.hearStatus(&x.resp.Header)
		x.hearStatus(body.Trailers())
	}
	c.Finish(body.Trailers())
	if err := c.Err(); err != nil {
		return unwritten(err)
	}
	return nil
}

// copy relays a body that goes through this process, sending what was gathered whenever the upstream has nothing more at hand, so that nothing that
// streams is held back.
func (t *attempt) copy(body responseBody) *Error {
	x := t.x
	c := x.down
	for !body.Complete() {
		waits := !body.Buffered()
		if waits {
			c.Flush()
			if err := t.renew(x.proxy.options.Now()); err != nil {
				return err
			}
		}
		p, err := body.Next()
		if waits { // the time to write begins when there is something to write
			c.AwaitWrite(x.proxy.wall(x.proxy.options.Now()))
		}
		if len(p) > 0 {
			c.Write(p)
			x.sent = body.Received()
		}
		if c.Err() != nil {
			return unwritten(c.Err())
		}
		if err != nil && !body.Complete() {
			return t.bodyError(err)
		}
	}
	return nil
}

// renew moves the deadlines before a wait for body bytes: the idle timeout and the total one. An event stream has neither, a gRPC call only the second: they may rest for as
// long as they like, and TCP keep-alive finds an upstream that is gone.
func (t *attempt) renew(now int64) *Error {
	x := t.x
	wait := x.service.IdleTimeout
	if x.eventStream || x.rpc.call {
		wait = 0
	}
	if !x.eventStream && x.deadline > 0 {
		left := time.Duration(x.deadline - now)
		if left <= 0 {
			return &Error{504, x.overdue, nil}
		}
		if wait == 0 || left < wait {
			wait = left
		}
	}
	if err := t.conn.Await(x.proxy.wall(now), wait); err != nil {
		return x.unbounded(ResponseTruncated, err)
	}
	return nil
}

// renewRelay moves the deadlines of a splice. When there is nothing left to wait for, the next wait is over at once.
func (t *attempt) renewRelay(now time.Time) {
	t.x.down.AwaitWrite(now)
	if t.renew(t.x.proxy.options.Now()) != nil {
		_ = t.conn.Await(now, time.Nanosecond) // a closed connection shows at the next move
	}
}

func (t *attempt) bodyError(err error) *Error {
	if t.x.left() {
		return &Error{499, ClientGone, err}
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		if t.totalTimeout() {
			return &Error{504, t.x.overdue, err}
		}
		return &Error{504, ResponseTimeout, err}
	}
	if refusedWith(err) != 0 {
		return &Error{502, UpstreamInvalid, err}
	}
	if t.totalTimeout() { // see await
		return &Error{504, t.x.overdue, err}
	}
	return &Error{502, ResponseTruncated, err}
}

// spliceError tells the sides of a broken splice apart: what is not a write error of the client's connection is the upstream's.
func (t *attempt) spliceError(err error) *Error {
	if t.x.down.Err() == nil {
		return t.bodyError(err)
	}
	return unwritten(err)
}

// totalTimeout reports that the route's timeout has passed and applies.
func (t *attempt) totalTimeout() bool {
	x := t.x
	return x.deadline > 0 && !x.eventStream && x.proxy.options.Now() >= x.deadline
}

// tunnel answers 101 and joins the two connections until both directions have ended.
func (t *attempt) tunnel() *Error {
	x := t.x
	lines := append([]byte(nil), "Connection: Upgrade\r\n"...)
	for i := x.resp.Header.Find(message.Upgrade, 0); i >= 0; i = x.resp.Header.Find(message.Upgrade, i+1) {
		lines = append(lines, "Upgrade: "...)
		lines = append(lines, x.resp.Header.At(i).Value()...)
		lines = append(lines, "\r\n"...)
	}
	own, ok := t.conn.(ownConn)
	if !ok {
		return &Error{502, UpgradeFailed, nil} // http2 refuses a 101
	}
	x.writeHead(&x.resp, lines, false)
	x.down.Flush()
	x.tunneled = true
	if err := x.down.Err(); err != nil {
		return unwritten(err)
	}
	keepAlive(own.Conn.Conn())
	if x.client.conn.Conn().SetDeadline(time.Time{}) != nil || own.Conn.Conn().SetDeadline(time.Time{}) != nil {
		return &Error{499, ClientGone, nil}
	}
	var socket *websocket.Socket
	if isWebSocket(&x.resp.Header) {
		socket = x.proxy.sockets.open(connClient{x.client.conn.Conn(), x.client.conn}, own.Conn.Conn())
		defer x.proxy.sockets.end(socket)
	}
	_, x.sent = http1.Tunnel(x.client.conn, own.ClientConn, socket)
	return nil
}

// keepAlive readies an upstream connection for a tunnel, which has no idle limit of ours: whoever speaks in it knows when it is over; TCP keep-alive finds dead
// peers. The listener turned it on for the client; upstream connections rest too shortly to need it until now.
func keepAlive(conn net.Conn) {
	if over, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = over.NetConn()
	}
	if tcp, ok := conn.(interface{ SetKeepAlive(bool) error }); ok {
		_ = tcp.SetKeepAlive(true)
	}
}
