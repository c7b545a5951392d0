package edgetls

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
)

// OnDemandOptions let handshakes ask for certificates of names that no route names.
type OnDemandOptions struct {
	Ask     string                 // URL; GET with ?domain=NAME must answer 200 for a name that may be obtained
	Timeout time.Duration          // of the answer; 0: 2 seconds
	Limit   Rate                   // new names; over restarts too
	Names   int                    // at most so many names at all; 0: 1000
	Serves  func(host string) bool // whether a route takes requests for a host; nil: one takes any
	Counted func(OnDemandResult)   // called with how each new name ended; nil: nobody counts
}

// OnDemandResult is how the first handshake for a name ended.
type OnDemandResult int

// The results.
const (
	OnDemandObtained OnDemandResult = iota
	OnDemandRefused                 // by the ask endpoint, or the name can have no certificate
	OnDemandNoAnswer                // of the ask endpoint
	OnDemandLimited                 // the budget, or the number of names
	OnDemandBusy                    // too many new names at once
	OnDemandFailed                  // the CA gave none
	onDemandResults
)

// OnDemandResults are the names of the results, in order, as metrics have them.
func OnDemandResults() []string {
	return []string{"obtained", "refused", "no_answer", "limited", "busy", "failed"}
}

const (
	demandsAtOnce  = ordersAtOnce / 2 // names that are being asked about and ordered: the rest is for the routes' own
	refusedFor     = 5 * time.Minute  // how long a name that was refused is not asked about again
	noAnswerFor    = 10 * time.Second
	refusalsKept   = 10_000 // names; a scan of more is asked about anew
	onDemandKey    = "on_demand.json"
	onDemandBudget = "on demand"
)

// onDemand obtains certificates for names that clients ask for. It belongs to an ACME: its goroutines, one per name being asked about, end with that one.
type onDemand struct {
	OnDemandOptions
	acme   *ACME
	client *http.Client

	mu      sync.Mutex // guards what follows; held for memory operations only
	pending map[string]chan struct{}
	refused map[string]time.Time // until when
}

func newOnDemand(a *ACME, o OnDemandOptions) *onDemand {
	if o.Timeout <= 0 {
		o.Timeout = 2 * time.Second
	}
	if o.Names <= 0 {
		o.Names = 1000
	}
	if o.Serves == nil {
		o.Serves = func(string) bool { return true }
	}
	if o.Counted == nil {
		o.Counted = func(OnDemandResult) {}
	}
	return &onDemand{OnDemandOptions: o, acme: a, client: &http.Client{Timeout: o.Timeout}, pending: map[string]chan struct{}{}, refused: map[string]time.Time{}}
}

// await returns when it is known whether there is a certificate for name, or when ctx ends. Only the handshake that asks waits.
func (d *onDemand) await(ctx context.Context, serverName string) {
	name := normalSubject(serverName)
	if !d.Serves(name) {
		return
	}
	d.mu.Lock()
	wait := d.pending[name]
	if wait == nil {
		if d.options().Now().Before(d.refused[name]) {
			d.mu.Unlock()
			return
		}
		if len(d.pending) >= demandsAtOnce {
			d.mu.Unlock()
			d.Counted(OnDemandBusy)
			return
		}
		wait = make(chan struct{})
		d.pending[name] = wait
		if !d.acme.begin(func() { d.demand(name, wait) }) {
			delete(d.pending, name)
			close(wait)
		}
	}
	d.mu.Unlock()
	select {
	case <-wait:
	case <-ctx.Done():
	}
}

func (d *onDemand) options() *ACMEOptions { return &d.acme.options }

// demand asks whether name may have a certificate, has it obtained, and remembers a no.
func (d *onDemand) demand(name string, done chan struct{}) {
	result, forgetAt, err := d.obtain(d.acme.ctx, name)
	d.mu.Lock()
	delete(d.pending, name)
	if err != nil {
		if len(d.refused) >= refusalsKept {
			clear(d.refused)
		}
		d.refused[name] = forgetAt
	}
	d.mu.Unlock()
	ended := d.acme.ctx.Err() != nil
	if !ended {
		d.Counted(result) // before the handshake that waits can end: what its client sees is in the books
	}
	close(done)
	if err != nil && !ended {
		d.acme.log.Info("no certificate on demand", zap.String("tls.server.subject", name), zap.String("error.message", err.Error()),
			zap.Time("weir.next_attempt", forgetAt))
	}
}

