package gen

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Bulk reads one path over and over on a few keep-alive connections and counts body bytes.
type Bulk struct {
	addr netip.AddrPort
	path string
	// bytes is added to by every reader after each read, so that two readings around a window tell
	// what passed in it however large one body is.
	bytes  atomic.Int64
	cancel context.CancelFunc
	wait   sync.WaitGroup
	errs   chan error // one per reader at most
}

// StartBulk starts conns readers, one goroutine each, owned by the Bulk: they end at Stop or with ctx.
func StartBulk(ctx context.Context, addr netip.AddrPort, path string, conns int) *Bulk {
	ctx, cancel := context.WithCancel(ctx)
	b := &Bulk{addr: addr, path: path, cancel: cancel, errs: make(chan error, conns)}
	for range conns {
		b.wait.Go(func() {
			if err := b.read(ctx); err != nil && ctx.Err() == nil {
				b.errs <- fmt.Errorf("read %s: %w", path, err)
			}
		})
	}
	return b
}

// Bytes is how many body bytes have arrived so far.
func (b *Bulk) Bytes() int64 { return b.bytes.Load() }

// Stop ends the readers and returns the first error any of them met before that.
func (b *Bulk) Stop() error {
	b.cancel()
	b.wait.Wait()
	select {
	case err := <-b.errs:
		return err
	default:
		return nil
	}
}

func (b *Bulk) read(ctx context.Context) error {
	conn, err := (&net.Dialer{Timeout: 30 * time.Second}).DialContext(ctx, "tcp", b.addr.String())
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	request := []byte("GET " + b.path + " HTTP/1.1\r\nHost: " + b.addr.String() + "\r\n\r\n")
	buffer := make([]byte, 256<<10)
	for {
		if _, err := conn.Write(request); err != nil {
			return err
		}
		if err := b.readOne(conn, buffer); err != nil {
			return err
		}
	}
}

func (b *Bulk) readOne(conn net.Conn, buffer []byte) error {
	var reply Reply
	for {
		n, err := conn.Read(buffer)
		if err != nil {
			return err
		}
		before := reply.left
		inBody := reply.status != 0
		used, status, done, err := reply.Feed(buffer[:n])
		if err != nil {
			return err
		}
		if used < n {
			return errUnasked
		}
		// Of the piece that ends the head, what is left after Feed tells the body's share only
		// together with the length; head bytes (a few hundred per body) are counted with it.
		if inBody {
			b.bytes.Add(before - reply.left)
		} else {
			b.bytes.Add(int64(n))
		}
		if done && status != 200 {
			return fmt.Errorf("status %d", status)
		}
		if done {
			return nil
		}
	}
}

// Window measures between two calls of cost (anything that grows, such as CPU time): it returns what
// cost and bytes grew by while the window was open.
func (b *Bulk) Window(ctx context.Context, open time.Duration, cost func() (time.Duration, error)) (time.Duration, int64, error) {
	return window{open: open, cost: cost, count: b.Bytes, errs: b.errs}.measure(ctx)
}
