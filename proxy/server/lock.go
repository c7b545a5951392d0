package server

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// stateLock is the right of one process to a state folder: two would undo each other's weights, rollouts and certificates. The kernel lets go of it with the process, however
// that ends. An upgrade lets go of it for the process that takes over.
type stateLock struct {
	dir  string
	file *os.File // nil: in a folder that cannot be written to, in which nothing can be undone
}

// openLock gives the lock of a state folder, not taken yet.
func openLock(dir string) (*stateLock, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	switch {
	case errors.Is(err, os.ErrPermission), errors.Is(err, unix.EROFS):
		return &stateLock{dir: dir}, nil
	case err != nil:
		return nil, fmt.Errorf("open state lock: %w", err)
	}
	return &stateLock{dir, f}, nil
}

// take fails where another process has it. A file system that knows no locks has none that anybody could have.
func (l *stateLock) take() error {
	if l.file == nil {
		return nil
	}
	if errors.Is(unix.Flock(int(l.file.Fd()), unix.LOCK_EX|unix.LOCK_NB), unix.EWOULDBLOCK) {
		var text [32]byte
		n, _ := l.file.ReadAt(text[:], 0)
		return fmt.Errorf("state_dir %s belongs to another weir, process %s: stop it first, or give this one a folder of its own (admin.state_dir)", l.dir, strings.TrimSpace(string(text[:n])))
	}
	err := l.file.Truncate(0)
	if err == nil {
		_, err = l.file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	if err != nil {
		return fmt.Errorf("write state lock: %w", err)
	}
	return nil
}

// inherit takes the lock of a process that has let go of it, or is about to: one that ends closes its end of the conversation a moment before.
func (l *stateLock) inherit() (err error) {
	for until := time.Now().Add(takeOverTimeout / 2); ; time.Sleep(10 * time.Millisecond) {
		if err = l.take(); err == nil || time.Now().After(until) {
			return err
		}
	}
}

// release lets another process take it.
func (l *stateLock) release() {
	if l.file != nil {
		_ = unix.Flock(int(l.file.Fd()), unix.LOCK_UN) // fails where there are no locks
	}
}

func (l *stateLock) close() {
	if l != nil && l.file != nil {
		l.release()        // a child that is being forked has the file open for a moment longer
		_ = l.file.Close() // nothing is to be lost in it
	}
}
