package gen

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// inFlight bounds how many connections are asked at a time by EachOnce: holding connections open is
// what it prepares, so it must not make the proxy open a pool of thousands to its origin.
const inFlight = 64

// EachOnce sends one request on every connection and waits for all answers. Any answer but 200, a
// broken connection, or an answer missing after within, is an error: the pool is then no measure.
func (p *Pool) EachOnce(ctx context.Context, within time.Duration) error {
	o := once{pool: p}
	for range min(inFlight, len(p.conns)) {
		o.askNext()
	}
	for end := time.Now().Add(within); o.done < len(p.conns); {
		if o.err != nil {
			return o.err
		}
		if time.Now().After(end) {
			return fmt.Errorf("ask each connection once: %d of %d unanswered after %v", len(p.conns)-o.done, len(p.conns), within)
		}
		if err := p.wait(ctx, 20, &o); err != nil {
			return err
		}
	}
	return o.err
}

type once struct {
	pool *Pool
	next int // the first connection not asked yet
	done int
	err  error
}

func (o *once) answered(i, status int) {
	o.done++
	if status != 200 {
		o.err = errors.Join(o.err, fmt.Errorf("ask connection %d: status %d", i, status))
		return
	}
	o.askNext()
}

func (o *once) broke(i int, _ bool, err error) {
	o.err = errors.Join(o.err, fmt.Errorf("ask connection %d: %w", i, err))
}

func (o *once) askNext() {
	if o.err != nil || o.next == len(o.pool.conns) {
		return
	}
	i := o.next
	o.next++
	if o.pool.conns[i].fd < 0 {
		o.err = fmt.Errorf("ask connection %d: closed before it was asked", i)
		return
	}
	o.err = o.pool.send(i)
}
