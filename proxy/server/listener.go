package server

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/valor-ivx/weir/configs"
	"github.com/valor-ivx/weir/proxy"
	"github.com/valor-ivx/weir/proxy/clientip"
	"github.com/valor-ivx/weir/proxy/observe"
)

// listener is one open socket of the data path: its goroutine accepts, and each connection gets one of its own. It survives reloads as long as the file
// names its address with the same kind.
type listener struct {
	server    *Server
	config    configs.Listener
	socket    net.Listener
	data      *proxy.Listener
	tls       *tls.Config          // nil: plain
	senders   clientip.Trust       // who must begin with a PROXY header
	muttered  atomic.Bool          // a sender without one has been told of in the log
	inherited bool                 // the socket was another listener's: taking this one back must not close it
	open      atomic.Int64         // connections, handshakes included
	caps      atomic.Pointer[caps] // written by commit, read at accept
	perIP     perIP
	door      door
	done      chan struct{} // closed when the accept loop has ended

	// mu guards handshakes (PROXY headers included), so that the end of a drain can end those that have not become connections of the proxy yet.
	mu         sync.Mutex
	handshakes map[net.Conn]struct{}
	quic       *endpoint // nil: no HTTP/3
}

// listenerPlan is a listener of the file with what else it is made of.
type listenerPlan struct {
	config     configs.Listener
	minVersion string
	redirect   string // port of the first TLS listener, for those that redirect
}

// redirectPort is the port this listener sends its clients to; "": none.
func (p listenerPlan) redirectPort() string {
	if p.config.Redirect == "" {
		return ""
	}
	return p.redirect
}

// openListener binds the socket, or takes over that of a listener on the same address; accepting begins with start.
func (s *Server) openListener(plan listenerPlan, from *listener) (*listener, error) {
	c := plan.config
	var socket net.Listener
	var err error
	if from != nil {
		socket = from.socket
	} else if socket, err = s.listen(&c); err != nil {
		return nil, fmt.Errorf("open listener %s: %w", c.Name, err)
	}
	_, port, err := net.SplitHostPort(socket.Addr().String())
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open listener %s: %w", c.Name, err), socket.Close())
	}
	l := &listener{server: s, config: c, socket: socket, senders: trusted(c.ProxyProtocol), inherited: from != nil, done: make(chan struct{}), handshakes: map[net.Conn]struct{}{}}
	l.data = &proxy.Listener{Name: c.Name, Index: s.listenerIndex(c.Name), Scheme: "http", Port: port, Metrics: s.metrics.Listener(c.Name),
		Redirect: plan.redirectPort(), HTTP2: !c.TLS && slices.Contains(c.Protocols, "h2")}
	if c.TLS {
		l.data.Scheme = "https"
		l.data.Metrics.Secure()
		version := uint16(tls.VersionTLS12)
		if plan.minVersion == "1.3" {
			version = tls.VersionTLS13
		}
		l.tls = s.certs.Config(alpn(c.Protocols), version)
	}
	if err := s.quicOf(l, from); err != nil {
		if from == nil {
			err = errors.Join(err, socket.Close())
		}
		return nil, fmt.Errorf("open listener %s: %w", c.Name, err)
	}
	return l, nil
}

// alpn lists what a listener offers, best first, whatever the order of the file: RFC 7301 leaves the choice to the server.
func alpn(protocols []string) []string {
	var list []string
	for _, p := range [...]string{"h2", "http/1.1"} {
		if slices.Contains(protocols, p) {
			list = append(list, p)
		}
	}
	return list
}

// same reports whether a listener of the new file is this one: nothing that a socket is made of differs.
func (l *listener) same(plan listenerPlan, oldMinVersion string) bool {
	c := plan.config
	return slices.Equal(l.config.ProxyProtocol, c.ProxyProtocol) && l.config.Address == c.Address && l.config.Name == c.Name &&
		l.config.TLS == c.TLS && l.data.Redirect == plan.redirectPort() &&
		slices.Equal(l.config.Protocols, c.Protocols) && l.config.EarlyData == c.EarlyData &&
		(!c.TLS || plan.minVersion == oldMinVersion)
}

func (l *listener) start() {
	l.serveQUIC()
	go l.accept()
}

