package upstream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/valor-ivx/weir/proxy/http1"
)

// DialKind says why there is no connection.
type DialKind uint8

// The kinds. DialLocal is our own shortage of ports, files or memory: it says nothing about the peer and no other peer will help.
const (
	DialOther DialKind = iota
	DialRefused
	DialTimeout
	DialUnreachable
	DialLocal
)

// String is the word that logs and metrics use, RFC 9209's where it has one.
func (k DialKind) String() string {
	switch k {
	case DialRefused:
		return "connection_refused"
	case DialTimeout:
		return "connection_timeout"
	case DialUnreachable:
		return "destination_ip_unroutable"
	case DialLocal:
		return "proxy_internal_error"
	default:
		return "connect_failed"
	}
}

// DialError is every error of Peer.Dial.
type DialError struct {
	Kind    DialKind
	Address string
	Err     error
}

// Error implements error.
func (e *DialError) Error() string {
	return fmt.Sprintf("dial upstream %s: %s: %v", e.Address, e.Kind, e.Err)
}

// Unwrap gives the cause.
func (e *DialError) Unwrap() error { return e.Err }

// Outcome is what Done should be told about this attempt.
func (e *DialError) Outcome() Outcome {
	if e.Kind == DialLocal {
		return Aborted
	}
	return ConnectFailed
}

// dial opens a TCP connection. Delay is off because a head and a small body must leave at once; keep-alive probes are off because
// no connection rests longer than its idle limit.
func dial(address string, timeout time.Duration, home *idlePool) (*Conn, error) {
	d := net.Dialer{Timeout: timeout, KeepAlive: -1}
	c, err := d.DialContext(context.Background(), "tcp", address)
	if err != nil {
		return nil, &DialError{Kind: classify(err), Address: address, Err: err}
	}
	if t, ok := c.(*net.TCPConn); ok {
		_ = t.SetNoDelay(true) // the net package has done so already; this states that we depend on it
	}
	return &Conn{ClientConn: http1.NewClientConn(c), home: home}, nil
}

func classify(err error) DialKind {
	var timeout net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return DialRefused
	case errors.Is(err, syscall.EADDRNOTAVAIL), errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE),
		errors.Is(err, syscall.ENOBUFS), errors.Is(err, syscall.ENOMEM):
		return DialLocal
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return DialUnreachable
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, syscall.ETIMEDOUT), errors.As(err, &timeout) && timeout.Timeout():
		return DialTimeout
	default:
		return DialOther
	}
}
