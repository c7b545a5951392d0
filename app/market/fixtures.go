package market

import (
	"context"
	_ "embed" // the figures
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

//go:embed fixtures.json
var fixtureFile []byte

// Fixtures is the provider that ships: five companies that do not exist, with books that agree with themselves. It never changes.
type Fixtures struct {
	companies map[string]fixture
}

type fixture struct {
	Company    Company    `json:"company"`
	Statements Statements `json:"statements"`
	Price      float64    `json:"price"` // the last one
}

// lastDay is the newest price's. It is fixed, so that two instances and two runs say the same.
const lastDay = "2025-12-31"

// NewFixtures reads what the binary carries.
func NewFixtures() (*Fixtures, error) {
	f := &Fixtures{companies: map[string]fixture{}}
	if err := json.Unmarshal(fixtureFile, &f.companies); err != nil {
		return nil, fmt.Errorf("read fixtures: %w", err)
	}
	return f, nil
}

// Name implements Provider.
func (f *Fixtures) Name() string { return "fixtures" }

// Tickers are those that there are, in order.
func (f *Fixtures) Tickers() []string {
	list := make([]string, 0, len(f.companies))
	for t := range f.companies {
		list = append(list, t)
	}
	slices.Sort(list)
	return list
}

// Company implements Provider.
func (f *Fixtures) Company(_ context.Context, ticker string) (Company, error) {
	c, err := f.of(ticker)
	return c.Company, err
}

// Statements implements Provider.
func (f *Fixtures) Statements(_ context.Context, ticker string) (Statements, error) {
	c, err := f.of(ticker)
	return c.Statements, err
}

func (f *Fixtures) of(ticker string) (fixture, error) {
	c, there := f.companies[ticker]
	if !there {
		return fixture{}, fmt.Errorf("fixture %s: %w", ticker, ErrUnknown)
	}
	return c, nil
}

// Prices implements Provider: a random walk that ends at the company's price, the same at every call.
func (f *Fixtures) Prices(_ context.Context, ticker, interval string) ([]Price, error) {
	c, err := f.of(ticker)
	if err != nil {
		return nil, err
	}
	days, most := walk(ticker, c.Price, 520), 100
	key := func(p Price) string { return p.Date }
	switch interval {
	case Daily:
	case Weekly:
		key, most = week, 52
	case Monthly:
		key, most = func(p Price) string { return p.Date[:7] }, 24
	default:
		return nil, fmt.Errorf("fixture %s by %s: %w", ticker, interval, ErrUnknown)
	}
	list := gather(days, key)
	return list[max(0, len(list)-most):], nil
}

// walk is n trading days up to lastDay, oldest first.
func walk(ticker string, last float64, n int) []Price {
	seed := fnv.New64a()
	_, _ = seed.Write([]byte(ticker)) // never fails
	r := rand.New(rand.NewPCG(seed.Sum64(), 1))
	day, _ := time.Parse(time.DateOnly, lastDay) // a constant
	cents := func(v float64) float64 { return math.Round(v*100) / 100 }
	list := make([]Price, 0, n)
	for end := last; len(list) < n; day = day.AddDate(0, 0, -1) {
		if day.Weekday() == time.Saturday || day.Weekday() == time.Sunday {
			continue
		}
		begin := end / math.Exp(.0003+.014*r.NormFloat64())
		list = append(list, Price{
			Date: day.Format(time.DateOnly), Open: cents(begin), Close: cents(end), High: cents(max(begin, end) * (1 + .006*r.Float64())),
			Low: cents(min(begin, end) * (1 - .006*r.Float64())), Volume: math.Round(2e5 + 8e5*r.Float64()),
		})
		end = begin
	}
	slices.Reverse(list)
	return list
}

func week(p Price) string {
	day, _ := time.Parse(time.DateOnly, p.Date) // walk wrote it
	year, number := day.ISOWeek()
	return fmt.Sprintf("%d-%02d", year, number)
}

// gather makes one price of each run of days with the same key.
func gather(days []Price, key func(Price) string) []Price {
	var list []Price
	for i, d := range days {
		if i == 0 || key(d) != key(days[i-1]) {
			list = append(list, d)
			continue
		}
		p := &list[len(list)-1]
		p.Date, p.Close, p.High, p.Low, p.Volume = d.Date, d.Close, max(p.High, d.High), min(p.Low, d.Low), p.Volume+d.Volume
	}
	return list
}
