package files

import (
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// lookEvery is how often the folder's path is looked at again. Deploys exchange a whole folder, by a link or by renaming: the old one must not be served until the next reload.
const lookEvery = time.Second

// Tree is a folder whose files are served, and nothing outside of it: the kernel (openat2), or os.Root, resolves every name beneath it, links included. It is a resource: whoever opens it closes it. It starts no goroutine.
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
	root   *os.Root
	folder *os.File // the same folder
	info   os.FileInfo
	walks  bool // the kernel does not resolve beneath it
	uses   int  // under Tree.mu; the tree's own is one
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
	h := &handle{root: root, uses: 1}
	if h.folder, err = root.Open("."); err == nil {
		h.info, err = h.folder.Stat()
	}
	if err != nil {
		h.close()
		return nil, err
	}
	fd, err, told := beneath(int(h.folder.Fd()), ".")
	if h.walks = !told; told && err == nil {
		_ = unix.Close(fd)
	}
	return h, nil
}

// close is of a folder that was only read: there is nothing to lose.
func (h *handle) close() {
	if h.folder != nil {
		_ = h.folder.Close()
	}
	_ = h.root.Close()
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
		h.close()
	}
}

// openFlags open for reading without waiting for whoever writes: a FIFO opens at once and is then refused, as is everything that is no file and no folder.
const openFlags = unix.O_RDONLY | unix.O_NONBLOCK | unix.O_NOCTTY

// open opens a name for reading.
func (h *handle) open(name string) (*File, *Error) {
	if name == "" {
		name = "."
	}
	if !h.walks {
		if fd, err, told := beneath(int(h.folder.Fd()), name); told {
			return known(fd, err)
		}
	}
	return known(h.walk(name))
}

// walk opens a name by os.Root.
func (h *handle) walk(name string) (fd int, err error) {
	f, err := h.root.OpenFile(name, openFlags, 0)
	if err != nil {
		return 0, err
	}
	defer func() { _ = f.Close() }()
	return unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
}

// file is open for files alone.
func (h *handle) file(name string) (*File, *Error) {
	f, err := h.open(name)
	if err == nil && f.folder {
		_ = f.Close()
		return nil, errMissing
	}
	return f, err
}
