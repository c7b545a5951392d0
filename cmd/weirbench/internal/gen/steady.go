package gen

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Steady are a few clients on TLS connections of their own, which they made before the measurement: each asks every Every, on time whatever became of the
// request before, as far as one connection allows.
type Steady struct {
	Addr  netip.AddrPort
	Path  string
	Conns int
	Every time.Duration
}

// steadyClient is one of them.
type steadyClient struct {
	conn *tls.Conn
	in   *bufio.Reader
}

// Dial makes the connections and asks once on each.
func (s Steady) Dial(ctx context.Context) (list []*steadyClient, err error) {
	for range s.Conns {
		conn, err := (&tls.Dialer{Config: clientTLS()}).DialContext(ctx, "tcp", s.Addr.String())
		if err != nil {
			return list, fmt.Errorf("dial a steady client: %w", err)
		}
		c := &steadyClient{conn: conn.(*tls.Conn), in: bufio.NewReader(conn)}
		list = append(list, c)
		if err := c.ask(s); err != nil {
			return list, err
		}
	}
	return list, nil
}

// Run asks on clients for d and returns latencies, ns from when a request was due, sorted. A request that fails is an error: established connections are what a
// flood must not touch.
func (s Steady) Run(clients []*steadyClient, d time.Duration) ([]int64, error) {
	var mu sync.Mutex // guards the two below
	var latencies []int64
	var failed error
	var wait sync.WaitGroup
	start := time.Now()
	for i, c := range clients {
		wait.Go(func() {
			offset := s.Every * time.Duration(i) / time.Duration(len(clients))
			for due := start.Add(offset); due.Before(start.Add(d)); due = due.Add(s.Every) {
				time.Sleep(time.Until(due))
				err := c.ask(s)
				took := int64(time.Since(due))
				mu.Lock()
				latencies = append(latencies, took)
				if err != nil && failed == nil {
					failed = err
				}
				mu.Unlock()
				if err != nil {
					return
				}
			}
		})
	}
	wait.Wait()
	slices.Sort(latencies)
	return latencies, failed
}

// Close closes the clients' connections.
func (s Steady) Close(clients []*steadyClient) {
	for _, c := range clients {
		_ = c.conn.Close()
	}
}

func (c *steadyClient) ask(s Steady) error {
	_ = c.conn.SetDeadline(time.Now().Add(10 * time.Second)) // on a closed connection the write says so
	if _, err := io.WriteString(c.conn, "GET "+s.Path+" HTTP/1.1\r\nHost: "+s.Addr.String()+"\r\n\r\n"); err != nil {
		return fmt.Errorf("ask on an established connection: %w", err)
	}
	res, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return fmt.Errorf("ask on an established connection: %w", err)
	}
	_, err = io.Copy(io.Discard, res.Body)
	_ = res.Body.Close()
	if err != nil || res.StatusCode != http.StatusOK {
		return fmt.Errorf("ask on an established connection: status %d, %v", res.StatusCode, err)
	}
	return nil
}
