package server

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valor-ivx/weir/proxy"
	"github.com/valor-ivx/weir/proxy/rollout"
	"github.com/valor-ivx/weir/upstream"
)

const (
	// rememberEvery is the time between two pages that are kept: the table of 64 is full within a quarter of a minute.
	rememberEvery = 250 * time.Millisecond

	// visitEvery and visitors bound what warming costs a group: 50 requests a second, 4 at a time.
	visitEvery = 20 * time.Millisecond
	visitors   = 4

	visitAgent = "weir-prewarm"
)

// warming asks a group for what others were asked for, before clients are sent to it. Its goroutines end with what there is to ask, with the time for it, or with end.
type warming struct {
	end  context.CancelFunc             // waits for nothing
	done chan struct{}                  // closed when all have ended
	told atomic.Pointer[rollout.Warmth] // nil until then
}

// errand is one page for one target.
type errand struct {
	peer *upstream.Peer
	page proxy.Page
}

// warm begins to ask every target of a live set for all pages, for so long at most.
func warm(live *upstream.LiveSet, pages []proxy.Page, limit time.Duration) *warming {
	ctx, end := context.WithTimeout(context.Background(), limit)
	w := &warming{end: end, done: make(chan struct{})}
	errands := make(chan errand)
	var asked, failed atomic.Int64
	var all sync.WaitGroup
	for range visitors {
		all.Go(func() {
			for e := range errands {
				status, err := e.peer.Visit(ctx, upstream.Visit{Host: e.page.Host, Path: e.page.Path, Secure: e.page.Secure, Agent: visitAgent})
				if ctx.Err() != nil {
					return // cut by us: it says nothing
				}
				if asked.Add(1); err != nil || status >= 500 {
					failed.Add(1)
				}
			}
		})
	}
	began := time.Now()
	go func() {
		defer close(w.done)
		defer end()
		hand(ctx, errands, live, pages)
		all.Wait()
		w.told.Store(&rollout.Warmth{Pages: len(pages), Requests: int(asked.Load()), Failed: int(failed.Load()), Took: time.Since(began).Round(time.Millisecond)})
	}()
	return w
}

// hand gives the errands out by the clock.
func hand(ctx context.Context, errands chan<- errand, live *upstream.LiveSet, pages []proxy.Page) {
	defer close(errands)
	tick := time.NewTicker(visitEvery)
	defer tick.Stop()
	for _, page := range pages {
		for i := range live.Len() {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			select {
			case <-ctx.Done():
				return
			case errands <- errand{live.At(i), page}:
			}
		}
	}
}

// warmed is what warming has come to: it begins when the group is live for the first time, before the first step. The rollout's goroutine's.
func (r *rolling) warmed(live *upstream.LiveSet) *rollout.Warmth {
	w := r.warming.Load()
	if w == nil {
		if r.cooled.Load() {
			return nil
		}
		var pages []proxy.Page
		if r.recent != nil {
			pages = r.recent.Pages()
		}
		w = warm(live, pages, r.prewarm)
		if r.warming.Store(w); r.cooled.Load() {
			w.end()
		}
	}
	return w.told.Load()
}

// cool ends the warming of a rollout that is over. It waits for nothing.
func (r *rolling) cool() {
	r.cooled.Store(true)
	if w := r.warming.Load(); w != nil {
		w.end()
	}
}
