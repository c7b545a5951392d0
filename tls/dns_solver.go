package edgetls

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/mholt/acmez/v3/acme"
	"github.com/miekg/dns"
)

// record is the TXT record that answers a dns-01 challenge (RFC 8555 §8.4).
type record struct {
	domain         string // the name that is proven, without "*."
	name           string // of the record, where the challenge's name leads by CNAME, with a final dot
	value          string
	token, keyAuth string // what providers that work the value out themselves start from
}

// publisher puts records into DNS and takes them out again.
type publisher interface {
	publish(ctx context.Context, r record) error
	withdraw(ctx context.Context, r record) error
}

// dnsSolver answers dns-01 challenges through a publisher. It implements acmez.Solver and acmez.Waiter.
//
// A wildcard and its domain share one challenge name, and so do all names that lead to one record by CNAME. Some providers replace what is there: such
// challenges go one after the other.
type dnsSolver struct {
	publisher   publisher
	propagation propagation

	mu     sync.Mutex // guards what follows
	held   map[string]hold
	queues map[string]chan struct{} // record name → a token for the one whose turn it is; one per name that was ever proven
}

// hold is a challenge under way.
type hold struct {
	record record
	queue  chan struct{}
}

const (
	publishTimeout  = time.Minute      // of a provider's API, or of a program
	withdrawTimeout = 15 * time.Second // the same, when an order may have been abandoned and somebody waits for its end
)

func newDNSSolver(o DNSOptions) (*dnsSolver, error) {
	p, err := newPublisher(o)
	if err != nil {
		return nil, fmt.Errorf("dns provider %s: %w", o.Provider, err)
	}
	return &dnsSolver{publisher: p, propagation: newPropagation(o), held: map[string]hold{}, queues: map[string]chan struct{}{}}, nil
}

// Present implements acmez.Solver.
func (s *dnsSolver) Present(ctx context.Context, c acme.Challenge) error {
	r := record{
		domain: c.Identifier.Value, value: c.DNS01KeyAuthorization(), token: c.Token, keyAuth: c.KeyAuthorization,
		name: s.propagation.target(ctx, dns.Fqdn(c.DNS01TXTRecordName())),
	}
	queue := s.queue(r.name)
	select {
	case <-queue:
	case <-ctx.Done():
		return ctx.Err()
	}
	s.mu.Lock()
	s.held[c.Token] = hold{r, queue}
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	if err := s.publisher.publish(ctx, r); err != nil {
		return &refusal{words: fmt.Sprintf("the record %s could not be published: %v", r.name, err)}
	}
	return nil
}

// Wait implements acmez.Waiter.
func (s *dnsSolver) Wait(ctx context.Context, c acme.Challenge) error {
	s.mu.Lock()
	h := s.held[c.Token]
	s.mu.Unlock()
	return s.propagation.wait(ctx, h.record)
}

// CleanUp implements acmez.Solver. It is called after a failed Present too.
func (s *dnsSolver) CleanUp(ctx context.Context, c acme.Challenge) error {
	s.mu.Lock()
	h, held := s.held[c.Token]
	delete(s.held, c.Token)
	s.mu.Unlock()
	if !held {
		return nil
	}
	defer func() { h.queue <- struct{}{} }()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), withdrawTimeout)
	defer cancel()
	return s.publisher.withdraw(ctx, h.record)
}

func (s *dnsSolver) queue(name string) chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.queues[name]
	if q == nil {
		q = make(chan struct{}, 1)
		q <- struct{}{}
		s.queues[name] = q
	}
	return q
}
