package observe_test

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valor-ivx/weir/proxy/observe"
)

// tapped is a request as the proxy would tell it.
func tapped(end int64) *observe.Recorded {
	e := &observe.Recorded{
		End: end, Duration: 20 * time.Millisecond, Client: netip.MustParseAddr("203.0.113.7"), Status: 503, Route: "all", Service: "api", Group: "blue", Dealt: "green", Failed: true,
	}
	e.SetMethodName("GET")
	e.SetTexts([]byte("example.com"), []byte("/api/health"), []byte("0123456789abcdef0123456789abcdef0123456789abcdef0123456789"))
	return e
}

func TestTapQueries(t *testing.T) {
	for _, c := range []struct {
		q    observe.Query
		want bool
	}{
		{observe.Query{}, true}, {observe.Query{Service: "api", Route: "all", Failed: true}, true}, {observe.Query{Service: "ap"}, false}, {observe.Query{Route: "a"}, false},
		{observe.Query{Group: "blue"}, true}, {observe.Query{Group: "green"}, true}, {observe.Query{Group: "red"}, false},
		{observe.Query{Method: "GET"}, true}, {observe.Query{Method: "GE"}, false}, {observe.Query{Method: "GETS"}, false},
		{observe.Query{Path: "/api"}, true}, {observe.Query{Path: "/api/health"}, true}, {observe.Query{Path: "/api/health/"}, false}, {observe.Query{Path: "/b"}, false},
		{observe.Query{Status: 5}, true}, {observe.Query{Status: 503}, true}, {observe.Query{Status: 4}, false}, {observe.Query{Status: 500}, false},
		{observe.Query{Client: netip.MustParsePrefix("203.0.113.0/24")}, true}, {observe.Query{Client: netip.MustParsePrefix("203.0.114.0/24")}, false},
		{observe.Query{Client: netip.MustParsePrefix("::/0")}, false},
		{observe.Query{Took: 20 * time.Millisecond}, true}, {observe.Query{Took: 20*time.Millisecond + 1}, false}, {observe.Query{Slow: true}, false},
		{observe.Query{ID: "0123456789abcdef0123456789abcdef0123456789abcdef0123456789"}, true}, {observe.Query{ID: "0123456789abcdef0123456789abcdef0123456789abcdef"}, true},
		{observe.Query{ID: "0123456789abcdef"}, false},
	} {
		taps := new(observe.Taps)
		tap, err := taps.Open(c.q, "")
		if err != nil {
			t.Fatal(err)
		}
		tap.Offer(tapped(1))
		over, cancel := context.WithCancel(t.Context())
		var e observe.Recorded
		got := make(chan bool, 1)
		if c.want {
			got <- tap.Next(t.Context(), &e)
		} else {
			cancel() // there is nothing else to be had
			got <- tap.Next(over, &e)
		}
		cancel()
		if ok := <-got; ok != c.want || tap.Missed() != 0 {
			t.Errorf("%+v: %v", c.q, ok)
		}
	}
}

// TestTapsAreBounded: as many as may be, each with as many requests waiting and as many a second as may be; what is more is counted, once.
func TestTapsAreBounded(t *testing.T) {
	var taps observe.Taps
	if taps.Watching() != nil || (*observe.Taps)(nil).Watching() != nil {
		t.Fatal("somebody watches")
	}
	var open []*observe.Tap
	for range 8 {
		tap, err := taps.Open(observe.Query{}, "")
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, tap)
	}
	if _, err := taps.Open(observe.Query{}, ""); !errors.Is(err, observe.ErrManyTaps) {
		t.Fatal(err)
	}
	slow, quick := open[0], open[1]
	var e observe.Recorded
	for i := range 3000 { // within one second of the proxy's clock
		for _, tap := range []*observe.Tap{slow, quick} {
			tap.Offer(tapped(5e9 + int64(i)))
		}
		if i < 2000 && (!quick.Next(t.Context(), &e) || e.End != 5e9+int64(i)) {
			t.Fatalf("request %d: %d", i, e.End)
		}
	}
	if n := slow.Missed(); n != 3000-1024 {
		t.Errorf("who reads nothing missed %d", n)
	}
	if n := quick.Missed(); n != 1000 {
		t.Errorf("who reads all missed %d", n)
	}
	quick.Offer(tapped(6e9))
	if !quick.Next(t.Context(), &e) || e.End != 6e9 || quick.Missed() != 0 || slow.Missed() != 0 {
		t.Errorf("the next second: %d", e.End)
	}
	for _, tap := range open {
		tap.Close()
		tap.Close()
	}
	if taps.Watching() != nil {
		t.Error("a closed tap is watching")
	}
	if _, err := taps.Open(observe.Query{}, ""); err != nil {
		t.Error(err)
	}
}

// TestTapsTogether: requests end while watches begin and end; of a watch every request is given or counted.
func TestTapsTogether(t *testing.T) {
	var taps observe.Taps
	var watchers, requests sync.WaitGroup
	var stop atomic.Bool
	for range 3 {
		requests.Go(func() {
			for i := int64(1); !stop.Load(); i++ {
				for _, tap := range taps.Watching() {
					tap.Offer(tapped(i * 1e6))
				}
			}
		})
	}
	for range 4 {
		watchers.Go(func() {
			for range 20 {
				tap, err := taps.Open(observe.Query{Service: "api"}, "")
				if err != nil {
					t.Error(err)
					return
				}
				var e observe.Recorded
				if !tap.Next(t.Context(), &e) || e.Service != "api" || e.Method() != "GET" {
					t.Errorf("%+v", e)
				}
				tap.Close()
			}
		})
	}
	watchers.Wait()
	stop.Store(true)
	requests.Wait()
}
