package proxy

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/valor-ivx/weir/proxy/http1"
	"github.com/valor-ivx/weir/proxy/http2"
	"github.com/valor-ivx/weir/proxy/http3"
	"github.com/valor-ivx/weir/proxy/observe"
	edgetls "github.com/valor-ivx/weir/tls"
)

// Options is what the data path needs for its whole life.
type Options struct {
	Logger *zap.Logger
	// HTTP1, HTTP2 and HTTP3 bound the clients of listeners that have no bounds of their own (Listener.Bind).
	HTTP1 http1.ServerOptions
	HTTP2 http2.Options
	HTTP3 http3.Options
	// Now is the clock shared with the upstream registry: ns, monotonic, greater than 0.
	Now func() int64
	// Challenge is asked for the body that answers a CA's validation of host (as received) at path, on plain listeners only. It may read a file. nil:
	// nobody answers.
	Challenge func(host, path []byte) (body []byte, ok bool)
	// Certificates is the set that handshakes are served from now; nil: none, and no request is misdirected for its certificate.
	Certificates func() *edgetls.Store
	// Suspected is told once, by a request, of what Suspect says from then on. nil: nobody is.
	Suspected func(netip.Addr)
	// Failures remembers requests that failed. nil: nobody does.
	Failures *observe.Failures
	// Taps are given requests that have ended. nil: nobody watches.
	Taps *observe.Taps
}

// Proxy serves accepted connections from the current snapshot. It is a resource: Shutdown ends it. It starts no goroutine of its own except for
// request bodies and tunnels, which end with their exchange.
type Proxy struct {
	options  Options
	snapshot atomic.Pointer[Snapshot] // written by Publish, loaded once per request
	unbound  Bounds                   // of Options
	base     time.Time                // wall clock and monotonic reading where Now was zero; turns ns into deadlines

	exchanges sync.Pool
	lanes     atomic.Uint32 // where the next Exchange begins to record
	bodies    sync.Pool
	sockets   sockets

	suspect  atomic.Pointer[netip.Addr] // written once, by the first request that finds one
	leaving  atomic.Bool                // set once, by Announce or Shutdown: an answer is the last of its connection
	draining atomic.Bool                // set once, by Shutdown
	date     atomic.Pointer[datedLine]  // of the present second; written by whoever finds it old
	cut      atomic.Bool                // set once, by Shutdown at its deadline: no attempt begins any more

	// mu guards clients; held for a map operation at accept and close, and by Shutdown. No request takes it.
	mu      sync.Mutex
	clients map[*client]struct{}
	gone    sync.Cond // signalled when a client leaves while draining
}

// New makes a proxy that serves from first.
func New(o Options, first *Snapshot) *Proxy {
	p := &Proxy{options: o, unbound: Bounds{HTTP1: o.HTTP1, HTTP2: o.HTTP2, HTTP3: o.HTTP3}, clients: map[*client]struct{}{}}
	p.base = time.Now().Add(-time.Duration(o.Now()))
	p.gone.L = &p.mu
	p.snapshot.Store(first)
	return p
}

// Publish makes s the snapshot of every request that begins from now on. It cannot fail.
func (p *Proxy) Publish(s *Snapshot) { p.snapshot.Store(s) }

// Snapshot is the current generation.
func (p *Proxy) Snapshot() *Snapshot { return p.snapshot.Load() }

