package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// counts are answers as clients saw them.
type counts struct {
	Asked       int `json:"asked"`
	Blue        int `json:"blue"`         // by blue, well
	Green       int `json:"green"`        // by green, well
	GreenFailed int `json:"green_failed"` // by green, with an error
	BlueFailed  int `json:"blue_failed"`  // errors that are not green's, weir's own among them, and lost connections
}

func (c counts) since(o counts) counts {
	return counts{c.Asked - o.Asked, c.Blue - o.Blue, c.Green - o.Green, c.GreenFailed - o.GreenFailed, c.BlueFailed - o.BlueFailed}
}

// crowd are clients that ask by the clock. Each has an address and a connection, and a goroutine that ends with stop.
type crowd struct {
	address string
	every   time.Duration // between two requests of one client
	start   time.Time
	quit    chan struct{}
	done    sync.WaitGroup
	clients []*client

	mu     sync.Mutex // guards what follows: a thousand times a second
	seen   counts
	broken []string // what went wrong beside green's errors, the first few
}

type client struct {
	conn net.Conn
	r    *bufio.Reader
	n    atomic.Int64 // answered; read by whoever waits for a round
}

// answerLimit is what no answer takes that is still to come.
const answerLimit = time.Minute

// gather connects the clients and starts them, each at its own moment of the common interval, so that requests are spread evenly.
func gather(ctx context.Context, address string, o options) (*crowd, error) {
	c := &crowd{address: address, every: time.Duration(o.clients) * time.Second / time.Duration(o.rate), quit: make(chan struct{})}
	for i := range o.clients {
		// 127.10.0.1 and up: addresses of the loopback network that nothing else uses.
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 10, byte(i/250), byte(1+i%250))}}
		conn, err := d.DialContext(ctx, "tcp", address)
		if err != nil {
			c.stop()
			return nil, fmt.Errorf("connect client %d: %w", i, err)
		}
		c.clients = append(c.clients, &client{conn: conn, r: bufio.NewReader(conn)})
	}
	c.start = time.Now()
	for i, cl := range c.clients {
		offset := c.every * time.Duration(i) / time.Duration(len(c.clients))
		c.done.Go(func() { c.ask(cl, i, offset) })
	}
	return c, nil
}

// stop ends the clients once they are answered.
func (c *crowd) stop() {
	close(c.quit)
	c.done.Wait()
	for _, cl := range c.clients {
		_ = cl.conn.Close() // everything was read
	}
}

// The two requests. The read may be asked of blue when green fails it, the valuation is answered as it comes: half of the errors are there to be seen.
const (
	read  = "GET /api/runs HTTP/1.1\r\nHost: weir.test\r\n\r\n"
	write = "POST /api/dcf HTTP/1.1\r\nHost: weir.test\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
)

// ask sends reads and writes in turn. A client that is late asks at once: what is owed is asked.
func (c *crowd) ask(cl *client, i int, offset time.Duration) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for n := 0; ; n++ {
		timer.Reset(time.Until(c.start.Add(offset + time.Duration(n)*c.every)))
		select {
		case <-c.quit:
			return
		case <-timer.C:
		}
		request := read
		if (n+i)%2 == 1 {
			request = write
		}
		status, colour, err := cl.say(request)
		c.count(request, status, colour, err)
		cl.n.Add(1)
		if err != nil {
			return // the connection is gone, and was not to go
		}
	}
}

func (cl *client) say(request string) (status int, colour string, err error) {
	_ = cl.conn.SetDeadline(time.Now().Add(answerLimit)) // fails on a closed connection only, which the write finds
	if _, err := io.WriteString(cl.conn, request); err != nil {
		return 0, "", fmt.Errorf("ask: %w", err)
	}
	res, err := http.ReadResponse(cl.r, nil)
	if err != nil {
		return 0, "", fmt.Errorf("read answer: %w", err)
	}
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return 0, "", fmt.Errorf("read answer: %w", err)
	}
	return res.StatusCode, res.Header.Get("X-Valor-Color"), nil
}

// remembered is how many failures are told in full.
const remembered = 5

func (c *crowd) count(request string, status int, colour string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen.Asked++
	switch {
	case err == nil && status == http.StatusOK && colour == "blue":
		c.seen.Blue++
	case err == nil && status == http.StatusOK && colour == "green":
		c.seen.Green++
	case err == nil && colour == "green":
		c.seen.GreenFailed++
	default:
		c.seen.BlueFailed++
		if len(c.broken) < remembered {
			c.broken = append(c.broken, fmt.Sprintf("%.20q…: %d by %q, %v", request, status, colour, err))
		}
	}
}

func (c *crowd) counts() counts {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seen
}

// round waits until every client has been answered once more, twice over: what was asked before the call is then counted.
func (c *crowd) round(ctx context.Context) error {
	before := make([]int64, len(c.clients))
	for i, cl := range c.clients {
		before[i] = cl.n.Load()
	}
	return await(ctx, "every client is answered", func() (bool, error) {
		for i, cl := range c.clients {
			if cl.n.Load() < before[i]+2 {
				return false, c.whole()
			}
		}
		return true, nil
	})
}

// whole says what went wrong that is not green's.
func (c *crowd) whole() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.broken) == 0 {
		return nil
	}
	return fmt.Errorf("%d requests failed that green did not fail, the first of them: %q", c.seen.BlueFailed, c.broken)
}

// await asks until the answer is yes, or an error, or ctx ends.
func await(ctx context.Context, what string, is func() (bool, error)) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		switch ok, err := is(); {
		case err != nil:
			return fmt.Errorf("wait until %s: %w", what, err)
		case ok:
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait until %s: %w", what, ctx.Err())
		case <-tick.C:
		}
	}
}
