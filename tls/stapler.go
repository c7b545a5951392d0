package edgetls

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/crypto/ocsp"
)

// StaplerOptions are what a Stapler works with.
type StaplerOptions struct {
	Folder string           // keeps answers, so that a restart staples at once; it exists, or its parent does
	Logger *zap.Logger      // nil: none
	Now    func() time.Time // nil: time.Now
}

// Stapler keeps the OCSP answer (RFC 6960) of every certificate in force, from files or from a CA, that names a responder, and has the Manager staple it to
// handshakes (RFC 6066 §8, RFC 8446 §4.4.2.1). It is a resource: one goroutine, and one for each question under way, which end with Close.
//
// No handshake waits for it, and none fails because of it: without a good answer that is still valid, none is stapled. A certificate that demands a staple (RFC
// 7633) is served all the same; the client decides.
type Stapler struct {
	manager *Manager
	options StaplerOptions
	client  *http.Client

	kicked chan struct{} // the certificates in force have changed; capacity 1
	cancel context.CancelFunc
	done   chan struct{}

	// The goroutine's own.
	known  map[fingerprint]*staple // of the certificates in force
	stored map[fingerprint][]byte  // what earlier runs left; for certificates that come in force later too
}

type fingerprint [sha256.Size]byte

// staple is what is known of one certificate.
type staple struct {
	leaf, issuer *x509.Certificate
	raw          []byte    // a good answer; nil: none
	until        time.Time // when raw stops being valid
	next         time.Time // when to ask (again)
	failures     int       // in a row
	said         string    // the last failure that was logged
}

const (
	stapleTimeout = 10 * time.Second // of a responder
	staplesAtOnce = 4
	stapleSize    = 64 << 10  // bytes; answers with a whole chain are a tenth of it
	stapleNever   = time.Hour // between questions where answers do not say how long they hold (RFC 6960 §2.4: newer ones are always there)
	clockSkew     = 5 * time.Minute
)

// NewStapler begins to staple what m serves. Answers of earlier runs are in force when it returns, for what m serves by then or later.
func NewStapler(o StaplerOptions, m *Manager) *Stapler {
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Stapler{
		manager: m, options: o, known: map[fingerprint]*staple{}, kicked: make(chan struct{}, 1), done: make(chan struct{}),
		client: &http.Client{Timeout: stapleTimeout, Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true}},
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	m.stapleWith(s.kicked)
	s.stored = s.readStored()
	s.update()
	go s.run(ctx)
	return s
}

// Close ends the questions. What was stapled stays so.
func (s *Stapler) Close() {
	s.cancel()
	<-s.done
}

func (s *Stapler) run(ctx context.Context) {
	defer close(s.done)
	for rests := true; rests; rests = rest(ctx, s.wait(), s.kicked) {
		s.update()
		s.ask(ctx)
	}
}

// update makes known what is in force, reads what earlier runs stored of it, and publishes.
func (s *Stapler) update() {
	now := s.options.Now()
	next := map[fingerprint]*staple{}
	for _, c := range s.manager.Store().everything() {
		if len(c.tls.Certificate) < 2 || len(c.tls.Leaf.OCSPServer) == 0 {
			continue // nobody to ask, or nobody to check the answer by
		}
		id := fingerprint(sha256.Sum256(c.tls.Leaf.Raw))
		if next[id] = s.known[id]; next[id] != nil {
			continue
		}
		issuer, err := x509.ParseCertificate(c.tls.Certificate[1])
		if err != nil {
			delete(next, id)
			continue
		}
		next[id] = &staple{leaf: c.tls.Leaf, issuer: issuer}
		if raw := s.stored[id]; raw != nil {
			_ = next[id].take(raw, now) // an old answer is no answer
		}
	}
	s.known = next
	s.publish(now)
}

// readStored gives the answers of earlier runs that have not ended, and removes those that have. They were checked before they were stored.
func (s *Stapler) readStored() map[fingerprint][]byte {
	out := map[fingerprint][]byte{}
	names, _ := filepath.Glob(filepath.Join(s.options.Folder, "*.ocsp")) // fails for a bad pattern only
	for _, name := range names {
		id, err := hex.DecodeString(strings.TrimSuffix(filepath.Base(name), ".ocsp"))
		if err != nil || len(id) != sha256.Size {
			continue // not ours
		}
		raw, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		answer, err := ocsp.ParseResponse(raw, nil)
		if err != nil || !answer.NextUpdate.After(s.options.Now()) {
			_ = os.Remove(name) // it is read again and removed then
			continue
		}
		out[fingerprint(id)] = raw
	}
	return out
}

func (s *Stapler) file(id fingerprint) string {
	return filepath.Join(s.options.Folder, hex.EncodeToString(id[:])+".ocsp")
}

// ask asks for everything that is due.
func (s *Stapler) ask(ctx context.Context) {
	now := s.options.Now()
	var all sync.WaitGroup
	slots := make(chan struct{}, staplesAtOnce)
	for id, k := range s.known {
		if k.next.After(now) {
			continue
		}
		all.Go(func() { // alone with its staple until all have ended
			slots <- struct{}{}
			defer func() { <-slots }()
			s.refresh(ctx, id, k)
		})
	}
	all.Wait()
	if ctx.Err() == nil {
		s.publish(s.options.Now())
	}
}

