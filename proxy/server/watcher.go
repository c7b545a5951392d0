package server

import (
	"crypto/sha256"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
	"go.uber.org/zap"

	"github.com/valor-ivx/weir/proxy/observe"
)

const (
	// settle is how long files must be quiet before they are looked at: editors and ConfigMap swaps come as a burst of events. A folder that is
	// never quiet is looked at after patience.
	settle   = 200 * time.Millisecond
	patience = 2 * time.Second
	// pollEvery finds what events do not tell: NFS, overlay mounts, a full inotify table.
	pollEvery = 30 * time.Second
)

// watcher tells when the contents of the configuration's files have changed. It watches folders, because a file that is replaced by rename, or a
// ConfigMap's ..data link, is another inode; an event is only a hint, the contents decide. It owns one goroutine, ended by close.
type watcher struct {
	changed chan struct{} // one message per change, capacity 1
	log     *zap.Logger
	events  *fsnotify.Watcher // nil where the system has none: polling does
	hint    chan struct{}     // the set of files is new: look soon; capacity 1
	quit    chan struct{}
	done    chan struct{}

	mu     sync.Mutex // guards the rest; held while the files are read
	files  []string
	names  map[string]bool // files, and what they are links to
	sum    [sha256.Size]byte
	closed bool
}

func newWatcher(log *zap.Logger) *watcher {
	w := &watcher{changed: make(chan struct{}, 1), hint: make(chan struct{}, 1), log: log, quit: make(chan struct{}), done: make(chan struct{})}
	var err error
	if w.events, err = fsnotify.NewWatcher(); err != nil {
		log.Warn("no file events, polling", observe.Err(err))
		w.events = nil
	}
	go w.run()
	return w
}

// watch replaces the set of files; seen is the digest of the contents that changes are measured against. What has changed since is found at once.
func (w *watcher) watch(files []string, seen [sha256.Size]byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return
	}
	w.files, w.names, w.sum = files, map[string]bool{}, seen
	select {
	case <-w.changed: // told of contents before these: a configuration that was taken back must not return by it
	default:
	}
	select {
	case w.hint <- struct{}{}:
	default:
	}
	for _, f := range files {
		// Where the file really is may be another folder than the link to it; both can change.
		dirs := []string{filepath.Dir(f)}
		w.names[filepath.Clean(f)] = true
		if real, err := filepath.EvalSymlinks(f); err == nil {
			dirs = append(dirs, filepath.Dir(real))
			w.names[real] = true
		}
		if w.events == nil {
			continue
		}
		for _, dir := range dirs {
			if err := w.events.Add(dir); err != nil {
				w.log.Warn("cannot watch folder, polling", zap.String(observe.KeyFilePath, dir), observe.Err(err))
			}
		}
	}
}

func (w *watcher) run() {
	defer close(w.done)
	poll := time.NewTicker(pollEvery)
	defer poll.Stop()
	quiet := time.NewTimer(time.Hour)
	quiet.Stop()
	var since time.Time // of the first event that was not looked at; zero: none
	soon := func() {
		now := time.Now()
		if since.IsZero() {
			since = now
		}
		quiet.Reset(min(settle, patience-min(now.Sub(since), patience)))
	}
	var events chan fsnotify.Event
	var errs chan error
	if w.events != nil {
		events, errs = w.events.Events, w.events.Errors
	}
	for {
		select {
		case <-w.quit:
			return
		case <-w.hint:
			soon()
		case e := <-events:
			if w.concerns(e) {
				soon()
			}
		case err := <-errs:
			w.log.Warn("file events", observe.Err(err))
			soon() // events were lost: look
		case <-quiet.C:
			since = time.Time{}
			w.look()
		case <-poll.C:
			w.look()
		}
	}
}

// concerns tells events that can change what the files' paths lead to from writes to other files in their folders, of which a log makes many.
func (w *watcher) concerns(e fsnotify.Event) bool {
	if e.Op&^(fsnotify.Write|fsnotify.Chmod) != 0 {
		return true
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.names[filepath.Clean(e.Name)]
}

// look compares contents and tells once per change, so that a bad file is complained about once and not at every event.
func (w *watcher) look() {
	w.mu.Lock()
	defer w.mu.Unlock()
	sum := digest(w.files)
	if sum == w.sum {
		return
	}
	w.sum = sum
	select {
	case w.changed <- struct{}{}:
	default: // one is waiting already and will read what is there then
	}
}

func digest(files []string) (sum [sha256.Size]byte) {
	h := sha256.New()
	for _, f := range files {
		b, err := os.ReadFile(f)
		inner := sha256.Sum256(b)
		h.Write(inner[:])
		if err != nil {
			h.Write([]byte(err.Error()))
		}
	}
	h.Sum(sum[:0])
	return sum
}

func (w *watcher) close() {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	close(w.quit)
	<-w.done
	if w.events != nil {
		_ = w.events.Close()
	}
}
