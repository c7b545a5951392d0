package server

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// turnsOf makes n turns whose breaths do not wait: pipes and a bubble's clock do not go together.
func turnsOf(t *testing.T, n int, most int64) *turns {
	turns := &turns{free: make(chan *breath, n), most: most, began: time.Now()}
	for range n {
		b, err := newBreath()
		if err != nil {
			t.Fatal(err)
		}
		b.close()
		turns.free <- b
	}
	return turns
}

// TestTurns: never more at once than there are slots, in the order they came, and no more in line than may be.
func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := turnsOf(t, 2, 3)
		held := make(chan *breath, 3)
		for range 2 {
			b, err := turns.take(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			held <- b
		}
		order := make(chan int, 3)
		for i := range 3 {
			go func() {
				b, err := turns.take(t.Context())
				if err != nil {
					t.Error(err)
				}
				held <- b
				order <- i
			}()
			synctest.Wait()
		}
		if _, err := turns.take(t.Context()); !errors.Is(err, errOverload) {
			t.Errorf("behind the longest line: %v", err)
		}
		for want := range 3 {
			turns.give(<-held)
			if got := <-order; got != want {
				t.Errorf("%d was let in as number %d", got, want)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := turns.take(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a line that does not move: %v", err)
		}
		if n := turns.waiting.Load(); n != 0 {
			t.Errorf("%d are still counted", n)
		}
	})
}

// TestTurnConn: whoever waits for its client holds no turn; what computes does, one at a time; after the end nobody does.
func TestTurnConn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := turnsOf(t, 1, 100)
		var computing, most atomic.Int64
		var all sync.WaitGroup
		for range 20 {
			client, server := net.Pipe()
			all.Go(func() {
				c := &turnConn{Conn: server, ctx: t.Context(), turns: turns}
				for range 3 {
					if _, err := c.Read(make([]byte, 8)); err != nil {
						t.Error(err)
					}
					if n := computing.Add(1); n > most.Load() {
						most.Store(n)
					}
					time.Sleep(time.Millisecond) // of the bubble's clock: others would come in now
					computing.Add(-1)
				}
				c.end()
				if _, err := c.Read(make([]byte, 8)); err != nil {
					t.Error(err)
				}
				_ = server.Close()
			})
			go func() {
				for range 4 {
					time.Sleep(10 * time.Second) // a slow client: nobody else waits for it
					_, _ = client.Write([]byte("x"))
				}
			}()
		}
		begin := time.Now()
		all.Wait()
		if most.Load() != 1 {
			t.Errorf("%d computed at once", most.Load())
		}
		if d := time.Since(begin); d > 41*time.Second {
			t.Errorf("slow clients held up others: %v", d)
		}
		if len(turns.free) != 1 {
			t.Error("a turn was not given back")
		}
	})
}
