package auth

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// RemoteOptions say where keys are fetched and how often.
type RemoteOptions struct {
	URL     string
	CA      []byte        // PEM of the CAs that are trusted in place of the system's; nil: those
	Refresh time.Duration // between two fetches when all is well; after a failure a second, doubled up to a minute
	Pause   time.Duration // at least so long between two fetches that unknown keys cause
	Failed  func(err error)
}

// remoteKeys are keys fetched from an issuer. While the issuer is away those that it gave last stay.
type remoteKeys struct {
	fetcher
	options RemoteOptions
	client  *http.Client
	current atomic.Pointer[keySet] // nil before the first fetch that went well; written by the fetcher's goroutine
}

func fetchKeys(o RemoteOptions) *remoteKeys {
	k := &remoteKeys{options: o, client: &http.Client{Timeout: fetchTimeout, Transport: transport(o.CA)}}
	k.fetcher = fetcher{fetch: k.ask, refresh: o.Refresh, pause: o.Pause, failed: o.Failed}
	k.start()
	return k
}

func (k *remoteKeys) ask(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, k.options.URL, nil)
	if err != nil {
		return fmt.Errorf("fetch keys: %w", err)
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	res, err := k.client.Do(req)
	if err != nil {
		return fmt.Errorf("fetch keys: %w", err)
	}
	defer func() { _ = res.Body.Close() }() // read only
	text, err := io.ReadAll(io.LimitReader(res.Body, mostKeySet+1))
	if err != nil {
		return fmt.Errorf("fetch keys from %s: %w", k.options.URL, err)
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("fetch keys from %s: status %d", k.options.URL, res.StatusCode)
	}
	if old := k.current.Load(); old != nil && old.sum == sha256.Sum256(text) {
		return nil
	}
	set, err := readKeys(text)
	if err != nil {
		return fmt.Errorf("read keys from %s: %w", k.options.URL, err)
	}
	k.current.Store(set)
	return nil
}

// renewed waits for a fetch that a token with an unknown key asks for, and gives what is there then; with left there is nobody to tell.
func (k *remoteKeys) renewed(r *Request) (*keySet, outcome) {
	o := k.renew(r)
	return k.current.Load(), o
}

func (k *remoteKeys) close() {
	k.fetcher.close()
	k.client.CloseIdleConnections()
}