// accept ends when the socket is closed. A shortage of files or memory is waited out: closing the listener for it would turn a peak into an outage.
func (l *listener) accept() {
	defer close(l.done)
	pause := time.Duration(0)
	for {
		conn, err := l.socket.Accept()
		switch {
		case err == nil:
			pause = 0
			l.receive(conn)
		case errors.Is(err, net.ErrClosed), errors.Is(err, os.ErrDeadlineExceeded): // closed, or handed over
			return
		default:
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			l.server.log.Warn("accept failed", zap.String(observe.KeyListener, l.config.Name), observe.Err(err))
			time.Sleep(pause)
		}
	}
}

// receive serves an accepted connection on a goroutine of its own, if there is room for it.
func (l *listener) receive(conn net.Conn) {
	if l.enter(time.Now()) {
		go l.serve(conn)
	} else {
		_ = conn.Close() // it was given nothing that could be lost
	}
}

func (l *listener) serve(conn net.Conn) {
	defer l.leave()
	from, ok := l.introduced(conn)
	if !ok {
		_ = conn.Close()
		return
	}
	leave, ok := l.alone(conn, from)
	if !ok {
		_ = conn.Close()
		return
	}
	defer leave()
	if l.tls == nil {
		l.servePlain(claimed(conn, from))
		return
	}
	secure, session := l.handshake(conn)
	if secure == nil {
		return
	}
	if secure.ConnectionState().NegotiatedProtocol == "h2" {
		l.server.proxy.ServeHTTP2(claimed(secure, from), l.data, session)
		return
	}
	l.server.proxy.Serve(claimed(secure, from), l.data, session)
}

// servePlain serves a connection without TLS. Where both protocols are spoken the first bytes tell them apart; there is no Upgrade: h2c (RFC 9113 §3.1).
func (l *listener) servePlain(conn net.Conn) {
	if l.data.HTTP2 && !slices.Contains(l.config.Protocols, "http/1.1") {
		l.server.proxy.ServeHTTP2(conn, l.data, nil)
		return
	}
	l.server.proxy.Serve(conn, l.data, nil)
}

// begin and begun stand around what happens on a connection before the proxy has it.
func (l *listener) begin(conn net.Conn) {
	l.mu.Lock()
	l.handshakes[conn] = struct{}{}
	l.mu.Unlock()
}

func (l *listener) begun(conn net.Conn) {
	l.mu.Lock()
	delete(l.handshakes, conn)
	l.mu.Unlock()
}

// close stops accepting, when those too are accepted that the kernel has let in: it would reset them. Connections go on.
func (l *listener) close() error {
	l.handOver()
	l.acceptRest()
	return l.socket.Close()
}

// mostRest is what a backlog can hold, so that a flood does not keep a listener open.
const mostRest = 1 << 16

// acceptRest accepts what waits in the backlog, in place of the accept loop, which has ended.
func (l *listener) acceptRest() {
	socket, ok := l.socket.(*net.TCPListener)
	for i := 0; ok && i < mostRest && readable(socket); i++ {
		_ = socket.SetDeadline(time.Now().Add(time.Second)) // another process that has the socket may have been faster
		conn, err := socket.Accept()
		if err != nil {
			return
		}
		l.receive(conn)
	}
}

// readable reports, without waiting, whether a connection waits to be accepted.
func readable(socket *net.TCPListener) (yes bool) {
	raw, err := socket.SyscallConn()
	if err != nil {
		return false
	}
	_ = raw.Control(func(fd uintptr) { // fails only when closed
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
		yes = err == nil && n > 0
	})
	return yes
}

// handOver ends the accept loop and leaves the socket open for its successor, so that not one connection in the backlog is lost.
func (l *listener) handOver() {
	socket, ok := l.socket.(*net.TCPListener)
	if !ok {
		return
	}
	_ = socket.SetDeadline(time.Unix(1, 0)) // fails only on a closed socket, whose loop has ended
	<-l.done
	_ = socket.SetDeadline(time.Time{})
}

// abandon ends the handshakes that are under way.
func (l *listener) abandon() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for conn := range l.handshakes {
		_ = conn.Close()
	}
	if l.quic != nil {
		l.quic.abandon()
	}
}
