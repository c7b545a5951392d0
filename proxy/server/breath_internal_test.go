package server

import (
	"io"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestBreath: no breath is waited for in vain, however many are taken at once, and none on a closed one.
func TestBreath(t *testing.T) {
	turns, err := newTurns()
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			for range 2000 {
				b := <-turns.free
				b.take()
				turns.free <- b
			}
		})
	}
	all.Wait()
	b := <-turns.free
	turns.free <- b
	turns.close()
	b.take()
}

// TestTurnsLetOthersIn: on one processor, with somebody always ready to compute, a connection is still served after every few turns. Counted in turns, not in time: the scheduler's own look
// at the sockets, every 10 ms, is some fifty turns apart, and an exchange needs two of them.
func TestTurnsLetOthersIn(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	turns, err := newTurns()
	if err != nil {
		t.Fatal(err)
	}
	defer turns.close()
	var taken atomic.Int64
	var over atomic.Bool
	var all sync.WaitGroup
	defer all.Wait()
	defer over.Store(true)
	for range 64 {
		all.Go(func() {
			for !over.Load() {
				b, err := turns.take(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				if turns.rushed() {
					b.take()
				}
				for begin := time.Now(); time.Since(begin) < 200*time.Microsecond; {
				}
				taken.Add(1)
				turns.give(b)
			}
		})
	}
	client := echoed(t)
	const exchanges = 200
	before := taken.Load()
	for range exchanges {
		if _, err := client.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(client, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
	if n := (taken.Load() - before) / exchanges; n > 10 {
		t.Errorf("%d turns were taken before an exchange on an established connection was done", n)
	}
}

// echoed is a connection whose other end says everything back.
func echoed(t *testing.T) net.Conn {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		_, _ = io.Copy(struct{ io.Writer }{conn}, struct{ io.Reader }{conn}) // not by splice, which an exchange is not
		_ = conn.Close()
	}()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}
