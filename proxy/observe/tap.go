package observe

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
)

const (
	// mostTaps bounds who watches: each costs every request that ends a comparison.
	mostTaps = 8
	// tapQueue is how many requests a tap may be late, some 500 kB of them.
	tapQueue = 1024
	// mostTapped is what a tap gets in a second. More than that nobody reads, and putting it into words would take a processor from the traffic.
	mostTapped = 2000
)

// ErrManyTaps is that there are as many taps as may be.
var ErrManyTaps = errors.New("too many taps")

// Taps hand requests that have ended to those who watch. Without any they cost a request one load. Safe for concurrent use; nil is one that nobody watches.
type Taps struct {
	mu   sync.Mutex             // orders Open and Close
	open atomic.Pointer[[]*Tap] // nil: none. Written under mu; a list never changes
}

// Tap is one watch: of the requests that Query chooses (Limit, Since and Slow apart) and that had a field named Header, if that is not empty.
type Tap struct {
	Query  Query
	Header string

	of     *Taps
	queue  chan Recorded
	missed atomic.Uint64 // since the last Next
	second atomic.Int64  // of the proxy's clock, in which given were given
	given  atomic.Int64
}

// Open begins a watch: the requests that end from now on are for it. Whoever opens a tap closes it.
func (t *Taps) Open(q Query, header string) (*Tap, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var list []*Tap
	if open := t.open.Load(); open != nil {
		list = *open
	}
	if len(list) == mostTaps {
		return nil, ErrManyTaps
	}
	tap := &Tap{Query: q, Header: header, of: t, queue: make(chan Recorded, tapQueue)}
	list = append(slices.Clone(list), tap)
	t.open.Store(&list)
	return tap, nil
}

// Close ends the watch. The second call does nothing.
func (w *Tap) Close() {
	t := w.of
	t.mu.Lock()
	defer t.mu.Unlock()
	open := t.open.Load()
	if open == nil {
		return
	}
	list := slices.DeleteFunc(slices.Clone(*open), func(other *Tap) bool { return other == w })
	if len(list) == 0 {
		t.open.Store(nil)
		return
	}
	t.open.Store(&list)
}

// Watching are the open taps; nil when there is none.
func (t *Taps) Watching() []*Tap {
	if t == nil {
		return nil
	}
	open := t.open.Load()
	if open == nil {
		return nil
	}
	return *open
}

// Offer gives the tap a copy of e if it is one that it wants. It never waits: what there is no room for is missed, and counted.
func (w *Tap) Offer(e *Recorded) {
	if !w.Query.wants(e) {
		return
	}
	// A request that ends while another begins the count anew may be counted before that: then one more is given.
	now := e.End / 1e9
	if was := w.second.Load(); now > was && w.second.CompareAndSwap(was, now) {
		w.given.Store(0)
	}
	if w.given.Add(1) > mostTapped {
		w.missed.Add(1)
		return
	}
	select {
	case w.queue <- *e:
	default:
		w.missed.Add(1)
	}
}

// Next waits for a request into e; false when ctx has ended first.
func (w *Tap) Next(ctx context.Context, e *Recorded) bool {
	select {
	case *e = <-w.queue:
		return true
	case <-ctx.Done():
		return false
	}
}

// Missed are how many requests there was no room for since it was last asked.
func (w *Tap) Missed() uint64 { return w.missed.Swap(0) }
