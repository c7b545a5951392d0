package upstream

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/pires/go-proxyproto"
)

// Client is whom a connection is for, as a PROXY header says it: the client's address and port (0: not known) and the one of ours that it spoke to. The
// zero value is nobody's: the header says LOCAL or UNKNOWN, as health checks do.
type Client struct {
	Source, Destination netip.AddrPort
}

// ConnFor is Conn for a peer whose transport says whom a connection is for: only a connection of the same client is handed out.
func (p *Peer) ConnFor(client Client, now int64) *Conn {
	for {
		c := p.link.idle.getFor(client, now)
		if c == nil || !c.Readable() {
			return c
		}
		_ = c.Close() // the peer closed it, or sent what nobody asked for
	}
}

// DialFor is Dial for a peer whose transport says whom a connection is for; to others client says nothing. It gives up when ctx ends.
func (p *Peer) DialFor(ctx context.Context, client Client, timeout time.Duration) (*Conn, error) {
	if timeout <= 0 {
		timeout = p.pool.options.ConnectTimeout
	}
	c, err := p.link.dial(ctx, client, timeout)
	if err != nil && ctx.Err() == nil {
		p.failedToDial(err)
	}
	return c, err
}

// introduce writes the PROXY header (haproxy.org/download/3.2/doc/proxy-protocol.txt), the first bytes of a connection, before any handshake.
func (l *link) introduce(conn net.Conn, client Client) error {
	if l.transport.ProxyProtocol == 0 {
		return nil
	}
	var source, destination net.Addr
	if client.Source.IsValid() && client.Destination.IsValid() {
		source, destination = net.TCPAddrFromAddrPort(client.Source), net.TCPAddrFromAddrPort(client.Destination)
	}
	if _, err := proxyproto.HeaderProxyFromAddrs(l.transport.ProxyProtocol, source, destination).WriteTo(conn); err != nil {
		return fmt.Errorf("write PROXY header: %w", err)
	}
	return nil
}

// getFor returns the youngest connection of one client. It looks through all that rest, which pools of other transports never do.
func (p *idlePool) getFor(client Client, now int64) *Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := p.newest; c != nil && now-c.since < p.limit(); c = c.older {
		if c.client == client {
			p.unlink(c)
			return c
		}
	}
	return nil
}

// unlink takes a connection out of the list. p.mu is held.
func (p *idlePool) unlink(c *Conn) {
	if c.newer != nil {
		c.newer.older = c.older
	} else {
		p.newest = c.older
	}
	if c.older != nil {
		c.older.newer = c.newer
	} else {
		p.oldest = c.newer
	}
	c.newer, c.older = nil, nil
	p.count--
}
