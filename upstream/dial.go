package upstream

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
)

// DialKind says why there is no connection.
type DialKind uint8

// The kinds. DialLocal is our own shortage of ports, files or memory: it says nothing about the peer and no other peer will help. Nor does DialFull, a limit of ours, but another
// peer may.
const (
	DialOther DialKind = iota
	DialRefused
	DialTimeout
	DialUnreachable
	DialLocal
	DialTLSCertificate // the target's certificate did not convince
	DialTLSAlert       // the target refused the handshake
	DialHTTP           // the target does not speak HTTP/2
	DialFull           // as many connections as one target may have, each with as many streams as it takes
	DialTLSProtocol    // the handshake broke otherwise: no TLS, no version or suite in common, an end in the middle
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
	case DialHTTP:
		return "http_protocol_error"
	case DialFull:
		return "connection_limit_reached"
	case DialTLSCertificate:
		return "tls_certificate_error"
	case DialTLSAlert:
		return "tls_alert_received"
	case DialTLSProtocol:
		return "tls_protocol_error"
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
	if e.Kind == DialLocal || e.Kind == DialFull {
		return Aborted
	}
	return ConnectFailed
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

func classifyTLS(err error) DialKind {
	var untrusted *tls.CertificateVerificationError
	switch {
	case errors.As(err, &untrusted):
		return DialTLSCertificate
	case IsTLSAlert(err):
		return DialTLSAlert
	case classify(err) == DialTimeout:
		return DialTimeout
	default:
		return DialTLSProtocol
	}
}

// IsTLSAlert reports that the other side ended a TLS connection with a fatal alert. In TLS 1.3 it may come after the client's handshake: a server
// that misses the client's certificate says so in place of the first answer (RFC 8446 §4.4.2.4).
func IsTLSAlert(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "remote error" // how crypto/tls marks what the other side sent
}