// client is one accepted connection.
type client struct {
	proxy    *Proxy
	socket   net.Conn          // nil on HTTP/3
	conn     *http1.ServerConn // on HTTP/1, else nil
	side     downstream        // conn as one
	http2    *http2.Conn       // on HTTP/2, else nil
	http3    *http3.Conn       // on HTTP/3, else nil
	listener *Listener
	bounds   *Bounds
	ip       netip.Addr
	address  []byte                  // ip as text
	lines    []byte                  // request fields that are the same for all its requests, each with CRLF
	session  *edgetls.Session        // nil on a plain listener
	verdict  atomic.Pointer[verdict] // on the host asked for last; streams share it

	running *Exchange // of an HTTP/1 connection, for the goroutine's own recovery; nil between two
	asked   bool      // a request has come on an HTTP/1 connection. The goroutine's own

	idle    atomic.Int64 // since when, ns; 0: busy. Written by the connection's goroutine, read by Shutdown and MakeRoom
	evicted atomic.Bool  // set by MakeRoom, taken back by the connection's goroutine where a request has come
	// mu orders Shutdown's or MakeRoom's interruption of an idle wait before the goroutine's lifting of it, and guards peers.
	mu sync.Mutex
	// peers are the upstream sides of running attempts, one on HTTP/1, one per stream on HTTP/2: broken by Shutdown at its deadline.
	peers []upside
}

// Serve carries all requests of one connection and closes it. It runs on the connection's own goroutine. conn is ready for HTTP: TLS handshake
// done; its address is the client's, or it is a *Claimed.
func (p *Proxy) Serve(conn net.Conn, l *Listener, session *edgetls.Session) {
	conn, from := whose(conn)
	bounds := p.boundsOf(l)
	c := &client{proxy: p, socket: conn, conn: http1.NewServerConn(conn, &bounds.HTTP1), listener: l, bounds: bounds, session: session}
	c.side = plainConn{c.conn}
	c.identify(from)
	l.Metrics.Accepted()
	p.join(c)
	awake := true
	if l.HTTP2 {
		if awake = c.await(); awake && p.takeOver(c) {
			return
		}
	}
	defer p.end(c)
	for awake && c.next() {
	}
}

// end closes a connection and lets go of it. A panic in one exchange is a bug that one client found: it costs that connection and a line with
// the stack, not everybody's edge. What the exchange held is given back by abandon.
func (p *Proxy) end(c *client) {
	if bug := recover(); bug != nil {
		c.panicked(bug)
		if c.running != nil {
			c.running.abandon()
		}
		_ = c.socket.Close()
	} else {
		_ = c.conn.Close() // the peer may be gone already; nobody is left to tell
	}
	p.leave(c)
	c.listener.Metrics.Closed()
}

// next waits for one request and serves it; false ends the connection.
func (c *client) next() bool {
	if !c.await() {
		return false
	}
	p := c.proxy
	x := p.exchange()
	c.running = x
	keep := x.run(c, c.side)
	c.running = nil
	p.exchanges.Put(x)
	return keep
}

// await waits for the first byte of a request; false: none will come. While it waits nothing is held but the connection itself.
func (c *client) await() bool {
	p := c.proxy
	now := p.options.Now()
	c.idle.Store(now)
	err := http1.ErrIdle
	if !p.draining.Load() {
		err = c.conn.Wait(p.wall(now))
	}
	c.idle.Store(0)
	if p.draining.Load() || c.evicted.Load() {
		err = c.resume(err)
	}
	c.asked = c.asked || err == nil
	return err == nil
}

// exchange borrows one from the pool.
func (p *Proxy) exchange() *Exchange {
	x, _ := p.exchanges.Get().(*Exchange)
	if x == nil {
		x = new(Exchange)
		x.renewRelay = x.attempt.renewRelay
		x.lane = p.lanes.Add(observe.LaneStride)
	}
	return x
}

// lastCall is how long a request may take to come that is on its way while its connection is about to be closed.
const lastCall = time.Second

// resume undoes an interruption of Wait, whose result is err. A request that had arrived all the same is served: its client cannot know that we were about to
// close. Nor can one that has just opened its connection, to whom nobody else would answer: it is given the time to say its first. One that was only told to make room is not: it may
// be one of thousands that never say anything.
func (c *client) resume(err error) error {
	c.mu.Lock()
	c.evicted.Store(false)
	lifted := c.conn.ResumeReading()
	c.mu.Unlock()
	switch {
	case lifted != nil:
		return http1.ErrIdle
	case err == nil:
		return nil
	case c.conn.Readable(), !c.asked && c.proxy.draining.Load():
		return c.conn.WaitFor(c.proxy.wall(c.proxy.options.Now()), lastCall)
	}
	return err
}

