package server

import (
	"errors"
	"net"
	"path/filepath"
	"testing"
	"time"
)

// TestPausing: while one of two processes that have a socket pauses, whoever comes is the other's, without exception; it goes on where it paused; and a close ends it there too.
func TestPausing(t *testing.T) {
	ours, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(t.TempDir(), "s"), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	file, err := ours.File()
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := net.FileListener(file) // as the process after this one has it
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = theirs.Close() }()
	_ = file.Close()
	p := newPausing(ours)
	accepted, ended := make(chan net.Conn, 100), make(chan error, 1)
	go func() {
		for {
			c, err := p.Accept()
			if err != nil {
				ended <- err
				return
			}
			accepted <- c
		}
	}()
	dial := func() {
		t.Helper()
		c, err := net.Dial("unix", ours.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_ = c.Close()
	}
	for range 50 {
		p.pause()
		for range 3 {
			dial()
			c, err := theirs.Accept()
			if err != nil {
				t.Fatal(err)
			}
			_ = c.Close()
		}
		if len(accepted) != 0 {
			t.Fatal("accepted by who pauses")
		}
		dial() // waits
		p.resume()
		select {
		case c := <-accepted:
			_ = c.Close()
		case <-time.After(time.Minute):
			t.Fatal("does not go on")
		}
	}
	p.pause()
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Fatal("goes on after it was closed")
	}
	p.pause() // of what is closed: returns
}
