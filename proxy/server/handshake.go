package server

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/valor-ivx/weir/proxy/observe"
	edgetls "github.com/valor-ivx/weir/tls"
)

// handshakeTimeout bounds a TLS handshake: a client that needs longer has lost its connection or is holding one open on purpose.
const handshakeTimeout = 10 * time.Second

// handshake agrees on TLS with the client of an accepted connection and counts how that went. nil: the connection was closed.
func (l *listener) handshake(conn net.Conn) (*tls.Conn, *edgetls.Session) {
	l.begin(conn)
	ctx, cancel := context.WithTimeout(context.Background(), handshakeTimeout)
	ctx, session := edgetls.Observe(ctx)
	turn := &turnConn{Conn: conn, ctx: ctx, turns: l.server.turns}
	secure := tls.Server(turn, l.tls)
	err := secure.HandshakeContext(ctx)
	turn.end()
	cancel()
	l.begun(conn)
	if err == nil {
		state := secure.ConnectionState()
		l.data.Metrics.HandshakeDone(state.Version, state.DidResume, state.CurveID)
		if !edgetls.IsValidation(state) {
			session.Done(state)
			return secure, session
		}
		_ = secure.Close() // the CA has seen what it came for
		return nil, nil
	}
	result := handshakeResult(err)
	l.data.Metrics.HandshakeFailed(result)
	// Scanners do this all day: it is not worth a line unless somebody is looking.
	l.server.log.Debug("handshake failed", zap.String(observe.KeyListener, l.config.Name), zap.Stringer(observe.KeyReason, result), observe.Err(err))
	if result == observe.HandshakePlainHTTP {
		refusePlain(conn)
	}
	_ = conn.Close() // nothing was agreed: there is nobody to say goodbye to
	return nil, nil
}

// handshakeResult puts the error of a handshake into the closed set. What crypto/tls has no type for is told by its text; a test holds each of them.
func handshakeResult(err error) observe.HandshakeResult {
	var header tls.RecordHeaderError
	var verification *tls.CertificateVerificationError
	var broken *net.OpError
	switch {
	case errors.Is(err, errOverload):
		return observe.HandshakeOverload
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return observe.HandshakeTimeout
	case errors.As(err, &header):
		if header.Conn != nil && speaksHTTP(header.RecordHeader) {
			return observe.HandshakePlainHTTP
		}
		return observe.HandshakeProtocol
	case errors.Is(err, edgetls.ErrNoCertificate), strings.HasSuffix(err.Error(), "no certificates configured"): // the latter: refused on demand
		return observe.HandshakeNoCertificate
	case errors.As(err, &verification), strings.HasSuffix(err.Error(), "client didn't provide a certificate"):
		return observe.HandshakeClientCertificate
	case errors.As(err, &broken) && broken.Op == "remote error":
		return observe.HandshakeRefused
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed),
		errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return observe.HandshakeGone
	}
	return observe.HandshakeProtocol
}

// speaksHTTP knows the beginnings of request lines, "PRI *" of HTTP/2 among them.
func speaksHTTP(first [5]byte) bool {
	for _, method := range [...]string{"GET /", "HEAD ", "POST ", "PUT /", "OPTIO", "DELET", "PATCH", "CONNE", "TRACE", "PRI *"} {
		if string(first[:]) == method {
			return true
		}
	}
	return false
}

const (
	plainBody   = "This port speaks HTTPS: the request came without TLS.\n"
	plainAnswer = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\nContent-Length: 54\r\n\r\n" + plainBody

	plainTime  = time.Second // for the answer to be taken: a client that made a mistake reads it at once
	plainBytes = 64 << 10
)

// refusePlain tells a client that speaks HTTP to a TLS port what is wrong: nothing of what it said goes anywhere. It reads on for a moment, because closing on
// unread data resets the connection and can destroy the answer on its way (RFC 9112 §9.6).
func refusePlain(conn net.Conn) {
	if conn.SetDeadline(time.Now().Add(plainTime)) != nil {
		return
	}
	if _, err := io.WriteString(conn, plainAnswer); err != nil {
		return
	}
	if half, ok := conn.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		_, _ = io.CopyN(io.Discard, conn, plainBytes) // what it was is of no interest
	}
}
