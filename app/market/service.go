package market

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"go.uber.org/zap"

	"github.com/valor-ivx/weir/app/metrics"
)

// How long figures of a kind are fresh, and for how long after that they are shown while new ones are fetched. Until lastKnown they are better than nothing.
const (
	companyFor    = 24 * time.Hour
	statementsFor = time.Hour
	pricesFor     = 5 * time.Minute
	unknownFor    = 5 * time.Minute
	lastKnown     = 30 * 24 * time.Hour
)

const (
	// fetchTimeout bounds one visit to the provider; statements take three questions.
	fetchTimeout = 10 * time.Second
	// kept is how many companies are kept of each kind.
	kept = 1000
)

// Freshness is where figures came from.
type Freshness struct {
	// Cache is HIT, MISS, or STALE for older ones than their kind allows.
	Cache string
	Age   time.Duration
}

// Values of Freshness.Cache.
const (
	Hit   = "HIT"
	Miss  = "MISS"
	Stale = "STALE"
)

// UnavailableError is ErrUnavailable with when to try again.
type UnavailableError struct{ RetryAfter time.Duration }

// Error implements error.
func (e *UnavailableError) Error() string { return ErrUnavailable.Error() }

// Is makes it an ErrUnavailable.
func (e *UnavailableError) Is(err error) bool { return err == ErrUnavailable }

// Options is what a Service is made of. Every field is required.
type Options struct {
	Provider Provider
	Metrics  *metrics.Market
	Log      *zap.Logger
	Now      func() time.Time
}

// Service is a resource: what is known, and the visits to the provider that are under way, each a goroutine. Close ends those.
type Service struct {
	Options
	company    *shelf[Company]
	statements *shelf[Statements]
	prices     *shelf[[]Price]

	// mu guards breaker and closed.
	mu      sync.Mutex
	breaker breaker
	closed  bool

	ctx     context.Context
	cancel  context.CancelFunc
	fetches sync.WaitGroup
}

// New makes a service that knows nothing yet.
func New(o Options) (*Service, error) {
	s := &Service{Options: o}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	var errs [3]error
	s.company, errs[0] = newShelf[Company](s, companyFor, o.Metrics.Company)
	s.statements, errs[1] = newShelf[Statements](s, statementsFor, o.Metrics.Statements)
	s.prices, errs[2] = newShelf[[]Price](s, pricesFor, o.Metrics.Prices)
	return s, errors.Join(errs[:]...)
}

// Close ends what is under way and waits for it.
func (s *Service) Close() {
	s.cancel()
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.fetches.Wait()
}

// Company is a company's, or ErrUnknown or ErrUnavailable.
func (s *Service) Company(ctx context.Context, ticker string) (Company, Freshness, error) {
	return s.company.get(ctx, ticker, func(ctx context.Context) (Company, error) { return s.Provider.Company(ctx, ticker) })
}

// Statements are a company's.
func (s *Service) Statements(ctx context.Context, ticker string) (Statements, Freshness, error) {
	return s.statements.get(ctx, ticker, func(ctx context.Context) (Statements, error) { return s.Provider.Statements(ctx, ticker) })
}

// Prices are a company's by one of the intervals.
func (s *Service) Prices(ctx context.Context, ticker, interval string) ([]Price, Freshness, error) {
	return s.prices.get(ctx, ticker+" "+interval, func(ctx context.Context) ([]Price, error) { return s.Provider.Prices(ctx, ticker, interval) })
}

// run starts a goroutine that Close waits for, unless it has been called.
func (s *Service) run(do func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.fetches.Go(do)
	}
	return !s.closed
}

// visit asks the provider, unless the breaker says that it does not answer.
func (s *Service) visit(counts metrics.Visits, ask func(context.Context) error) error {
	s.mu.Lock()
	era, wait, ok := s.breaker.allow(s.Now())
	s.Metrics.Breaker.Set(float64(s.breaker.state))
	s.mu.Unlock()
	if !ok {
		counts.Refused.Inc()
		return &UnavailableError{wait}
	}
	ctx, cancel := context.WithTimeout(s.ctx, fetchTimeout)
	defer cancel()
	began := s.Now()
	err := ask(ctx)
	failed := err != nil && !errors.Is(err, ErrUnknown)
	counts.Duration.Observe(s.Now().Sub(began).Seconds())
	s.mu.Lock()
	if s.ctx.Err() == nil { // else it is we who ended it
		s.breaker.done(era, failed, s.Now())
	}
	s.Metrics.Breaker.Set(float64(s.breaker.state))
	s.mu.Unlock()
	switch {
	case failed:
		counts.Failed.Inc()
		s.Log.Warn("provider of figures failed", zap.String("provider", s.Provider.Name()), zap.Error(err))
		return &UnavailableError{time.Second}
	case err != nil:
		counts.Unknown.Inc()
		return err
	}
	counts.OK.Inc()
	return nil
}

