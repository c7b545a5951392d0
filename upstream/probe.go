package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// probing is the client of probe. It is off the data path, so it is the standard one, on connections made like those of requests; each probe has one of its
// own, because "accepts connections" is part of what is asked.
func (l *link) probing() *http.Client {
	open := func(ctx context.Context, _, _ string) (net.Conn, error) {
		deadline, ok := ctx.Deadline()
		if !ok {
			deadline = time.Now().Add(defaultConnectTimeout) // no probe comes without one
		}
		return l.open(ctx, Client{}, deadline)
	}
	var speaks *http.Protocols // nil: HTTP/1
	if l.transport.HTTP2 {
		speaks = new(http.Protocols)
		speaks.SetHTTP2(l.secure != nil)
		speaks.SetUnencryptedHTTP2(l.secure == nil)
	}
	return &http.Client{
		Transport: &http.Transport{
			Protocols:   speaks,
			DialContext: open, DialTLSContext: open, DisableKeepAlives: true, DisableCompression: true, MaxResponseHeaderBytes: 16 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// probe is the check that is used unless Options.Probe says otherwise.
func (l *link) probe(ctx context.Context, address string, h HealthOptions) error {
	scheme := "http://"
	if l.secure != nil {
		scheme = "https://"
	}
	if h.GRPC {
		if err := l.probeGRPC(ctx, scheme+address, h); err != nil {
			return fmt.Errorf("probe %s: %w", address, err)
		}
		return nil
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+address+h.Path, nil)
	if err != nil {
		return fmt.Errorf("make probe of %s: %w", address, err)
	}
	request.Host = h.Host
	request.Header.Set("User-Agent", "weir-health")
	response, err := l.client.Do(request)
	if err != nil {
		return fmt.Errorf("probe %s: %w", address, rootCause(err))
	}
	defer response.Body.Close()
	if response.StatusCode < 200 || response.StatusCode > 299 {
		return fmt.Errorf("probe %s: status %d is not 2xx", address, response.StatusCode)
	}
	// The body must arrive: a process that hangs after the head is not ready. 64 KiB is more than a readiness answer needs.
	if _, err := io.Copy(io.Discard, io.LimitReader(response.Body, 64<<10)); err != nil {
		return fmt.Errorf("probe %s: read body: %w", address, err)
	}
	return nil
}

// rootCause takes the method and URL off a client's error: the caller names the address already.
func rootCause(err error) error {
	if inner := errors.Unwrap(err); inner != nil {
		return inner
	}
	return err
}
