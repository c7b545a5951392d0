package market_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"

	"github.com/valor-ivx/weir/app/market"
	"github.com/valor-ivx/weir/app/metrics"
)

// scripted is a provider that answers with the number of the visit after a while, or as it is told.
type scripted struct {
	market.Provider
	takes  time.Duration
	visits atomic.Int64

	mu  sync.Mutex // guards err
	err error
}

func (s *scripted) Name() string { return "scripted" }

func (s *scripted) tell(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func (s *scripted) Company(ctx context.Context, ticker string) (market.Company, error) {
	n := s.visits.Add(1)
	select {
	case <-time.After(s.takes):
	case <-ctx.Done():
		return market.Company{}, ctx.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return market.Company{Ticker: ticker, Beta: float64(n)}, s.err
}

type bench struct {
	*market.Service
	*scripted
	t      *testing.T
	counts *metrics.Market
}

// inBubble runs with time of its own.
func inBubble(t *testing.T, do func(t *testing.T, b *bench)) {
	synctest.Test(t, func(t *testing.T) {
		b := &bench{scripted: &scripted{takes: time.Second}, t: t, counts: metrics.New(metrics.Options{Pools: func() []metrics.Pool { return nil }}).Market}
		var err error
		if b.Service, err = market.New(market.Options{Provider: b.scripted, Metrics: b.counts, Log: zap.NewNop(), Now: time.Now}); err != nil {
			t.Fatal(err)
		}
		do(t, b)
		b.Close()
	})
}

// asks is one question whose answer must be of a visit, from the cache as said, so old.
func (b *bench) asks(visit float64, cache string, age time.Duration) {
	b.t.Helper()
	c, fresh, err := b.Service.Company(b.t.Context(), "NORD")
	if err != nil || c.Beta != visit || fresh.Cache != cache || fresh.Age != age {
		b.t.Fatalf("visit %v, %+v, %v; want visit %v, %s, %v", c.Beta, fresh, err, visit, cache, age)
	}
}

func (b *bench) count(name string, c prometheus.Collector, want float64) {
	b.t.Helper()
	if got := testutil.ToFloat64(c); got != want {
		b.t.Errorf("%s: %v, want %v", name, got, want)
	}
}

const day = 24 * time.Hour

// TestFreshStaleAndKept is the life of one entry: fresh for a day, shown for another while a visit is made, waited for after that, and shown whatever its age
// when the provider fails.
func TestFreshStaleAndKept(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.asks(1, market.Miss, 0)
		time.Sleep(day - time.Nanosecond)
		b.asks(1, market.Hit, day-time.Nanosecond)
		time.Sleep(time.Nanosecond)
		b.asks(1, market.Stale, day) // at once: the visit goes on behind it
		b.asks(1, market.Stale, day)
		time.Sleep(2 * time.Second)
		b.asks(2, market.Hit, time.Second)
		time.Sleep(2 * day)
		b.asks(3, market.Miss, 0)
		b.tell(errors.New("out of order"))
		time.Sleep(2 * day)
		b.asks(3, market.Stale, 2*day+time.Second)
		time.Sleep(27 * day)
		b.asks(3, market.Stale, 29*day+2*time.Second)
		time.Sleep(day)
		if _, _, err := b.Service.Company(t.Context(), "NORD"); !errors.Is(err, market.ErrUnavailable) {
			t.Errorf("after a month: %v", err)
		}
		b.tell(nil)
		b.asks(7, market.Miss, 0)
		k := b.counts.Company
		for name, c := range map[string]struct {
			c    prometheus.Collector
			want float64
		}{"hit": {k.Hit, 2}, "miss": {k.Miss, 3}, "stale": {k.Stale, 2}, "kept": {k.Kept, 2}, "failed": {k.Failed, 1}, "visits ok": {k.Visits.OK, 4}, "visits failed": {k.Visits.Failed, 3}} {
			b.count(name, c.c, c.want)
		}
	})
}

// TestManyMakeOneVisit: also when who came first has left.
func TestManyMakeOneVisit(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() {
			if _, _, err := b.Service.Company(ctx, "NORD"); !errors.Is(err, context.Canceled) {
				t.Errorf("who left: %v", err)
			}
		})
		synctest.Wait()
		for range 50 {
			all.Go(func() {
				if c, _, err := b.Service.Company(t.Context(), "NORD"); err != nil || c.Beta != 1 {
					t.Errorf("%+v, %v", c, err)
				}
			})
		}
		synctest.Wait()
		cancel()
		all.Wait()
		if n := b.visits.Load(); n != 1 {
			t.Errorf("%d visits", n)
		}
	})
}

// TestUnknownIsRemembered for five minutes, and is no failure.
func TestUnknownIsRemembered(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.tell(fmt.Errorf("none: %w", market.ErrUnknown))
		for range 20 {
			if _, _, err := b.Service.Company(t.Context(), "NONE"); !errors.Is(err, market.ErrUnknown) {
				t.Fatal(err)
			}
		}
		b.count("visits", b.counts.Company.Visits.Unknown, 1)
		b.count("breaker", b.counts.Breaker, 0)
		b.tell(nil)
		time.Sleep(5 * time.Minute)
		if c, _, err := b.Service.Company(t.Context(), "NONE"); err != nil || c.Beta != 2 {
			t.Errorf("now there is one: %+v, %v", c, err)
		}
		// What was known and is not any more is not kept.
		b.tell(market.ErrUnknown)
		time.Sleep(3 * day)
		if c, _, err := b.Service.Company(t.Context(), "NONE"); !errors.Is(err, market.ErrUnknown) || c.Beta != 0 {
			t.Errorf("gone: %+v, %v", c, err)
		}
	})
}

