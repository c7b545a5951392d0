package gen

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// handshakeWithin bounds one connection from dialling to its end.
const handshakeWithin = 10 * time.Second

// Handshakes opens connections one after the other, each with a full TLS 1.3 handshake and one GET
// over HTTP/1.1, and counts them. The server ends each connection (Connection: close), so that its
// end is part of what is counted.
type Handshakes struct {
	addr netip.AddrPort
	path string
	// done is added to by every worker after each connection has ended.
	done   atomic.Int64
	cancel context.CancelFunc
	wait   sync.WaitGroup
	errs   chan error // one per worker at most
}

// StartHandshakes starts workers, one goroutine each, owned by the Handshakes: they end at Stop or with ctx.
func StartHandshakes(ctx context.Context, addr netip.AddrPort, path string, workers int) *Handshakes {
	ctx, cancel := context.WithCancel(ctx)
	h := &Handshakes{addr: addr, path: path, cancel: cancel, errs: make(chan error, workers)}
	for range workers {
		h.wait.Go(func() {
			for ctx.Err() == nil {
				if err := h.one(ctx); err != nil {
					if ctx.Err() == nil {
						h.errs <- fmt.Errorf("handshake with %v: %w", addr, err)
					}
					return
				}
				h.done.Add(1)
			}
		})
	}
	return h
}

// Done is how many connections have come, been answered and ended so far.
func (h *Handshakes) Done() int64 { return h.done.Load() }

// Stop ends the workers and returns the first error any of them met before that.
func (h *Handshakes) Stop() error {
	h.cancel()
	h.wait.Wait()
	select {
	case err := <-h.errs:
		return err
	default:
		return nil
	}
}

// Window is Bulk's, for connections: it returns what cost and Done grew by while it was open.
func (h *Handshakes) Window(ctx context.Context, open time.Duration, cost func() (time.Duration, error)) (time.Duration, int64, error) {
	return window{open: open, cost: cost, count: h.Done, errs: h.errs}.measure(ctx)
}

// clientTLS keeps no session, so every handshake is a full one. The key exchange is X25519 alone:
// Go would otherwise choose the post-quantum hybrid with a peer that knows it and X25519 with one that
// does not, and the proxies would do different work. No chain is verified (the certificate is the
// bench's own, self-signed); the signature over the handshake is.
func clientTLS() *tls.Config {
	return &tls.Config{
		InsecureSkipVerify: true,
		MinVersion:         tls.VersionTLS13,
		CurvePreferences:   []tls.CurveID{tls.X25519},
		NextProtos:         []string{"http/1.1"},
	}
}

func (h *Handshakes) one(ctx context.Context) error {
	raw, err := (&net.Dialer{Timeout: handshakeWithin}).DialContext(ctx, "tcp", h.addr.String())
	if err != nil {
		return err
	}
	defer raw.Close()
	defer context.AfterFunc(ctx, func() { raw.Close() })()
	if err := raw.SetDeadline(time.Now().Add(handshakeWithin)); err != nil {
		return err
	}
	conn := tls.Client(raw, clientTLS())
	if err := conn.HandshakeContext(ctx); err != nil {
		return err
	}
	state := conn.ConnectionState()
	if state.DidResume || state.CipherSuite != tls.TLS_AES_128_GCM_SHA256 {
		return fmt.Errorf("negotiated %s, resumed %v", tls.CipherSuiteName(state.CipherSuite), state.DidResume)
	}
	request := "GET " + h.path + " HTTP/1.1\r\nHost: " + h.addr.String() + "\r\nUser-Agent: weirbench\r\nConnection: close\r\n\r\n"
	if _, err := io.WriteString(conn, request); err != nil {
		return err
	}
	return readLast(conn)
}

// readLast reads one good answer and then the connection's end. An end without a close_notify is let
// pass: the answer's length has told that it is whole.
func readLast(conn io.Reader) error {
	var reply Reply
	var buffer [4096]byte
	answered := false
	for {
		n, err := conn.Read(buffer[:])
		if n > 0 {
			if answered {
				return errUnasked
			}
			used, status, done, bad := reply.Feed(buffer[:n])
			switch {
			case bad != nil:
				return bad
			case used < n:
				return errUnasked
			case done && status != 200:
				return fmt.Errorf("status %d", status)
			}
			answered = done
		}
		if answered && (errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
