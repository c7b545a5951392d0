package http1

import (
	"bytes"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// TestInputWindow is internal: who may overwrite what in a block is not seen outside until it is too late.
func TestInputWindow(t *testing.T) {
	near, far := net.Pipe()
	defer func() { _, _ = near.Close(), far.Close() }()
	go func() {
		for {
			if _, err := far.Write(bytes.Repeat([]byte("n"), 1000)); err != nil {
				return
			}
		}
	}()
	_ = near.SetDeadline(time.Now().Add(5 * time.Second))
	for _, c := range []struct {
		name    string
		keep, r int
		size    int // of the block afterwards
		err     error
	}{
		{"nothing kept, nothing read: a larger block", 0, 0, largeBlock, nil},
		{"nothing kept, some read: moved down", 0, 1000, smallBlock, nil},
		{"a head kept, some of the body read: moved down to it", 100, 1000, smallBlock, nil},
		{"a head kept, nothing read behind it: full", 100, 100, smallBlock, errFull},
		{"a head that fills the block: full", smallBlock, smallBlock, smallBlock, errFull},
	} {
		in := fullInput(near, c.keep, c.r)
		unread := strings.Repeat("u", smallBlock-c.r)
		if err := in.fill(); err != c.err {
			t.Errorf("%s: %v", c.name, err)
		}
		got := string(in.buffered())
		if !strings.HasPrefix(got, unread) || strings.Trim(got[len(unread):], "n") != "" || c.err == nil && len(got) <= len(unread) {
			t.Errorf("%s: unread bytes changed", c.name)
		}
		if head := string(in.buf[:c.keep]); head != strings.Repeat("h", c.keep) {
			t.Errorf("%s: the head was overwritten", c.name)
		}
		if len(in.buf) != c.size {
			t.Errorf("%s: a block of %d", c.name, len(in.buf))
		}
		// Set aside, the head stays and the unread bytes go on.
		in.keep = c.keep
		in.r = max(in.r, in.keep)
		unread = string(in.buffered())
		head := in.detach()
		if string(head[:c.keep]) != strings.Repeat("h", c.keep) || string(in.buffered()) != unread || in.keep != 0 || len(in.buf) != largeBlock {
			t.Errorf("%s: detach lost something", c.name)
		}
		giveBack(head)
		in.rest()
		if string(in.buffered()) != unread || in.r != 0 {
			t.Errorf("%s: rest lost unread bytes", c.name)
		}
		in.r = in.w
		if in.rest(); in.buf != nil || in.w != 0 {
			t.Errorf("%s: rest kept an empty block", c.name)
		}
	}
}

// fullInput holds a full block: a head of h up to keep, a body of u behind it.
func fullInput(conn net.Conn, keep, r int) *input {
	in := &input{conn: conn, buf: borrowSmall(), w: smallBlock, r: r, keep: keep}
	copy(in.buf, bytes.Repeat([]byte("h"), keep))
	copy(in.buf[keep:], bytes.Repeat([]byte("u"), smallBlock-keep))
	return in
}

// TestInputPeek holds what a look at an idle socket says, with and without bytes, an end and a reset.
func TestInputPeek(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	for _, c := range []struct {
		name                    string
		act                     func(far *net.TCPConn)
		readable, ended, unread bool
	}{
		{"silent", nil, false, false, false},
		{"a byte", func(far *net.TCPConn) { _, _ = far.Write([]byte("x")) }, true, false, true},
		{"half closed", func(far *net.TCPConn) { _ = far.CloseWrite() }, true, true, false},
		{"reset", func(far *net.TCPConn) { _ = far.SetLinger(0); _ = far.Close() }, true, true, false},
	} {
		far, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		near, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		var in input
		in.init(near)
		if c.act != nil {
			c.act(far.(*net.TCPConn))
			awaitReadable(t, near.(*net.TCPConn))
		}
		if got := in.unread(); got != c.unread {
			t.Errorf("%s: unread %t", c.name, got)
		}
		if got := in.readable(); got != c.readable {
			t.Errorf("%s: readable %t", c.name, got)
		}
		if c.name != "reset" { // the first look has taken the error off the socket
			if got := in.ended(); got != c.ended {
				t.Errorf("%s: ended %t", c.name, got)
			}
		}
		if in.buf != nil {
			t.Errorf("%s: a look borrowed a block", c.name)
		}
		_, _ = near.Close(), far.Close()
	}
}

// awaitReadable waits for the socket to become readable without reading from it.
func awaitReadable(t *testing.T, c *net.TCPConn) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
	in := input{raw: raw}
	in.look = in.lookOnce
	if err := raw.Read(func(fd uintptr) bool {
		in.n = -1
		in.lookOnce(fd)
		return in.n >= 0 || in.err != nil
	}); err != nil {
		t.Fatal(err)
	}
}

// gate is a writer that takes so many bytes and then fails.
type gate struct {
	net.Conn
	took   bytes.Buffer
	writes int
	left   int // bytes; negative: no end
}

func (g *gate) Write(p []byte) (int, error) {
	g.writes++
	if g.left >= 0 && len(p) > g.left {
		n := g.left
		g.took.Write(p[:n])
		g.left = 0
		return n, io.ErrClosedPipe
	}
	if g.left > 0 {
		g.left -= len(p)
	}
	return g.took.Write(p)
}
