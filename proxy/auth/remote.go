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

const (
	fetchTimeout = 10 * time.Second
	newKeyWait   = 3 * time.Second // how long a token of an unknown key waits for a fetch
	newKeyWaits  = 64              // tokens that may
	mostBackOff  = time.Minute
)

// remoteKeys are keys fetched from an issuer. The goroutine of run fetches them, first at once, until close. While the issuer is away those that it gave
// last stay.
type remoteKeys struct {
	options RemoteOptions
	client  *http.Client
	current atomic.Pointer[keySet] // nil before the first fetch that went well; written by run
	failing atomic.Bool            // written by run
	waiting atomic.Int64
	wanted  chan chan struct{} // to run: fetch soon, and close this when it has been tried
	end     context.CancelFunc
	done    chan struct{}
}

func fetchKeys(o RemoteOptions) *remoteKeys {
	ctx, end := context.WithCancel(context.Background())
	k := &remoteKeys{options: o, client: &http.Client{Timeout: fetchTimeout, Transport: transport(o.CA)},
		wanted: make(chan chan struct{}, newKeyWaits), end: end, done: make(chan struct{})}
	go k.run(ctx)
	return k
}

func (k *remoteKeys) run(ctx context.Context) {
	defer close(k.done)
	defer k.client.CloseIdleConnections()
	backOff := time.Second
	for {
		next := k.options.Refresh
		err := k.fetch(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			next = min(backOff, next)
			backOff = min(2*backOff, mostBackOff)
			k.options.Failed(err)
		} else {
			backOff = time.Second
		}
		k.failing.Store(err != nil)
		if !k.rest(ctx, next) {
			return
		}
	}
}

// rest waits until the next fetch is due. One that is asked for comes first, but not before the pause is over: until then whoever asks is told at once
// that nothing came of it, or a flood of made-up keys would be one of fetches.
func (k *remoteKeys) rest(ctx context.Context, next time.Duration) bool {
	due := time.NewTimer(next)
	defer due.Stop()
	from := time.Now()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-due.C:
			return true
		case tried := <-k.wanted:
			if time.Since(from) >= k.options.Pause {
				err := k.fetch(ctx)
				k.failing.Store(err != nil)
				from = time.Now()
			}
			close(tried)
		}
	}
}

func (k *remoteKeys) fetch(ctx context.Context) error {
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
	defer k.waiting.Add(-1)
	if k.waiting.Add(1) > newKeyWaits {
		return k.current.Load(), late
	}
	tried := make(chan struct{})
	select {
	case k.wanted <- tried:
	default:
		return k.current.Load(), late
	}
	o := r.await(tried, k.done, newKeyWait)
	return k.current.Load(), o
}

func (k *remoteKeys) close() {
	k.end()
	<-k.done
}
