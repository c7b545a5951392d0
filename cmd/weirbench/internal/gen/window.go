package gen

import (
	"context"
	"errors"
	"time"
)

// window reads a cost and a count, waits, and reads both again, while a load goes on.
type window struct {
	open  time.Duration
	cost  func() (time.Duration, error)
	count func() int64
	errs  <-chan error // what the load meets meanwhile
}

var errNothing = errors.New("nothing was done while the window was open")

// measure returns what cost and count grew by. No growth of count is an error, not a division by zero.
func (w window) measure(ctx context.Context) (time.Duration, int64, error) {
	c0, err := w.cost()
	if err != nil {
		return 0, 0, err
	}
	n0 := w.count()
	timer := time.NewTimer(w.open)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return 0, 0, ctx.Err()
	case err := <-w.errs:
		return 0, 0, err
	case <-timer.C:
	}
	n1 := w.count()
	c1, err := w.cost()
	if err == nil && n1 == n0 {
		err = errNothing
	}
	return c1 - c0, n1 - n0, err
}
