package server

import (
	"fmt"
	"os"
	"syscall"
)

// breath lets everybody else go first: whoever takes one runs on when every goroutine that could run has run and the sockets have been looked at.
//
// Go's scheduler looks at the sockets when nobody can run, else every 10 ms. Work that is always there to be done (a flood of handshakes) therefore keeps it
// from noticing requests on established connections, and a request needs to be noticed twice: when it comes, and when its answer does. Neither
// runtime.Gosched nor a short sleep asks for that look; to wait for a descriptor does, because nobody is told of it but by the look itself.
//
// One goroutine at a time takes a breath of the same value.
type breath struct {
	r, w *os.File
	wait syscall.RawConn // r's
}

func newBreath() (*breath, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("open pipe: %w", err)
	}
	b := &breath{r: r, w: w}
	if b.wait, err = r.SyscallConn(); err != nil {
		b.close()
		return nil, fmt.Errorf("open pipe: %w", err)
	}
	return b, nil
}

// take costs three system calls, some 3 µs, beside the wait. On a closed breath it returns at once.
func (b *breath) take() {
	asked, written := false, false
	err := b.wait.Read(func(uintptr) bool {
		if asked {
			return true
		}
		asked = true // the write is in here, after Read has forgotten earlier events: else its own could be among those
		_, err := b.w.Write([]byte{0})
		written = err == nil
		return !written // false: until the poller says that there is something to read
	})
	if err == nil && written {
		var one [1]byte
		_, _ = b.r.Read(one[:]) // it is there
	}
}

func (b *breath) close() {
	_ = b.r.Close() // a pipe of our own: nothing is lost
	_ = b.w.Close()
}