func (d *onDemand) obtain(ctx context.Context, name string) (result OnDemandResult, forgetAt time.Time, err error) {
	now := d.options().Now()
	if !obtainable(name) {
		return OnDemandRefused, now.Add(refusedFor), errors.New("it is no public host name")
	}
	switch allowed, err := d.allowed(ctx, name); {
	case err != nil:
		return OnDemandNoAnswer, now.Add(noAnswerFor), fmt.Errorf("ask: %w", err)
	case !allowed:
		return OnDemandRefused, now.Add(refusedFor), errors.New("the ask endpoint refused it")
	}
	if d.acme.demanded() >= d.Names {
		return OnDemandLimited, now.Add(refusedFor), fmt.Errorf("there are %d names already, the most that are allowed", d.Names)
	}
	budgets := []budget{{key: onDemandBudget, rate: d.Limit, what: "new names on demand"}}
	if d.Limit.Count > 0 {
		if err := d.acme.ledger.take(ctx, "the CA", budgets, now); err != nil {
			until := notBeforeOne(err) // zero when the ledger could not be written: then names are not bounded, and none is obtained
			if until.IsZero() {
				until = now.Add(noAnswerFor)
			}
			return OnDemandLimited, until, err
		}
	}
	next, err := d.acme.demand(ctx, name)
	if err != nil {
		return OnDemandFailed, next, err
	}
	d.remember(ctx, name, true)
	return OnDemandObtained, time.Time{}, nil
}

// allowed asks the operator's endpoint.
func (d *onDemand) allowed(ctx context.Context, name string) (bool, error) {
	u, err := url.Parse(d.Ask)
	if err != nil {
		return false, err
	}
	query := u.Query()
	query.Set("domain", name)
	u.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return false, err
	}
	resp, err := d.client.Do(req)
	if err != nil {
		return false, err
	}
	_ = resp.Body.Close() // the status is the answer
	if resp.StatusCode >= http.StatusInternalServerError {
		return false, errors.New(resp.Status)
	}
	return resp.StatusCode == http.StatusOK, nil
}

// renewable asks again before a name is renewed. Without an answer it is: an endpoint that is down must not take sites with it.
func (d *onDemand) renewable(ctx context.Context, name string) bool {
	if !d.Serves(name) {
		return false
	}
	allowed, err := d.allowed(ctx, name)
	return allowed || err != nil
}

// obtainable reports a host name that a CA could give a certificate for.
func obtainable(name string) bool {
	if len(name) > 253 || !strings.Contains(name, ".") {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, c := range label {
			if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
				return false
			}
		}
	}
	last := name[strings.LastIndexByte(name, '.')+1:]
	return strings.Trim(last, "0123456789") != "" // an IP address is no host name
}

// names are those of earlier runs.
func (d *onDemand) names(ctx context.Context) []string {
	data, err := d.options().Storage.Load(ctx, onDemandKey)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			d.acme.log.Warn("names on demand not read", zap.String("error.message", err.Error()))
		}
		return nil
	}
	var names []string
	if json.Unmarshal(data, &names) != nil {
		return nil
	}
	names = slices.DeleteFunc(names, func(n string) bool { return !obtainable(n) })
	return names[:min(len(names), d.Names)]
}

// remember writes a name down for the next run, or strikes it out.
func (d *onDemand) remember(ctx context.Context, name string, wanted bool) {
	ctx, cancel := context.WithTimeout(ctx, ledgerWait)
	defer cancel()
	storage := d.options().Storage
	err := storage.Lock(ctx, onDemandKey)
	if err == nil {
		defer func() { _ = storage.Unlock(context.WithoutCancel(ctx), onDemandKey) }() // a lock that stays runs out by itself
		names := slices.DeleteFunc(d.names(ctx), func(n string) bool { return n == name })
		if wanted {
			names = append(names, name)
		}
		slices.Sort(names)
		var data []byte
		if data, err = json.Marshal(names); err == nil {
			err = storage.Store(ctx, onDemandKey, data)
		}
	}
	if err != nil {
		d.acme.log.Warn("names on demand not written", zap.String("error.message", err.Error()))
	}
}

// certificate is what a handshake gets: that of the set in force, which for a name nobody has one for may be extended first. nil and no error make crypto/tls end the
// handshake with unrecognized_name.
func (m *Manager) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	store := m.store.Load()
	a := m.acme.Load()
	if a == nil || a.onDemand == nil || hello.ServerName == "" || store.has(hello.ServerName) {
		return store.certificate(hello)
	}
	a.onDemand.await(hello.Context(), hello.ServerName)
	if store = m.store.Load(); !store.has(hello.ServerName) {
		return nil, nil
	}
	return store.certificate(hello)
}
