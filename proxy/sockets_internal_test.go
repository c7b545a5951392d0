package proxy

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/valor-ivx/weir/proxy/websocket"
)

// guest is the client of a WebSocket.
type guest struct {
	told func()
	hold <-chan struct{} // nil: what it is told it takes at once
}

func (g *guest) Write(b []byte) (int, error) {
	if g.hold != nil {
		<-g.hold
	} else {
		g.told()
	}
	return len(b), nil
}

func (*guest) StopReading() error { return nil }

// TestCloseWebSockets: 300 WebSockets are closed evenly over their time, one that takes nothing holds up none of the others, one that has ended is spared, and who comes later goes at once.
func TestCloseWebSockets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const sockets, begin, end = 300, 6 * time.Second, 9 * time.Second
		p, from := &Proxy{}, time.Now()
		var mu sync.Mutex
		var at []time.Duration // when they were told to go
		told := func() {
			mu.Lock()
			defer mu.Unlock()
			at = append(at, time.Since(from))
		}
		sofar := func() []time.Duration {
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			return slices.Clone(at)
		}
		come := func(hold <-chan struct{}) *websocket.Socket { return p.sockets.open(&guest{told, hold}, nil) }
		take := make(chan struct{})
		come(take)
		for range sockets {
			come(nil)
		}
		p.sockets.end(come(nil))
		ctx, cancel := context.WithCancel(t.Context())
		asked := make(chan int)
		go func() { asked <- p.CloseWebSockets(ctx, websocket.GoingAway, from.Add(begin), from.Add(end)) }()
		tenth := (end - begin) / 10
		for i := range time.Duration(10) {
			time.Sleep(time.Until(from.Add(begin + i*tenth)))
			if got, want := len(sofar()), int(i)*sockets/10; got < want-3 || got > want+3 {
				t.Errorf("after %v: %d have been closed, want %d", time.Since(from), got, want)
			}
		}
		time.Sleep(time.Until(from.Add(end)))
		if at := sofar(); len(at) != sockets || at[0] < begin {
			t.Errorf("%d were closed, the first after %v", len(at), at[0])
		}
		come(nil)
		time.Sleep(farewellRound)
		if len(sofar()) != sockets+1 {
			t.Error("who came later is still there")
		}
		cancel()
		synctest.Wait()
		select {
		case n := <-asked:
			t.Errorf("%d: it has not waited for who takes nothing", n)
		default:
		}
		close(take)
		if n := <-asked; n != sockets+2 {
			t.Errorf("says that %d were asked", n)
		}
	})
}
