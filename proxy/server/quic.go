package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/quic-go/quic-go"
	"go.uber.org/zap"

	"github.com/valor-ivx/weir/proxy"
	"github.com/valor-ivx/weir/proxy/clientip"
	"github.com/valor-ivx/weir/proxy/http3"
	"github.com/valor-ivx/weir/proxy/observe"
	edgetls "github.com/valor-ivx/weir/tls"
)

// endpoint is one UDP socket that serves HTTP/3 beside a TCP listener: its goroutine accepts, and each connection gets one of its own. It survives reloads, with
// its connections, as long as the file has h3 on its address; then it takes no more, sends those it has away, and closes its socket behind the last.
type endpoint struct {
	server      *Server
	socket      *packets
	tag         tag // of its connections' IDs
	transport   *quic.Transport
	accepting   *quic.EarlyListener
	alternative *proxy.Alternative
	gate        gate
	warning     string // of its buffers; "": none

	// current is the listener of the generation in force: written by adopt, read for every connection that begins.
	current atomic.Pointer[listener]
	serving atomic.Bool    // the accept loop was started
	conns   sync.WaitGroup // what it accepted
	over    chan struct{}  // closed by abandon
	once    sync.Once      // of it
	done    chan struct{}  // closed when the socket is
}

// openEndpoint opens the UDP port of a TCP listener: an inherited one, or a new one. Nothing is accepted before adopt.
func (s *Server) openEndpoint(name string, tcp net.Addr) (*endpoint, error) {
	address, err := net.ResolveUDPAddr("udp", tcp.String())
	if err != nil {
		return nil, fmt.Errorf("open UDP for h3: %w", err)
	}
	socket, from := s.options.Inherited.Packets(name, tcp.String()), fromSocket
	switch {
	case socket == nil:
		if socket, err = net.ListenUDP("udp", address); err != nil {
			return nil, fmt.Errorf("open UDP for h3: %w", err)
		}
	case s.waits:
		from = fromNowhere // the process before reads it
	}
	_, port, _ := net.SplitHostPort(tcp.String()) // it has just been resolved
	e := &endpoint{server: s, socket: newPackets(socket, from, &s.elders), tag: newTag(), alternative: proxy.NewAlternative(port), over: make(chan struct{}), done: make(chan struct{})}
	e.transport = &quic.Transport{Conn: e.socket, VerifySourceAddress: e.doubts, ConnContext: remember, ConnectionIDGenerator: connectionIDs(e.tag), TokenGeneratorKey: s.quicTokens()}
	config := &quic.Config{GetConfigForClient: func(*quic.ClientInfo) (*quic.Config, error) {
		l := e.current.Load()
		if l == nil {
			return nil, errNotServing
		}
		return s.proxy.QUIC(l.data, l.config.EarlyData), nil
	}}
	e.accepting, err = e.transport.ListenEarly(s.certs.Config([]string{http3.Protocol}, tls.VersionTLS13), config)
	if err != nil {
		e.socket.close()
		return nil, fmt.Errorf("open UDP for h3: %w", err)
	}
	e.warning = bufferWarning(socket)
	return e, nil
}

var errNotServing = errors.New("not serving yet")

// doubts decides whether a client must prove its address before its handshake costs anything.
func (e *endpoint) doubts(net.Addr) bool {
	l := e.current.Load()
	if l == nil || !e.gate.closed(e.server.registry.Now()) {
		return false
	}
	l.data.Metrics.Retried()
	return true
}

// proved is the key under which a connection's context says that the client had proved its address before the handshake.
type proved struct{}

func remember(ctx context.Context, info *quic.ClientInfo) (context.Context, error) {
	ctx, _ = edgetls.Observe(ctx)
	return context.WithValue(ctx, proved{}, info.AddrVerified), nil
}

// adopt makes l the listener whose connections are accepted from now on. It cannot fail.
func (e *endpoint) adopt(l *listener) {
	e.current.Store(l)
	if !e.serving.Swap(true) {
		go e.accept()
	}
}

// accept ends when the endpoint takes no more; then it waits for its connections, and closes the socket.
func (e *endpoint) accept() {
	defer close(e.done)
	for {
		conn, err := e.accepting.Accept(context.Background())
		if err != nil {
			break
		}
		e.conns.Go(func() { e.serve(conn, e.current.Load()) })
	}
	e.conns.Wait()
	e.release()
}

// release closes the socket. There are no connections.
func (e *endpoint) release() {
	_ = e.transport.Close() // fails only when closed already
	e.socket.close()
}

// serve waits for the end of the handshake, unless early data is wanted and its sender is who it says: until then anybody may have written that address on a packet.
func (e *endpoint) serve(conn *quic.Conn, l *listener) {
	leave, ok := l.enterQUIC(conn)
	if !ok {
		_ = conn.CloseWithError(quic.ApplicationErrorCode(http3.ExcessiveLoad), "too many connections")
		return
	}
	defer leave()
	if verified, _ := conn.Context().Value(proved{}).(bool); !verified || !l.config.EarlyData {
		select {
		case <-conn.HandshakeComplete():
		case <-e.over:
			_ = conn.CloseWithError(quic.ApplicationErrorCode(http3.NoError), "")
			return
		case <-conn.Context().Done():
			l.server.log.Debug("handshake failed", zap.String(observe.KeyListener, l.config.Name), observe.Err(context.Cause(conn.Context())))
			return
		}
	}
	if conn.ConnectionState().TLS.NegotiatedProtocol != http3.Protocol { // a CA's validation, which belongs on TCP
		_ = conn.CloseWithError(quic.ApplicationErrorCode(http3.NoError), "")
		return
	}
	session := edgetls.SessionOf(conn.Context())
	session.Done(conn.ConnectionState().TLS)
	l.server.proxy.ServeHTTP3(conn, l.data, session)
}

