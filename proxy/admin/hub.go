package admin

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
)

const (
	// maxWatchers bounds who holds a connection of the admin API for good: some people's browsers and terminals.
	maxWatchers = 32
	// watcherQueue is how many frames a watcher may be late, in seconds. One that is later is let go: what it would see is no longer so.
	watcherQueue = 4
)

var errManyWatchers = errors.New("too many watchers")

// hub hands one series of frames to all watchers. Its goroutine, the only one that asks for frames, runs while there is a watcher.
type hub struct {
	control Control

	mu       sync.Mutex // guards what follows; held for channel sends that never wait
	watchers map[*watcher]bool
	series   *series
	closed   bool
}

// series is the frames from the first watcher's coming to the last one's going.
type series struct {
	cancel context.CancelFunc
	last   []byte // nil before the first frame
}

// watcher is one reader of events. frames is closed by the hub when it lets the watcher go.
type watcher struct{ frames chan []byte }

func newHub(c Control) *hub { return &hub{control: c, watchers: map[*watcher]bool{}} }

// join begins a watch, with the latest frame at once if there is one. Whoever joins must leave.
func (h *hub) join() (*watcher, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.closed:
		return nil, ErrStopping
	case len(h.watchers) == maxWatchers:
		return nil, errManyWatchers
	}
	w := &watcher{frames: make(chan []byte, watcherQueue)}
	h.watchers[w] = true
	if h.series == nil {
		ctx, cancel := context.WithCancel(context.Background())
		s := &series{cancel: cancel}
		h.series = s
		go h.control.Frames(ctx, func(f Frame) { h.publish(s, f) }) // ends with ctx
	} else if h.series.last != nil {
		w.frames <- h.series.last // the channel is new and has room
	}
	return w, nil
}

// leave ends a watch; the last one ends the series.
func (h *hub) leave(w *watcher) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.dropLocked(w)
}

// publish is called by the series' goroutine. A frame is encoded once, however many watch.
func (h *hub) publish(s *series, f Frame) {
	b, err := json.Marshal(f)
	if err != nil {
		return // every field encodes
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.series != s {
		return // its last watcher left meanwhile
	}
	s.last = b
	for w := range h.watchers {
		select {
		case w.frames <- b:
		default:
			h.dropLocked(w)
		}
	}
}

func (h *hub) dropLocked(w *watcher) {
	if !h.watchers[w] {
		return
	}
	delete(h.watchers, w)
	close(w.frames)
	if len(h.watchers) == 0 {
		h.series.cancel()
		h.series = nil
	}
}

// dismiss lets all watchers go, for a token that is good no more.
func (h *hub) dismiss() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for w := range h.watchers {
		h.dropLocked(w)
	}
}

// close lets all watchers go and takes no others.
func (h *hub) close() {
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	h.dismiss()
}
