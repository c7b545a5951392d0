package files

import (
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"
)

// lookEvery is how often the folder's path is looked at again. Deploys exchange a whole folder, by a link or by renaming: the old one must not be served until the next reload.
const lookEvery = time.Second

// Tree is a folder whose files are served, and nothing outside of it: os.Root resolves every name, links included. It is a resource: whoever opens it closes it. It starts no goroutine.
// What still asks it after Close, from a request that began before, is served by a handle of its own.
type Tree struct {
	path string
	disk *Disk

	mu     sync.Mutex // guards what follows, for a few instructions: never held while the disk is asked
	now    *handle    // nil once closed
	looked time.Time  // when path was last compared with now
}

// handle is one opened folder, closed by the last of those that use it.
type handle struct {
	root *os.Root
	info os.FileInfo
	uses int // under Tree.mu; the tree's own is one
}

// OpenTree opens the folder at path.
func OpenTree(path string) (*Tree, error) {
	h, err := openHandle(path)
	if err != nil {
		return nil, fmt.Errorf("open folder of files: %w", err)
	}
	return &Tree{path: path, disk: newDisk(threads, queueTime), now: h, looked: time.Now()}, nil
}

func openHandle(path string) (*handle, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	info, err := root.Stat(".")
	if err != nil {
		_ = root.Close()
		return nil, err
	}
	return &handle{root: root, info: info, uses: 1}, nil
}

// Close gives the folder back as soon as nobody is in it.
func (t *Tree) Close() {
	t.mu.Lock()
	h := t.now
	t.now = nil
	t.mu.Unlock()
	if h != nil {
		t.release(h)
	}
}

// Disk is where whoever reads the tree's files takes turns.
func (t *Tree) Disk() *Disk { return t.disk }

// hold gives the folder as it is now; release gives it back. Inside a turn at the disk.
func (t *Tree) hold(now time.Time) (*handle, error) {
	t.mu.Lock()
	h := t.now
	look := h != nil && now.Sub(t.looked) >= lookEvery
	if look {
		t.looked = now // nobody else looks meanwhile
	}
	if h != nil {
		h.uses++
	}
	t.mu.Unlock()
	switch {
	case h == nil:
		h, err := openHandle(t.path)
		if err != nil {
			return nil, because(err)
		}
		return h, nil
	case look:
		return t.look(h), nil
	}
	return h, nil
}

// look goes over to what is at the path by now. As long as there is nothing, between two renames, the old folder serves.
func (t *Tree) look(h *handle) *handle {
	if info, err := os.Stat(t.path); err != nil || os.SameFile(info, h.info) {
		return h
	}
	next, err := openHandle(t.path)
	if err != nil {
		return h
	}
	next.uses++ // the tree's and ours
	t.mu.Lock()
	old := t.now
	if old == nil { // closed meanwhile
		next.uses--
	} else {
		t.now = next
	}
	t.mu.Unlock()
	if old != nil {
		t.release(old)
	}
	t.release(h)
	return next
}

func (t *Tree) release(h *handle) {
	t.mu.Lock()
	h.uses--
	last := h.uses == 0
	t.mu.Unlock()
	if last {
		_ = h.root.Close() // of a folder that was only read there is nothing to lose
	}
}

// open opens a name for reading without waiting for whoever writes it: a FIFO opens at once and is then refused, as is everything that is no file and no folder.
func (h *handle) open(name string) (*os.File, os.FileInfo, *Error) {
	if name == "" {
		name = "."
	}
	f, err := h.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, nil, because(err)
	}
	info, err := f.Stat()
	switch {
	case err != nil:
		_ = f.Close()
		return nil, nil, because(err)
	case !info.Mode().IsRegular() && !info.IsDir():
		_ = f.Close()
		return nil, nil, errRefused
	}
	return f, info, nil
}

// file is open for files alone.
func (h *handle) file(name string) (*os.File, os.FileInfo, *Error) {
	f, info, err := h.open(name)
	if err == nil && info.IsDir() {
		_ = f.Close()
		return nil, nil, errMissing
	}
	return f, info, err
}
