package auth

import (
	"context"
	"sync/atomic"
	"time"
)

const (
	fetchTimeout = 10 * time.Second
	newKeyWait   = 3 * time.Second // how long a token of an unknown key waits for a fetch
	newKeyWaits  = 64              // tokens that may
	mostBackOff  = time.Minute
)

// fetcher keeps something that others know up to date. The goroutine of run fetches it, first at once, until close.
type fetcher struct {
	fetch   func(ctx context.Context) error
	refresh time.Duration // between two fetches when all is well; after a failure a second, doubled up to a minute
	pause   time.Duration // at least so long between two fetches that are asked for
	failed  func(err error)
	failing atomic.Bool // written by run
	waiting atomic.Int64
	wanted  chan chan struct{} // to run: fetch soon, and close this when it has been tried
	end     context.CancelFunc
	done    chan struct{}
}

// start begins to fetch.
func (f *fetcher) start() {
	ctx, end := context.WithCancel(context.Background())
	f.wanted, f.end, f.done = make(chan chan struct{}, newKeyWaits), end, make(chan struct{})
	go f.run(ctx)
}

func (f *fetcher) run(ctx context.Context) {
	defer close(f.done)
	backOff := time.Second
	for {
		next := f.refresh
		err := f.fetch(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			next = min(backOff, next)
			backOff = min(2*backOff, mostBackOff)
			f.failed(err)
		} else {
			backOff = time.Second
		}
		f.failing.Store(err != nil)
		if !f.rest(ctx, next) {
			return
		}
	}
}

// rest waits until the next fetch is due. One that is asked for comes first, but not before the pause is over: until then whoever asks is told at once
// that nothing came of it, or a flood of made-up keys would be one of fetches.
func (f *fetcher) rest(ctx context.Context, next time.Duration) bool {
	due := time.NewTimer(next)
	defer due.Stop()
	from := time.Now()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-due.C:
			return true
		case tried := <-f.wanted:
			if time.Since(from) >= f.pause {
				err := f.fetch(ctx)
				f.failing.Store(err != nil)
				from = time.Now()
			}
			close(tried)
		}
	}
}

// renew waits for a fetch that a request asks for; with left there is nobody to tell of it.
func (f *fetcher) renew(r *Request) outcome {
	defer f.waiting.Add(-1)
	if f.waiting.Add(1) > newKeyWaits {
		return late
	}
	tried := make(chan struct{})
	select {
	case f.wanted <- tried:
	default:
		return late
	}
	return r.await(tried, f.done, newKeyWait)
}

func (f *fetcher) close() {
	f.end()
	<-f.done
}
