package gen

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// H3 asks for one path over and over by HTTP/3, some requests at a time on each connection, and counts the answers: h2load's closed loop, which Debian's build has for
// HTTP/2 only. Its client costs more than a proxy does, so the proxy's core is not full; what is measured is CPU per request all the same.
type H3 struct {
	url string
	// done is added to by every worker after each whole answer.
	done   atomic.Int64
	cancel context.CancelFunc
	wait   sync.WaitGroup
	errs   chan error // one per worker at most
}

// StartH3 starts conns connections with streams workers each, one goroutine a worker, owned by the H3: they end at Stop or with ctx.
func StartH3(ctx context.Context, addr netip.AddrPort, path string, conns, streams int) *H3 {
	ctx, cancel := context.WithCancel(ctx)
	h := &H3{url: "https://" + addr.String() + path, cancel: cancel, errs: make(chan error, conns*streams)}
	for range conns {
		transport := NewH3Transport()
		h.wait.Go(func() {
			var workers sync.WaitGroup
			for range streams {
				workers.Go(func() {
					if err := h.ask(ctx, transport); ctx.Err() == nil {
						h.errs <- fmt.Errorf("ask %s by HTTP/3: %w", h.url, err)
					}
				})
			}
			workers.Wait()
			_ = transport.Close() // says goodbye; nothing is asked any more
		})
	}
	return h
}

// NewH3Transport is one connection of HTTP/3, with the key exchange and the verification of clientTLS.
func NewH3Transport() *http3.Transport {
	c := clientTLS()
	c.NextProtos = []string{http3.NextProtoH3}
	return &http3.Transport{TLSClientConfig: c, DisableCompression: true, QUICConfig: &quic.Config{HandshakeIdleTimeout: 2 * time.Second, MaxIdleTimeout: handshakeWithin}}
}

// Done is how many whole answers have come so far.
func (h *H3) Done() int64 { return h.done.Load() }

// Stop ends the workers and returns the first error any of them met before that.
func (h *H3) Stop() error {
	h.cancel()
	h.wait.Wait()
	select {
	case err := <-h.errs:
		return err
	default:
		return nil
	}
}

// Window is Bulk's, for answers: it returns what cost and Done grew by while the window was open.
func (h *H3) Window(ctx context.Context, open time.Duration, cost func() (time.Duration, error)) (time.Duration, int64, error) {
	return window{open: open, cost: cost, count: h.Done, errs: h.errs}.measure(ctx)
}

// ask ends with an error always.
func (h *H3) ask(ctx context.Context, transport *http3.Transport) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.url, nil)
	if err != nil {
		return err
	}
	req.Header.Set("User-Agent", "weirbench")
	for {
		res, err := transport.RoundTrip(req)
		if err != nil {
			return err
		}
		n, err := io.Copy(io.Discard, res.Body)
		_ = res.Body.Close() // was read to its end, or err says why not
		switch {
		case err != nil:
			return err
		case res.StatusCode != http.StatusOK:
			return fmt.Errorf("status %d", res.StatusCode)
		case n == 0 || n != res.ContentLength:
			return fmt.Errorf("%d bytes of %d", n, res.ContentLength)
		case res.TLS == nil || res.TLS.CipherSuite != tls.TLS_AES_128_GCM_SHA256:
			return errors.New("negotiated another cipher than TLS_AES_128_GCM_SHA256")
		}
		h.done.Add(1)
	}
}
