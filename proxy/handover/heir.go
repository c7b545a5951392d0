package handover

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Descriptor is a socket of this process: a TCP or unix listener, or a UDP socket, of package net.
type Descriptor interface {
	SyscallConn() (syscall.RawConn, error)
}

// Estate is one socket with what it is for.
type Estate struct {
	Socket
	Descriptor Descriptor
}

// Heir is the process that takes the place of this one. It is a resource: whatever comes of it, Kill or Release ends what this process has of it.
type Heir struct {
	line
	cmd   *exec.Cmd
	ended chan struct{} // closed when the process has ended, after which cmd.ProcessState says how
}

// RefusedError is an heir that has said why it cannot take over.
type RefusedError struct{ Reasons []string }

// Error joins the reasons.
func (e *RefusedError) Error() string { return strings.Join(e.Reasons, "; ") }

// Start runs command, its arguments with it, as this process was started: same folder, environment and outputs. It gives it the sockets and says what they are.
func Start(ctx context.Context, command []string, estate []Estate) (h *Heir, err error) {
	var passed []*os.File // for the child; duplicates, closed here whatever happens
	defer func() {
		for _, f := range passed {
			_ = f.Close()
		}
	}()
	theirs, to, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("open pipe: %w", err)
	}
	passed = append(passed, theirs)
	from, theirs, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open pipe: %w", err), to.Close())
	}
	passed = append(passed, theirs)
	h = &Heir{line: newLine(from, to), ended: make(chan struct{})}
	hello := message{Word: wordHello, Protocol: protocol}
	for _, e := range estate {
		f, err := duplicate(e.Descriptor, e.Name)
		if err != nil {
			h.close()
			return nil, err
		}
		passed = append(passed, f)
		hello.Sockets = append(hello.Sockets, e.Socket)
	}
	// What fits into any pipe is said before the process begins: were this one killed right then, that one would have the sockets and not know what they are.
	b, err := hello.encode()
	early := min(len(b), pipeRoom)
	if err == nil {
		err = h.write(ctx, wordHello, b[:early])
	}
	if err != nil {
		h.close()
		return nil, err
	}
	h.cmd = exec.Command(command[0], command[1:]...)
	h.cmd.Stdout, h.cmd.Stderr, h.cmd.ExtraFiles = os.Stdout, os.Stderr, passed
	h.cmd.Env = append(inherit(os.Environ()), variable+"="+strconv.Itoa(len(estate)))
	if err := h.cmd.Start(); err != nil {
		h.close()
		return nil, fmt.Errorf("start the new process: %w", err)
	}
	go func() { // ends with the process
		defer close(h.ended)
		_ = h.cmd.Wait() // how it ended is in ProcessState
	}()
	if err := h.write(ctx, wordHello, b[early:]); err != nil { // of nothing it is nothing
		return nil, h.failed(err)
	}
	return h, nil
}

// pipeRoom is what every pipe has room for, in bytes: Linux gives the pipes of a user with many one page each (pipe(7)). Some forty sockets.
const pipeRoom = 4096

// inherit is an environment without what was for this process alone.
func inherit(environment []string) []string {
	return slices.DeleteFunc(environment, func(e string) bool {
		name, _, _ := strings.Cut(e, "=")
		return slices.Contains(variables(), name)
	})
}

// duplicate is another descriptor of the same socket. Not by File(), whose Fd() makes the socket block: for both processes, which share that with everything else
// about it.
func duplicate(d Descriptor, name string) (*os.File, error) {
	raw, err := d.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("hand over %s: %w", name, err)
	}
	var fd int
	var failed error
	if err := raw.Control(func(from uintptr) { fd, failed = unix.FcntlInt(from, unix.F_DUPFD_CLOEXEC, 0) }); err != nil {
		return nil, fmt.Errorf("hand over %s: %w", name, err)
	}
	if failed != nil {
		return nil, fmt.Errorf("hand over %s: %w", name, failed)
	}
	return os.NewFile(uintptr(fd), name), nil
}

// PID is the process's.
func (h *Heir) PID() int { return h.cmd.Process.Pid }

// AwaitReady waits until the heir could serve, and gives its version. After an error the heir has ended.
func (h *Heir) AwaitReady(ctx context.Context) (version string, err error) {
	m, err := h.expect(ctx, wordReady)
	return m.Version, err
}

// Go lets the heir serve, with the last state of this process, and waits until it does. After an error the heir has ended.
func (h *Heir) Go(ctx context.Context, state any) error {
	b, err := json.Marshal(state)
	if err != nil {
		return h.failed(fmt.Errorf("encode state: %w", err))
	}
	if err := h.say(ctx, message{Word: wordGo, State: b}); err != nil {
		return h.failed(err)
	}
	_, err = h.expect(ctx, wordServing)
	return err
}

func (h *Heir) expect(ctx context.Context, word string) (message, error) {
	m, err := h.hear(ctx)
	switch {
	case err != nil:
		return m, h.failed(err)
	case m.Word == wordRefused:
		return m, h.failed(&RefusedError{m.Errors})
	case m.Word != word:
		return m, h.failed(fmt.Errorf("the new process says %q, not %q", m.Word, word))
	}
	return m, nil
}

// failed ends the heir, and says what became of it where err does not.
func (h *Heir) failed(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.EPIPE) {
		// It has ended, or is about to: its descriptors go before its process does. What it comes to says more than that they are gone.
		late := time.AfterFunc(lateEnd, func() { _ = h.cmd.Process.Kill() })
		<-h.ended
		late.Stop()
		err = fmt.Errorf("the new process ended before it served (%s): what it said is where this one's standard error goes", h.cmd.ProcessState)
	}
	h.Kill()
	return err
}

// lateEnd is how long a process may live that has closed its end of the pipes.
const lateEnd = time.Second

// Kill ends the heir and waits for its end.
func (h *Heir) Kill() {
	_ = h.cmd.Process.Kill() // fails when it has ended
	<-h.ended
	h.close()
}

// Release leaves the heir alone, and tells it that it is: nobody accepts beside it any more. Whoever is its parent then hears of its end.
func (h *Heir) Release() { h.close() }
