// Package gen makes the load: a paced open-loop generator and an idle-connection holder on one epoll
// loop, a bulk body reader, full TLS handshakes, and runners for wrk and h2load. It speaks to loopback
// addresses only and never reconnects: a connection the other side closed unasked is a finding. It does
// not pretend to be a client library; what it may misread (chunked answers, say) it refuses.
package gen

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// Target is where a pool of connections goes.
type Target struct {
	Addr    netip.AddrPort // loopback, IPv4
	Sources []netip.Addr   // local addresses taken in turn (each gives about 28,000 ports); none: the kernel's choice
	Conns   int
	Request []byte // one whole request, small enough for an empty socket buffer (≤ 4 KiB)
}

// Pool is a set of connections with at most one outstanding request each. All methods must be called
// from one goroutine at a time; none is left running between calls. The owner calls Close.
type Pool struct {
	target Target
	epoll  int
	conns  []conn
	closed int // connections that broke
	// events and buffer are reused by every wait.
	events []unix.EpollEvent
	buffer []byte
}

type conn struct {
	fd    int // -1 once broken
	reply Reply
	busy  bool // a request is outstanding
}

// handler is told what became of requests.
type handler interface {
	// answered: connection i's outstanding request got a complete answer with this status.
	answered(i, status int)
	// broke: connection i is gone; busy says whether a request was outstanding.
	broke(i int, busy bool, err error)
}

var errUnasked = errors.New("read response: bytes nobody asked for")

// Dial opens all connections, one after the other. On error none stays open.
func Dial(ctx context.Context, t Target) (*Pool, error) {
	if !t.Addr.Addr().IsLoopback() || !t.Addr.Addr().Is4() {
		return nil, fmt.Errorf("dial %v: not an IPv4 loopback address", t.Addr)
	}
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create epoll: %w", err)
	}
	p := &Pool{
		target: t,
		epoll:  epoll,
		conns:  make([]conn, 0, t.Conns),
		events: make([]unix.EpollEvent, 512),
		buffer: make([]byte, 64<<10),
	}
	for i := range t.Conns {
		fd, err := dial(t, i)
		if err == nil {
			p.conns = append(p.conns, conn{fd: fd})
			event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP, Fd: int32(i)}
			err = unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, fd, &event)
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			p.Close()
			return nil, fmt.Errorf("open connection %d of %d to %v: %w", i+1, t.Conns, t.Addr, err)
		}
	}
	return p, nil
}

// Close resets all connections. A reset leaves no TIME_WAIT behind, which 10,000 connections a round
// would otherwise pile up to the end of the port range.
func (p *Pool) Close() {
	for i := range p.conns {
		p.drop(i)
	}
	unix.Close(p.epoll)
}

// Broken is how many connections the other side has closed, or broken the protocol on, so far.
func (p *Pool) Broken() int { return p.closed }

// Settle waits for d and only watches: what happens to idle connections is seen in Broken.
func (p *Pool) Settle(ctx context.Context, d time.Duration) error {
	for end := time.Now().Add(d); time.Now().Before(end); {
		if err := p.wait(ctx, 20, ignore{}); err != nil {
			return err
		}
	}
	return nil
}

type ignore struct{}

func (ignore) answered(int, int)      {}
func (ignore) broke(int, bool, error) {}

// send writes the request on connection i, which must be idle and open.
func (p *Pool) send(i int) error {
	c := &p.conns[i]
	n, err := unix.Write(c.fd, p.target.Request)
	if err == nil && n < len(p.target.Request) {
		err = io.ErrShortWrite
	}
	if err != nil {
		return fmt.Errorf("send request: %w", err)
	}
	c.busy = true
	return nil
}

// wait handles what is ready, waiting at most the given milliseconds for it.
func (p *Pool) wait(ctx context.Context, ms int, h handler) error {
	n, err := unix.EpollWait(p.epoll, p.events, ms)
	if err != nil && !errors.Is(err, unix.EINTR) {
		return fmt.Errorf("wait for sockets: %w", err)
	}
	for _, e := range p.events[:max(n, 0)] {
		if e.Fd >= 0 { // negative: the pacer's timer, which it drains itself
			p.read(int(e.Fd), h)
		}
	}
	return ctx.Err()
}

// read takes what connection i has received, once: epoll reports the rest again.
func (p *Pool) read(i int, h handler) {
	c := &p.conns[i]
	if c.fd < 0 {
		return
	}
	n, err := unix.Read(c.fd, p.buffer)
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
		return
	}
	if err == nil && n == 0 {
		err = io.ErrUnexpectedEOF
	}
	if err == nil && !c.busy {
		err = errUnasked
	}
	if err != nil {
		p.fail(i, h, err)
		return
	}
	used, status, done, err := c.reply.Feed(p.buffer[:n])
	if err == nil && used < n {
		err = errUnasked
	}
	if err != nil {
		p.fail(i, h, err)
		return
	}
	if done {
		c.busy = false
		h.answered(i, status)
	}
}

func (p *Pool) fail(i int, h handler, err error) {
	busy := p.conns[i].busy
	p.drop(i)
	p.closed++
	h.broke(i, busy, err)
}

func (p *Pool) drop(i int) {
	if c := &p.conns[i]; c.fd >= 0 {
		unix.Close(c.fd)
		c.fd, c.busy = -1, false
	}
}

// dial makes connection i, non-blocking once it stands.
func dial(t Target, i int) (fd int, err error) {
	fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	defer func() {
		if err != nil {
			unix.Close(fd)
		}
	}()
	if len(t.Sources) > 0 {
		// The port is chosen at connect time, when the kernel knows the whole four-tuple.
		if err := unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1); err != nil {
			return -1, err
		}
		if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: t.Sources[i%len(t.Sources)].As4()}); err != nil {
			return -1, err
		}
	}
	// A blocking connect obeys the send timeout: a full accept queue must not hang the run.
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &unix.Timeval{Sec: 5}); err != nil {
		return -1, err
	}
	if err := unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}); err != nil {
		return -1, err
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_TCP, unix.TCP_NODELAY, 1); err != nil {
		return -1, err
	}
	to := &unix.SockaddrInet4{Port: int(t.Addr.Port()), Addr: t.Addr.Addr().As4()}
	if err := connect(fd, to); err != nil {
		return -1, err
	}
	return fd, unix.SetNonblock(fd, true)
}

// connect is connect(2) that a signal does not end: what was interrupted goes on by itself, and the socket tells what came of it. The runtime sends signals to preempt.
func connect(fd int, to unix.Sockaddr) error {
	if err := unix.Connect(fd, to); err != unix.EINTR {
		return err
	}
	for {
		_, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, -1)
		if err == nil {
			break
		}
		if err != unix.EINTR {
			return err
		}
	}
	if code, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR); err != nil || code == 0 {
		return err
	} else {
		return unix.Errno(code)
	}
}