// enterQUIC counts a connection in, or reports that there is no room for it: idle ones are not closed for it, which is the TCP accept loop's to do.
func (l *listener) enterQUIC(conn *quic.Conn) (leave func(), ok bool) {
	own, all, c := l.open.Add(1), l.server.crowd.open.Add(1), l.caps.Load()
	if c.total > 0 && own > c.total || all > l.server.crowd.most {
		l.leave()
		l.data.Metrics.Refused(observe.RefusedFull)
		return nil, false
	}
	alone, ok := l.perIP.enter(clientip.Of(conn.RemoteAddr()), c.perIP)
	if !ok {
		l.leave()
		l.data.Metrics.Refused(observe.RefusedPerIP)
		return nil, false
	}
	return func() { alone(); l.leave() }, true
}

// stop takes no more connections. Those that there are go on, as do handshakes that the client has an answer to: accept gets them still.
func (e *endpoint) stop() {
	_ = e.accepting.Close() // never fails
}

// abandon ends the handshakes that are under way.
func (e *endpoint) abandon() { e.once.Do(func() { close(e.over) }) }

// withdraw ends the endpoint: nobody is told of it any more, and its connections are sent away when they have what they asked for. It does not wait.
func (e *endpoint) withdraw() {
	e.stop()
	e.server.proxy.Withdraw(e.alternative)
}

// quicOf gives a new listener its endpoint: the one of its predecessor, a new one, or none.
func (s *Server) quicOf(l *listener, from *listener) (err error) {
	if !slices.Contains(l.config.Protocols, http3.Protocol) {
		return nil
	}
	if from != nil && from.quic != nil {
		l.quic = from.quic
	} else if l.quic, err = s.openEndpoint(l.config.Name, l.socket.Addr()); err != nil {
		return err
	}
	l.data.Alternative = l.quic.alternative
	return nil
}

// serveQUIC begins to accept.
func (l *listener) serveQUIC() {
	if l.quic != nil {
		l.quic.adopt(l)
		l.quic.socket.begin()
	}
}

// undoQUIC takes back what quicOf opened.
func (l *listener) undoQUIC() {
	if l.quic != nil && !l.quic.serving.Load() {
		l.quic.release()
	}
}

// retireQUIC ends the endpoints that no listener has any more.
func (s *Server) retireQUIC(kept []*listener) {
	for _, l := range s.listeners {
		if l.quic != nil && !slices.ContainsFunc(kept, func(o *listener) bool { return o.quic == l.quic }) {
			l.quic.withdraw()
			s.fading = append(s.fading, l.quic)
		}
	}
	s.fading = slices.DeleteFunc(s.fading, func(e *endpoint) bool {
		select {
		case <-e.done:
			return true
		default:
			return false
		}
	})
}

// stopQUIC takes no more connections anywhere.
func (s *Server) stopQUIC() {
	for _, l := range s.listeners {
		if l.quic != nil {
			l.quic.stop()
			s.fading = append(s.fading, l.quic)
		}
	}
}

// awaitQUIC waits until every endpoint has closed its socket, which they do when their last connection has gone.
func (s *Server) awaitQUIC() {
	for _, e := range s.fading {
		<-e.done
	}
}

// quicWarnings are those of the endpoints in force.
func quicWarnings(listeners []*listener) (list []string) {
	for _, l := range listeners {
		if l.quic != nil && l.quic.warning != "" {
			list = append(list, "listener "+l.config.Name+": "+l.quic.warning)
		}
	}
	return list
}

// wantedBuffer is what quic-go asks the kernel for, in bytes: a hundredth of a second of 5 Gbit/s, which is how long a busy machine may not come to read.
const wantedBuffer = 7 << 20

// bufferWarning tells of a socket whose buffers the kernel keeps smaller than quic-go has asked for.
func bufferWarning(socket *net.UDPConn) string {
	raw, err := socket.SyscallConn()
	if err != nil {
		return ""
	}
	var small []string
	_ = raw.Control(func(fd uintptr) { // fails only when closed
		for name, option := range map[string]int{"net.core.rmem_max": syscall.SO_RCVBUF, "net.core.wmem_max": syscall.SO_SNDBUF} {
			if n, err := syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, option); err == nil && n < wantedBuffer {
				small = append(small, name)
			}
		}
	})
	if len(small) == 0 {
		return ""
	}
	slices.Sort(small)
	return "the kernel keeps UDP buffers below the 7 MiB that HTTP/3 wants under load: set " + strings.Join(small, " and ") + " to 7500000 or more (sysctl)"
}
