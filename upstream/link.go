package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/valor-ivx/weir/proxy/http1"
)

// link is one address by one transport: what makes connections, and where they rest or are shared. The endpoint owns it and drops it with its last member.
type link struct {
	address   string
	transport Transport   // with ServerName filled in
	secure    *tls.Config // nil: plain TCP
	client    *http.Client
	idle      idlePool
	mux       mux // in place of idle where the transport is HTTP/2
}

// newLink takes the pool's handshake settings, which are nil for plain TCP.
func newLink(address string, t Transport, secure *tls.Config) *link {
	l := &link{address: address, transport: t}
	if secure != nil {
		l.secure = secure.Clone()
		l.secure.ServerName = t.ServerName
		l.secure.ClientSessionCache = tls.NewLRUClientSessionCache(1) // a clone shares its original's
	}
	l.client = l.probing()
	return l
}

// dial opens a connection for requests within timeout.
func (l *link) dial(ctx context.Context, client Client, timeout time.Duration) (*Conn, error) {
	conn, err := l.open(ctx, client, time.Now().Add(timeout))
	if err != nil {
		return nil, err
	}
	c := &Conn{ClientConn: http1.NewClientConn(conn), home: &l.idle, client: client}
	c.secure, _ = conn.(*tls.Conn)
	return c, nil
}

// open makes a connection ready for requests, all handshakes done, until deadline or the end of ctx. The error is a *DialError. Delay is off because a
// head and a small body must leave at once; keep-alive probes are off because no connection rests longer than its idle limit.
func (l *link) open(ctx context.Context, client Client, deadline time.Time) (net.Conn, error) {
	d := net.Dialer{Deadline: deadline, KeepAlive: -1}
	c, err := d.DialContext(ctx, "tcp", l.address)
	if err != nil {
		return nil, &DialError{Kind: classify(err), Address: l.address, Err: err}
	}
	socket, ok := c.(*net.TCPConn)
	if !ok {
		_ = c.Close()
		return nil, &DialError{Address: l.address, Err: errors.New("not a TCP connection")}
	}
	_ = socket.SetNoDelay(true) // the net package has done so already; this states that we depend on it
	if err := l.introduce(socket, client); err != nil {
		_ = socket.Close() // it was of no use
		return nil, &DialError{Kind: classify(err), Address: l.address, Err: err}
	}
	if l.secure == nil {
		return socket, nil
	}
	secure, err := l.handshake(ctx, socket, deadline)
	if err != nil {
		_ = socket.Close() // it was of no use
		return nil, &DialError{Kind: classifyTLS(err), Address: l.address, Err: err}
	}
	return secure, nil
}

func (l *link) handshake(ctx context.Context, socket *net.TCPConn, deadline time.Time) (*tls.Conn, error) {
	w, err := newWire(socket)
	if err != nil {
		return nil, err
	}
	if err := socket.SetDeadline(deadline); err != nil {
		return nil, err
	}
	c := tls.Client(w, l.secure)
	if err := c.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	return c, socket.SetDeadline(time.Time{})
}