// TestBreakerSparesTheProvider: one that fails is left alone for a minute, whoever asks for whatever; then one visit at a time finds out.
func TestBreakerSparesTheProvider(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.tell(errors.New("out of order"))
		for i := range 40 {
			_, _, err := b.Service.Company(t.Context(), fmt.Sprint("T", i))
			var wait *market.UnavailableError
			if !errors.As(err, &wait) || wait.RetryAfter <= 0 || wait.RetryAfter > time.Minute {
				t.Fatalf("%d: %v", i, err)
			}
		}
		if n := b.visits.Load(); n != 5 {
			t.Errorf("%d visits", n)
		}
		b.count("breaker", b.counts.Breaker, 2)
		b.count("refused", b.counts.Company.Visits.Refused, 35)
		b.tell(nil)
		time.Sleep(time.Minute)
		var all sync.WaitGroup
		var served atomic.Int64
		for i := range 10 {
			all.Go(func() {
				if _, _, err := b.Service.Company(t.Context(), fmt.Sprint("N", i)); err == nil {
					served.Add(1)
				}
			})
		}
		all.Wait()
		if served.Load() != 1 || b.visits.Load() != 6 {
			t.Errorf("%d served by %d visits while it is half open", served.Load(), b.visits.Load()-5)
		}
		b.count("breaker", b.counts.Breaker, 1)
		if _, _, err := b.Service.Company(t.Context(), "M"); err != nil {
			t.Error(err)
		}
		b.count("breaker", b.counts.Breaker, 0)
	})
}

// TestProviderThatHangs: a visit ends after ten seconds, and at once when the service is closed.
func TestProviderThatHangs(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.takes = time.Hour
		began := time.Now()
		if _, _, err := b.Service.Company(t.Context(), "NORD"); !errors.Is(err, market.ErrUnavailable) || time.Since(began) != 10*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		ended := make(chan error, 1)
		go func() {
			_, _, err := b.Service.Company(t.Context(), "NORD")
			ended <- err
		}()
		synctest.Wait()
		b.Close()
		if err := <-ended; !errors.Is(err, market.ErrUnavailable) || time.Since(began) != 10*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		if _, _, err := b.Service.Company(t.Context(), "LATE"); !errors.Is(err, market.ErrUnavailable) {
			t.Errorf("after the end: %v", err)
		}
	})
}

func TestFixtures(t *testing.T) {
	f, err := market.NewFixtures()
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(f.Tickers(), " "); got != "ATLS HELX NORD QNTA VRDE" {
		t.Errorf("tickers %s", got)
	}
	for _, ticker := range f.Tickers() {
		c, err := f.Company(t.Context(), ticker)
		s, err2 := f.Statements(t.Context(), ticker)
		if err := errors.Join(err, err2); err != nil || c.Ticker != ticker || c.Name == "" || len(s.Income) != 5 || len(s.Balance) != 5 || len(s.CashFlow) != 5 {
			t.Fatalf("%s: %v %+v", ticker, err, c)
		}
		for i := range 5 {
			cash, want := s.CashFlow[i], fmt.Sprintf("%d-12-31", 2025-i)
			if d := cash.Operating - cash.CapitalExpenditures - cash.Free; d > 1e-6 || d < -1e-6 || cash.Year != want || s.Income[i].Year != want || s.Balance[i].Year != want {
				t.Errorf("%s %s: the books do not agree: %+v", ticker, want, cash)
			}
		}
		if in, err := market.DCFInputs(c, s); err != nil || in.Revenue != s.Income[0].Revenue || in.NetDebt != s.Balance[0].TotalDebt-s.Balance[0].Cash || in.WorkingCapital < 0 || in.SalesToCap <= 0 {
			t.Errorf("%s: %+v, %v", ticker, in, err)
		}
		for interval, most := range map[string]int{market.Daily: 100, market.Weekly: 52, market.Monthly: 24} {
			list, err := f.Prices(t.Context(), ticker, interval)
			again, _ := f.Prices(t.Context(), ticker, interval)
			if err != nil || len(list) != most || fmt.Sprint(list) != fmt.Sprint(again) {
				t.Fatalf("%s %s: %d prices, %v", ticker, interval, len(list), err)
			}
			for i, p := range list {
				if p.Low > min(p.Open, p.Close) || p.High < max(p.Open, p.Close) || p.Low <= 0 || p.Volume <= 0 || i > 0 && p.Date <= list[i-1].Date {
					t.Errorf("%s %s: %+v", ticker, interval, p)
				}
			}
			if last := list[most-1]; last.Date != "2025-12-31" || last.Close*c.SharesOutstanding < c.MarketCap-.51 || last.Close*c.SharesOutstanding > c.MarketCap+.51 {
				t.Errorf("%s %s ends with %+v, worth %v in all", ticker, interval, last, c.MarketCap)
			}
		}
	}
	if _, err := f.Company(t.Context(), "NONE"); !errors.Is(err, market.ErrUnknown) {
		t.Error(err)
	}
	if _, err := f.Prices(t.Context(), "NORD", "hourly"); !errors.Is(err, market.ErrUnknown) {
		t.Error(err)
	}
}
