package server

import (
	"context"
	"os"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/valor-ivx/weir/proxy/admin"
	"github.com/valor-ivx/weir/proxy/websocket"
)

// leave makes this process one that nobody new comes to, and gives what ends its admin API: last of all, because it says how the end goes, or at once, because
// another process answers there.
func (s *Server) leave() (left func(context.Context)) {
	s.mu.Lock() // a reload under way ends first; later ones see stopping
	defer s.mu.Unlock()
	if a := s.acme.Load(); a != nil {
		a.Close() // before its listeners: where nobody listens it would itself
	}
	if s.handed.Load() {
		for _, l := range s.listeners {
			_ = l.socket.Close() // it lives on in the other process, where what waits is accepted
		}
		return func(context.Context) { <-s.answered }
	}
	s.tell(s.options.Notify.Stopping())
	for _, l := range s.listeners { // before anybody can tell that it ends: an answer from now on must not lead its client to a port that will be shut
		if l.quic != nil {
			s.proxy.Withdraw(l.quic.alternative)
		}
	}
	for _, l := range s.listeners {
		_ = l.close() // a socket that cannot be closed is closed by the end of the process
	}
	s.stopQUIC()
	return s.closeAdmin
}

// linger serves on for the drain delay, to clients old and new, and says goodbye to each of them with its answer: so those that a balancer still sends find an open port, and when that is shut, hardly anybody is left. /readyz fails
// already. A second signal or stop --now ends it, and what comes after.
func (s *Server) linger(signals <-chan os.Signal) {
	if s.options.DrainDelay <= 0 {
		return
	}
	s.log.Info("stopping soon", zap.Duration("weir.drain_delay", s.options.DrainDelay))
	s.tell(s.options.Notify.Stopping())
	s.mu.Lock()
	for _, l := range s.listeners {
		if l.quic != nil {
			s.proxy.Withdraw(l.quic.alternative)
		}
	}
	s.mu.Unlock()
	s.proxy.Announce()
	over := time.NewTimer(s.options.DrainDelay)
	defer over.Stop()
	for {
		select {
		case <-over.C:
			return
		case again := <-s.stops:
			if again == admin.StopNow {
				s.options.DrainTimeout = time.Nanosecond
				return
			}
		case sig := <-signals:
			if sig == syscall.SIGTERM || sig == syscall.SIGINT || sig == syscall.SIGQUIT {
				s.options.DrainTimeout = time.Nanosecond
				return
			}
		}
	}
}

// parting is how long connections that rest may go on resting in a process that was replaced: most clients ask again within it, are answered and told to come anew, and have not
// found a connection closed that they were about to use. No longer than half of the drain.
const parting = 10 * time.Second

// empty ends what runs on connections, until limit ends, and reports whether everything ended by itself.
func (s *Server) empty(limit context.Context) bool {
	if s.handed.Load() {
		s.proxy.Announce()
		wait := parting
		if d := s.options.DrainTimeout; d > 0 {
			wait = min(wait, d/2)
		}
		s.awaitNobody(limit, wait)
	}
	defer time.AfterFunc(lastHandshake, s.endHandshakes).Stop()
	for {
		// A connection that had just been accepted, or was in its handshake, joins the proxy after that.
		if s.proxy.Shutdown(limit) && s.awaitNobody(limit, lookAgain) {
			return true
		}
		if limit.Err() != nil {
			s.endHandshakes()
			s.proxy.Shutdown(limit) // those that joined meanwhile
			return false
		}
	}
}

// lastHandshake is how long the handshakes under way at the end may take: for scanners, who say nothing, the end would wait until handshakeTimeout.
const lastHandshake = time.Second

func (s *Server) endHandshakes() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.listeners {
		l.abandon()
	}
	for _, e := range s.fading {
		e.abandon()
	}
}

// partSockets has WebSockets, which end by themselves only if somebody says so, closed in the course of a drain until limit ends, and then gives the number of those it has asked to leave. Without a
// deadline nobody is sent away.
func (s *Server) partSockets(limit context.Context) <-chan int {
	asked := make(chan int, 1)
	deadline, ok := limit.Deadline()
	if !ok {
		close(asked)
		return asked
	}
	code := uint16(websocket.GoingAway)
	if s.handed.Load() {
		code = websocket.ServiceRestart
	}
	now := time.Now()
	begin, end := partingTimes(deadline.Sub(now))
	go func() { asked <- s.proxy.CloseWebSockets(limit, code, now.Add(begin), now.Add(end)) }()
	return asked
}

// partingTimes are when in a drain the first and the last WebSocket is closed: 60 % and 90 % of it, if it is long. The last one is left its farewell, and a third of the time lies between the two.
func partingTimes(drain time.Duration) (begin, end time.Duration) {
	end = drain - min(max(drain/10, websocket.Farewell), drain/2)
	return end * 2 / 3, end
}

// lookAgain is how long connections that are on their way to the proxy are waited for before it is told again that the end is near.
const lookAgain = 20 * time.Millisecond

// awaitNobody waits for the last connection to end, those in handshakes among them, and reports whether it did.
func (s *Server) awaitNobody(ctx context.Context, most time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	look := time.NewTicker(lookAgain / 4)
	defer look.Stop()
	for s.crowd.open.Load() > 0 {
		select {
		case <-look.C:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// awaitUpgrade waits for the end of an upgrade, if one is under way: it has been told that the process stops, or has replaced it by now.
func (s *Server) awaitUpgrade() {
	s.orders.Wait()
	s.reloading.Lock() // an upgrade holds it from its beginning to its end
	defer s.reloading.Unlock()
	if s.handed.Load() {
		s.log.Info("another process serves, this one drains")
	}
}
