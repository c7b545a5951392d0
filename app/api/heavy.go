package api

import (
	"context"
	"runtime"
)

// heavy bounds how much computes at once to the processors there are: more would make each slower, and every other request with them.
type heavy chan struct{}

func newHeavy() heavy { return make(heavy, runtime.GOMAXPROCS(0)) }

// take waits for one processor and takes those that are free besides, up to most. It gives how many, and the context's error when that ended first.
func (h heavy) take(ctx context.Context, most int) (workers int, err error) {
	select {
	case h <- struct{}{}:
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	for workers = 1; workers < most; workers++ {
		select {
		case h <- struct{}{}:
		default:
			return workers, nil
		}
	}
	return workers, nil
}

func (h heavy) give(workers int) {
	for range workers {
		<-h
	}
}
