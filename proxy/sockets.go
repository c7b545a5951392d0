package proxy

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/valor-ivx/weir/proxy/http1"
	"github.com/valor-ivx/weir/proxy/websocket"
)

// sockets are the WebSockets that nobody has asked to end.
type sockets struct {
	mu      sync.Mutex // guards staying; held for a map operation when a WebSocket begins and ends, and for a round of farewells
	staying map[*websocket.Socket]struct{}
	parting sync.WaitGroup // the goroutines that say farewell
}

func (s *sockets) open(client websocket.Client, upstream net.Conn) *websocket.Socket {
	socket := websocket.New(client, upstream)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.staying == nil {
		s.staying = map[*websocket.Socket]struct{}{}
	}
	s.staying[socket] = struct{}{}
	return socket
}

func (s *sockets) end(socket *websocket.Socket) {
	s.mu.Lock()
	delete(s.staying, socket)
	s.mu.Unlock()
	socket.End()
}

// part asks that share of them to end, 0 to 1, any of them, and says how many. What is less than one is carried over to the next round.
func (s *sockets) part(share float64, carry *float64, code uint16) (asked int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*carry += share * float64(len(s.staying))
	for socket := range s.staying { // in no order
		if *carry < 1 {
			break
		}
		*carry--
		asked++
		delete(s.staying, socket)
		s.parting.Go(func() { socket.Part(code) }) // it ends when the client has taken the frame, or its connection is closed
	}
	return asked
}

// farewellRound is the time between two rounds of CloseWebSockets.
const farewellRound = 20 * time.Millisecond

// CloseWebSockets closes every WebSocket with that status code, one after the other from begin to end and whoever comes later at once, until ctx ends: clients that come again all at the same moment
// would be an attack on whoever serves next. It says how many it has asked to leave. Shutdown must have cut, or be about to, what is left.
func (p *Proxy) CloseWebSockets(ctx context.Context, code uint16, begin, end time.Time) (asked int) {
	round := time.NewTicker(farewellRound)
	defer round.Stop()
	defer p.sockets.parting.Wait()
	carry := 0.0
	for {
		select {
		case <-ctx.Done():
			return asked
		case now := <-round.C:
			switch left := end.Sub(now); {
			case left <= farewellRound:
				carry = 0
				asked += p.sockets.part(1, &carry, code)
			case !now.Before(begin):
				asked += p.sockets.part(float64(farewellRound)/float64(left), &carry, code)
			}
		}
	}
}

// connClient is the client of a WebSocket by HTTP/1, whose connection is the tunnel's.
type connClient struct {
	net.Conn
	http *http1.ServerConn
}

// StopReading implements websocket.Client.
func (c connClient) StopReading() error { return c.http.StopReading() }

// streamClient is the client of a WebSocket on a stream.
type streamClient struct{ downstream }

// Write implements websocket.Client.
func (c streamClient) Write(p []byte) (int, error) {
	c.downstream.Write(p)
	c.Flush()
	return len(p), c.Err()
}