// shelf keeps the figures of one kind.
type shelf[T any] struct {
	service *Service
	ttl     time.Duration
	counts  metrics.Kind

	// mu guards items and every item in them. Nobody waits while holding it.
	mu    sync.Mutex
	items *simplelru.LRU[string, *item[T]]
}

// item is what is known of one key.
type item[T any] struct {
	value T
	known bool // value is one
	at    time.Time
	err   error // ErrUnknown since at, or why the last fetch brought nothing
	// fetching is closed when the fetch under way has ended; nil: there is none.
	fetching chan struct{}
}

func newShelf[T any](s *Service, ttl time.Duration, counts metrics.Kind) (*shelf[T], error) {
	items, err := simplelru.NewLRU[string, *item[T]](kept, nil)
	if err != nil {
		return nil, fmt.Errorf("make shelf: %w", err)
	}
	return &shelf[T]{service: s, ttl: ttl, counts: counts, items: items}, nil
}

// get is what is on the shelf if it will do, else what a visit brings; many who ask for one key make one visit.
func (s *shelf[T]) get(ctx context.Context, key string, fetch func(context.Context) (T, error)) (T, Freshness, error) {
	s.mu.Lock()
	i, there := s.items.Get(key)
	if !there {
		i = &item[T]{}
		s.items.Add(key, i)
	}
	age := s.service.Now().Sub(i.at)
	switch {
	case i.known && age < s.ttl:
		defer s.mu.Unlock()
		s.counts.Hit.Inc()
		return i.value, Freshness{Hit, age}, nil
	case !i.known && errors.Is(i.err, ErrUnknown) && age < unknownFor:
		defer s.mu.Unlock()
		s.counts.Unknown.Inc()
		return i.value, Freshness{Hit, age}, i.err
	}
	ended := i.fetching
	if ended == nil {
		ended = s.start(i, fetch)
	}
	if i.known && age < 2*s.ttl {
		defer s.mu.Unlock()
		s.counts.Stale.Inc()
		return i.value, Freshness{Stale, age}, nil
	}
	s.mu.Unlock()
	select {
	case <-ended:
	case <-ctx.Done():
		var none T
		return none, Freshness{}, context.Cause(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.brought(i)
}

// brought is what there is after a visit.
func (s *shelf[T]) brought(i *item[T]) (T, Freshness, error) {
	age := s.service.Now().Sub(i.at)
	switch {
	case i.err == nil:
		s.counts.Miss.Inc()
		return i.value, Freshness{Miss, age}, nil
	case errors.Is(i.err, ErrUnknown):
		s.counts.Unknown.Inc()
	case i.known && age < lastKnown:
		s.counts.Kept.Inc()
		return i.value, Freshness{Stale, age}, nil
	default:
		s.counts.Failed.Inc()
	}
	var none T
	return none, Freshness{Miss, 0}, i.err
}

// start visits the provider in a goroutine of its own: who asked may leave, and others may come.
func (s *shelf[T]) start(i *item[T], fetch func(context.Context) (T, error)) chan struct{} {
	ended := make(chan struct{})
	i.fetching = ended
	begun := s.service.run(func() {
		var value T
		err := s.service.visit(s.counts.Visits, func(ctx context.Context) (err error) {
			value, err = fetch(ctx)
			return err
		})
		s.mu.Lock()
		defer s.mu.Unlock()
		i.err, i.fetching = err, nil
		switch {
		case err == nil:
			i.value, i.known, i.at = value, true, s.service.Now()
		case errors.Is(err, ErrUnknown): // it was there and is not any more
			var none T
			i.value, i.known, i.at = none, false, s.service.Now()
		}
		close(ended)
	})
	if !begun {
		i.err, i.fetching = &UnavailableError{time.Second}, nil
		close(ended)
	}
	return ended
}
