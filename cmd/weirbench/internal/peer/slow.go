package peer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"
)

// SlowOrigin is an HTTP server of this process that answers after a fixed time.
type SlowOrigin struct {
	Addr   netip.AddrPort
	served atomic.Int64 // written by every request's goroutine
	server *http.Server
	// done receives Serve's error from the one goroutine that serves.
	done chan error
}

// StartSlowOrigin starts one that has a worker for everybody. The owner calls Stop.
func StartSlowOrigin(delay time.Duration) (*SlowOrigin, error) {
	return startSlow(delay, nil)
}

// StartWorkers starts one that works on so many requests at a time and lets the others wait, as an application server does: its capacity is workers ÷ delay.
func StartWorkers(workers int, delay time.Duration) (*SlowOrigin, error) {
	return startSlow(delay, make(chan struct{}, workers))
}

func startSlow(delay time.Duration, workers chan struct{}) (*SlowOrigin, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start slow origin: %w", err)
	}
	o := &SlowOrigin{Addr: netip.MustParseAddrPort(l.Addr().String()), done: make(chan error, 1)}
	o.server = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if workers != nil {
			workers <- struct{}{}
			defer func() { <-workers }()
		}
		o.served.Add(1)
		timer := time.NewTimer(delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-r.Context().Done():
			return
		}
		// Write's error means that the proxy hung up; it has its own account of that.
		_, _ = w.Write([]byte(Answer))
	})}
	go func() { o.done <- o.server.Serve(l) }()
	return o, nil
}

// Served is how many requests have reached it.
func (o *SlowOrigin) Served() int64 { return o.served.Load() }

// Stop closes the listener and all connections and waits for the server to end.
func (o *SlowOrigin) Stop(ctx context.Context) error {
	if err := o.server.Close(); err != nil {
		return fmt.Errorf("stop slow origin: %w", err)
	}
	select {
	case err := <-o.done:
		if !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("stop slow origin: %w", err)
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