// refresh asks for one answer and keeps the one there is when there is no new one.
func (s *Stapler) refresh(ctx context.Context, id fingerprint, k *staple) {
	raw, err := s.fetch(ctx, k)
	now := s.options.Now()
	if err == nil {
		err = k.take(raw, now)
	}
	if err != nil {
		if ctx.Err() != nil {
			return
		}
		k.next = now.Add(min(retryAfter(k.failures), stapleNever))
		k.failures++
		if said := err.Error(); said != k.said { // once, not with every attempt
			k.said = said
			s.options.Logger.Warn("no OCSP answer to staple", zap.Strings("tls.server.subject", k.leaf.DNSNames),
				zap.String("error.message", said), zap.Time("weir.next_attempt", k.next))
		}
		return
	}
	k.failures, k.said = 0, ""
	err = os.MkdirAll(s.options.Folder, 0o700)
	if err == nil {
		err = writeAtomic(s.file(id), raw, 0o600, os.Rename)
	}
	if err != nil {
		s.options.Logger.Warn("OCSP answer not kept", zap.String("error.message", err.Error()))
	}
}

// fetch asks the responder (RFC 6960 appendix A.1).
func (s *Stapler) fetch(ctx context.Context, k *staple) ([]byte, error) {
	question, err := ocsp.CreateRequest(k.leaf, k.issuer, nil)
	if err != nil {
		return nil, fmt.Errorf("make OCSP request: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, k.leaf.OCSPServer[0], bytes.NewReader(question))
	if err != nil {
		return nil, fmt.Errorf("make OCSP request: %w", err)
	}
	req.Header.Set("Content-Type", "application/ocsp-request")
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask OCSP responder: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("OCSP responder %s answers %s", k.leaf.OCSPServer[0], resp.Status)
	}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, stapleSize+1))
	if err == nil && len(raw) > stapleSize {
		err = errors.New("it is longer than 64 KiB")
	}
	if err != nil {
		return nil, fmt.Errorf("read OCSP answer: %w", err)
	}
	return raw, nil
}

// take checks an answer and makes it the one to staple. Only "good" is: anything else would help nobody who connects.
func (k *staple) take(raw []byte, now time.Time) error {
	answer, err := ocsp.ParseResponseForCert(raw, k.leaf, k.issuer) // signed by the issuer, or by whom it has certified
	if err != nil {
		return fmt.Errorf("check OCSP answer: %w", err)
	}
	until := answer.NextUpdate
	if until.IsZero() {
		until = answer.ThisUpdate.Add(2 * stapleNever)
	}
	switch {
	case answer.Certificate != nil && !answer.Certificate.Equal(k.issuer) && !mayAnswer(answer.Certificate):
		return errors.New("check OCSP answer: who signed it may not (RFC 6960 §4.2.2.2)")
	case answer.ThisUpdate.After(now.Add(clockSkew)):
		return fmt.Errorf("check OCSP answer: it is of %s, which is yet to come: is the clock right?", answer.ThisUpdate.UTC().Format(time.RFC3339))
	case !until.After(now):
		return fmt.Errorf("check OCSP answer: it ended at %s", until.UTC().Format(time.RFC3339))
	case answer.Status == ocsp.Revoked:
		k.raw = nil
		return fmt.Errorf("the certificate was revoked at %s: replace it", answer.RevokedAt.UTC().Format(time.RFC3339))
	case answer.Status != ocsp.Good:
		return errors.New("the OCSP responder does not know the certificate")
	}
	k.raw, k.until = raw, until
	k.next = answer.ThisUpdate.Add(until.Sub(answer.ThisUpdate) / 2) // leaves as long again for a responder's bad day
	return nil
}

func mayAnswer(c *x509.Certificate) bool {
	for _, use := range c.ExtKeyUsage {
		if use == x509.ExtKeyUsageOCSPSigning {
			return true
		}
	}
	return false
}

// publish gives the Manager what is valid at now.
func (s *Stapler) publish(now time.Time) {
	valid := map[fingerprint][]byte{}
	for id, raw := range s.stored {
		if s.known[id] == nil {
			valid[id] = raw
		}
	}
	for id, k := range s.known {
		if k.raw != nil && k.until.After(now) {
			valid[id] = k.raw
		}
	}
	s.manager.staple(valid)
}

// wait is the time until something is to be asked, or not to be stapled any longer.
func (s *Stapler) wait() time.Duration {
	now := s.options.Now()
	wait := stapleNever
	for k := range maps.Values(s.known) {
		wait = min(wait, k.next.Sub(now))
		if k.raw != nil && k.until.After(now) {
			wait = min(wait, k.until.Sub(now))
		}
	}
	return max(wait, 100*time.Millisecond) // a responder whose answers end at once must not make us spin
}
