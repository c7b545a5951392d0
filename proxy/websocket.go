package proxy

import (
	"crypto/rand"
	"crypto/sha1" // RFC 6455 §4.2.2 says so; it proves that the upstream has understood, nothing more
	"encoding/base64"
	"errors"
	"io"
	"net"
	"time"

	"github.com/valor-ivx/weir/proxy/http2"
	"github.com/valor-ivx/weir/proxy/message"
	"github.com/valor-ivx/weir/proxy/websocket"
)

// webSocketStream is a downstream that can carry a WebSocket beside other streams (RFC 8441; HTTP/3 has the same by RFC 9220).
type webSocketStream interface {
	// Protocol is :protocol of an extended CONNECT, empty for any other request.
	Protocol() []byte
	// AwaitForever lifts every bound on waiting: a tunnel may rest for as long as it likes.
	AwaitForever()
	// Next returns bytes of the client's direction, valid until the following call; io.EOF when it has ended it.
	Next() ([]byte, error)
	// Cancel resets the stream.
	Cancel()
}

// Next implements webSocketStream.
func (s streamSide) Next() ([]byte, error) { return s.Body().Next() }

// Cancel implements webSocketStream: RFC 8441 §5 has it for a TCP connection that was reset.
func (s streamSide) Cancel() { s.Abort(http2.Cancel) }

// webSocket is an extended CONNECT on its way to an upstream that speaks HTTP/1.1.
type webSocket struct {
	stream webSocketStream // nil: the request is none
	key    [24]byte        // Sec-WebSocket-Key, ours: over HTTP/2 clients send none
}

var (
	errProtocol = &Error{501, MethodRefused, nil} // RFC 9220 §3: a :protocol that is not known
	errHasBody  = &Error{400, BadRequest, errors.New("a WebSocket's request has no body")}
)

// extended makes of an extended CONNECT for a WebSocket the GET that opens one by HTTP/1.1 (RFC 6455 §4.1), which it is to every phase from here on. Any other CONNECT
// is left for match to refuse.
func (x *Exchange) extended() *Error {
	stream, ok := x.down.(webSocketStream)
	if !ok || len(stream.Protocol()) == 0 {
		return nil
	}
	if !message.EqualFold(stream.Protocol(), "websocket") {
		return errProtocol
	}
	r := &x.req
	if r.Header.Find(message.ContentLength, 0) >= 0 || r.Header.Find(message.Expect, 0) >= 0 {
		return errHasBody // forwarded, the upstream would take the tunnel's first bytes for it
	}
	r.Method, r.MethodName, r.Framing, r.Upgrade = message.GET, methodGET, message.None, true
	r.Header.Del("Sec-WebSocket-Key")
	var nonce [16]byte
	_, _ = rand.Read(nonce[:]) // never fails
	base64.StdEncoding.Encode(x.socket.key[:], nonce[:])
	x.socket.stream = stream
	return nil
}

var methodGET = []byte("GET")

// appendHandshake appends the lines of an upgrade: those of the client, or those that its extended CONNECT stands for.
func (x *Exchange) appendHandshake(b []byte) []byte {
	b = append(b, "Connection: Upgrade\r\n"...)
	if x.socket.stream != nil {
		b = append(b, "Upgrade: websocket\r\n"...)
		return line(b, "Sec-WebSocket-Key: ", x.socket.key[:])
	}
	for i := x.req.Header.Find(message.Upgrade, 0); i >= 0; i = x.req.Header.Find(message.Upgrade, i+1) {
		b = line(b, "Upgrade: ", x.req.Header.At(i).Value())
	}
	return b
}

// openWebSocket acts on the final response to an extended CONNECT. What refuses is passed on. A 2xx would tell the client that the tunnel is open, so that of an
// upstream that knows no WebSockets is none.
func (t *attempt) openWebSocket() *Error {
	x := t.x
	h := &x.resp.Header
	switch {
	case x.resp.Status != 101 && x.resp.Status >= 300:
		return t.relay()
	case x.resp.Status != 101, !isWebSocket(h), !x.socket.accepted(h):
		return &Error{502, UpgradeFailed, nil}
	}
	up, ok := t.conn.(ownConn)
	if !ok {
		return &Error{502, UpgradeFailed, nil} // http2 refuses a 101
	}
	h.Del("Sec-WebSocket-Accept")
	x.resp.Status, x.resp.Reason, x.resp.Framing = 200, nil, message.None
	x.writeHead(&x.resp, nil, false)
	x.down.Flush()
	x.tunneled = true
	if err := x.down.Err(); err != nil {
		return &Error{499, ClientGone, err}
	}
	socket := up.Conn.Conn()
	keepAlive(socket)
	if socket.SetDeadline(time.Time{}) != nil {
		return &Error{499, ClientGone, nil}
	}
	x.socket.stream.AwaitForever()
	ends := x.proxy.sockets.open(streamClient{x.down}, socket)
	defer x.proxy.sockets.end(ends)
	x.joinStream(up, ends)
	return nil
}

func isWebSocket(h *message.Header) bool {
	i := h.Find(message.Upgrade, 0)
	return i >= 0 && message.EqualFold(h.At(i).Value(), "websocket") && h.Find(message.Upgrade, i+1) < 0
}

// accepted reports whether the upstream has answered our key (RFC 6455 §4.2.2).
func (w *webSocket) accepted(h *message.Header) bool {
	got, ok := h.Get("Sec-WebSocket-Accept")
	sum := sha1.Sum(append(w.key[:len(w.key):len(w.key)], "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"...))
	return ok && string(got) == base64.StdEncoding.EncodeToString(sum[:])
}

// joinStream moves bytes between stream and upstream until both directions have ended. An end in one is passed on as an end; what breaks breaks both, but what an upstream said before it closed
// still reaches its client (RFC 9110 §9.3.6).
func (x *Exchange) joinStream(up ownConn, socket *websocket.Socket) {
	stream := x.socket.stream
	done := make(chan struct{})
	// Owner: this call, which waits for it below. It ends with the client's direction, at the latest when the stream is reset.
	go func() {
		defer close(done)
		if pourUp(websocket.ToUpstream{Socket: socket}, up.Conn.Conn(), stream) != nil { // the client
			up.Break() // wakes the other direction
			stream.Cancel()
		}
	}()
	for client := (websocket.ToClient{Socket: socket}); ; {
		p, err := up.Next()
		switch {
		case err == nil:
			var n int
			n, err = client.Deliver(p)
			x.sent += int64(n)
		case socket.Parted(): // the client has heard the end: how the upstream comes to its own makes no difference
			err = io.EOF
		}
		if err == io.EOF {
			x.down.Finish(nil)
			// Whoever hears the end of a WebSocket ends it too (RFC 6455 §7.1.1). One that says nothing any more, not even that, is not waited for.
			_ = x.down.AwaitBody(x.proxy.wall(x.proxy.options.Now()))
			break
		}
		if err != nil {
			stream.Cancel()
			up.Break()
			break
		}
	}
	<-done
}

// pourUp moves the client's direction. Its error is the client's: an upstream that takes nothing more ends by itself, once the other direction has read what it had left to say.
func pourUp(up websocket.ToUpstream, conn net.Conn, stream webSocketStream) error {
	for {
		p, err := stream.Next()
		if err == io.EOF {
			if half, ok := conn.(interface{ CloseWrite() error }); ok {
				_ = half.CloseWrite() // an upstream that is gone already needs no half-close
			}
			return nil
		}
		if err != nil {
			return err
		}
		if _, err := up.Deliver(p); err != nil {
			return nil
		}
	}
}