// wall turns a reading of Now into the time that deadlines want.
func (p *Proxy) wall(now int64) time.Time { return p.base.Add(time.Duration(now)) }

func (p *Proxy) join(c *client) {
	p.mu.Lock()
	p.clients[c] = struct{}{}
	p.mu.Unlock()
}

func (p *Proxy) leave(c *client) {
	p.mu.Lock()
	delete(p.clients, c)
	p.gone.Broadcast()
	p.mu.Unlock()
}

// Announce says goodbye wherever there is somebody to say it to, and closes nothing: an answer by HTTP/1 is the last of its connection (Connection: close), HTTP/2 and HTTP/3 send
// GOAWAY, and a connection that rests goes on resting until its next request. So no client finds a connection closed that it was about to use; but for the resting ones, which Shutdown
// closes, all of them leave by themselves. Connections that come later are told the same. It returns at once.
func (p *Proxy) Announce() {
	p.leaving.Store(true)
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.clients {
		switch {
		case c.http2 != nil:
			c.http2.Drain()
		case c.http3 != nil:
			c.http3.Drain()
		}
	}
}

// AwaitEmpty waits until no connection is left, or ctx ends.
func (p *Proxy) AwaitEmpty(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() {
		p.mu.Lock()
		p.gone.Broadcast()
		p.mu.Unlock()
	})
	defer stop()
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.clients) > 0 && ctx.Err() == nil {
		p.gone.Wait()
	}
}

// Shutdown lets running exchanges end, refuses new ones on open connections (Connection: close on the response that is being made), and returns when
// no connection is left. When ctx ends first it closes what is left and reports false. A connection that comes later may still say what it came for, within a moment: it may have been accepted before,
// and call for another Shutdown.
func (p *Proxy) Shutdown(ctx context.Context) bool {
	p.leaving.Store(true)
	p.draining.Store(true)
	p.mu.Lock()
	for c := range p.clients {
		c.interrupt()
	}
	p.mu.Unlock()
	p.AwaitEmpty(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	clean := len(p.clients) == 0
	if !clean {
		p.cut.Store(true)
	}
	for c := range p.clients {
		c.hangUp()
		c.cut()
	}
	for len(p.clients) > 0 {
		p.gone.Wait()
	}
	return clean
}

// enter notes the upstream's side of an attempt that begins.
func (c *client) enter(u upside) {
	c.mu.Lock()
	c.peers = append(c.peers, u)
	c.mu.Unlock()
}

// leave forgets it. After that Shutdown does not touch it any more.
func (c *client) leave(u upside) {
	c.mu.Lock()
	for i := range c.peers {
		if c.peers[i] == u {
			last := len(c.peers) - 1
			c.peers[i], c.peers[last] = c.peers[last], nil
			c.peers = c.peers[:last]
			break
		}
	}
	c.mu.Unlock()
}

// cut breaks all running attempts.
func (c *client) cut() {
	c.mu.Lock()
	for _, u := range c.peers {
		u.Break()
	}
	c.mu.Unlock()
}

// interrupt wakes an idle connection so that it closes. One that a request has just reached lifts the interruption itself, see next.
func (c *client) interrupt() {
	switch {
	case c.http2 != nil:
		c.http2.Drain()
		return
	case c.http3 != nil:
		c.http3.Drain()
		return
	}
	c.mu.Lock()
	if c.idle.Load() != 0 {
		_ = c.conn.StopReading() // fails only when the connection is closed already
	}
	c.mu.Unlock()
}

// hangUp ends the client's connection with whatever runs on it.
func (c *client) hangUp() {
	if c.http3 != nil {
		c.http3.Close()
		return
	}
	_ = c.socket.Close() // that it is closed already is no news
}

// Connections is the number of open client connections.
func (p *Proxy) Connections() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.clients)
}
