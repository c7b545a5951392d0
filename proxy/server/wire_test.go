package server_test

import (
	"io"
	"net"
	"sync"
	"testing"
)

// wire is a way to a server that can be cut and mended.
type wire struct {
	address string
	to      string

	mu    sync.Mutex // guards what follows
	down  bool
	conns map[net.Conn]bool
	work  sync.WaitGroup
}

func newWire(t *testing.T, to string) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{address: l.Addr().String(), to: to, conns: map[net.Conn]bool{}}
	w.work.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			w.work.Go(func() { w.carry(conn) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		w.cut()
		w.work.Wait()
	})
	return w
}

// keep notes a connection, to be closed by cut; false: the wire is cut.
func (w *wire) keep(c net.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.down {
		_ = c.Close()
		return false
	}
	w.conns[c] = true
	return true
}

func (w *wire) drop(c net.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	_ = c.Close()
	delete(w.conns, c)
}

func (w *wire) carry(client net.Conn) {
	if !w.keep(client) {
		return
	}
	defer w.drop(client)
	server, err := net.Dial("tcp", w.to)
	if err != nil || !w.keep(server) {
		return
	}
	defer w.drop(server)
	w.work.Go(func() {
		_, _ = io.Copy(server, client)
		w.drop(server)
	})
	_, _ = io.Copy(client, server)
}

// cut closes every connection, and those that come.
func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.down = true
	for c := range w.conns {
		_ = c.Close()
	}
}

func (w *wire) mend() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.down = false
}
