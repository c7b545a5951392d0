package gen_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valor-ivx/weir/cmd/weirbench/internal/gen"
)

const request = "GET / HTTP/1.1\r\nHost: bench\r\n\r\n"

// serve starts a real server on loopback and returns its address.
func serve(t *testing.T, h http.HandlerFunc) (*httptest.Server, netip.AddrPort) {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s, netip.MustParseAddrPort(s.Listener.Addr().String())
}

func dial(t *testing.T, addr netip.AddrPort, conns int, sources ...string) *gen.Pool {
	t.Helper()
	target := gen.Target{Addr: addr, Conns: conns, Request: []byte(request)}
	for _, s := range sources {
		target.Sources = append(target.Sources, netip.MustParseAddr(s))
	}
	p, err := gen.Dial(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func ok(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("{}")) }

func TestDialRefusesOtherMachines(t *testing.T) {
	for _, a := range []string{"192.0.2.1:80", "0.0.0.0:80", "[::1]:80"} {
		_, err := gen.Dial(t.Context(), gen.Target{Addr: netip.MustParseAddrPort(a), Conns: 1})
		if err == nil || !strings.Contains(err.Error(), "not an IPv4 loopback") {
			t.Errorf("Dial(%s) = %v, want a refusal", a, err)
		}
	}
}

// nobody is an address where nobody listens. The port may be dealt out again, but not with this address, which is nobody else's.
func nobody(t *testing.T) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", fmt.Sprintf("127.%d.%d.%d:0", 64+rand.IntN(128), rand.IntN(256), 1+rand.IntN(254)))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return netip.MustParseAddrPort(l.Addr().String())
}

func TestDialSaysWhoDoesNotListen(t *testing.T) {
	_, err := gen.Dial(t.Context(), gen.Target{Addr: nobody(t), Conns: 3})
	if err == nil || !strings.Contains(err.Error(), "connection 1 of 3") {
		t.Errorf("Dial = %v", err)
	}
}

func TestEachOnceAsksEveryConnectionFromEverySource(t *testing.T) {
	var mu sync.Mutex // guards the two maps
	hosts, remotes := map[string]int{}, map[string]int{}
	_, addr := serve(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		host, _, _ := net.SplitHostPort(r.RemoteAddr)
		hosts[host]++
		remotes[r.RemoteAddr]++
		ok(w, r)
	})
	p := dial(t, addr, 300, "127.0.0.2", "127.0.0.3")
	if err := p.EachOnce(t.Context(), time.Minute); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(remotes) != 300 || hosts["127.0.0.2"] != 150 || hosts["127.0.0.3"] != 150 {
		t.Errorf("%d connections asked, by source %v", len(remotes), hosts)
	}
	if p.Broken() != 0 {
		t.Errorf("%d broken", p.Broken())
	}
}

func TestEachOnceReportsBadAnswers(t *testing.T) {
	_, addr := serve(t, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusServiceUnavailable) })
	err := dial(t, addr, 3).EachOnce(t.Context(), time.Minute)
	if err == nil || !strings.Contains(err.Error(), "status 503") {
		t.Errorf("EachOnce = %v", err)
	}
}

func TestSettleSeesClosedConnections(t *testing.T) {
	s, addr := serve(t, ok)
	p := dial(t, addr, 20)
	if err := p.EachOnce(t.Context(), time.Minute); err != nil {
		t.Fatal(err)
	}
	s.CloseClientConnections()
	for deadline := time.Now().Add(time.Minute); p.Broken() < 20 && time.Now().Before(deadline); {
		if err := p.Settle(t.Context(), 10*time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
	if p.Broken() != 20 {
		t.Errorf("%d of 20 seen broken", p.Broken())
	}
	if err := p.EachOnce(t.Context(), time.Second); err == nil {
		t.Error("closed connections were asked without an error")
	}
}

func TestPaceKeepsTheSchedule(t *testing.T) {
	for name, anyIdle := range map[string]bool{"fixed": false, "any idle": true} {
		t.Run(name, func(t *testing.T) {
			var served atomic.Int64
			_, addr := serve(t, func(w http.ResponseWriter, r *http.Request) { served.Add(1); ok(w, r) })
			p := dial(t, addr, 50)
			began := time.Now()
			r, err := p.Pace(t.Context(), gen.Plan{Rate: 500, Duration: time.Second, Grace: time.Minute, AnyIdle: anyIdle})
			if err != nil || r.Errors != 0 {
				t.Fatalf("%v, %d errors, first: %v", err, r.Errors, r.FirstErr)
			}
			if took := time.Since(began); took < 998*time.Millisecond { // the 500th is due at 0.998 s
				t.Errorf("500 requests at 500/s took only %v", took)
			}
			if r.Requests != 500 || served.Load() != 500 || len(r.Latencies) != 500 {
				t.Errorf("%d requests, %d served, %d latencies", r.Requests, served.Load(), len(r.Latencies))
			}
			if r.Latencies[0] <= 0 {
				t.Errorf("a latency of %d ns", r.Latencies[0])
			}
		})
	}
}

// One connection, the first answer held back 200 ms: the 200 requests that came due meanwhile waited
// too. A generator with coordinated omission would report one slow request.
func TestPaceChargesAStallToEveryRequestItHeldUp(t *testing.T) {
	for name, anyIdle := range map[string]bool{"fixed": false, "any idle": true} {
		t.Run(name, func(t *testing.T) {
			release := make(chan struct{})
			first := sync.OnceFunc(func() { time.AfterFunc(200*time.Millisecond, func() { close(release) }) })
			_, addr := serve(t, func(w http.ResponseWriter, r *http.Request) { first(); <-release; ok(w, r) })
			plan := gen.Plan{Rate: 1000, Duration: 300 * time.Millisecond, Grace: time.Minute, AnyIdle: anyIdle}
			r, err := dial(t, addr, 1).Pace(t.Context(), plan)
			if err != nil || r.Errors != 0 {
				t.Fatalf("%v, %d errors, first: %v", err, r.Errors, r.FirstErr)
			}
			slow := 0
			for _, l := range r.Latencies {
				if l > int64(50*time.Millisecond) {
					slow++
				}
			}
			if slow < 140 || r.Latencies[len(r.Latencies)-1] < int64(190*time.Millisecond) {
				t.Errorf("%d of %d requests waited over 50 ms, want about 150; longest %v", slow, len(r.Latencies), time.Duration(r.Latencies[len(r.Latencies)-1]))
			}
		})
	}
}

func TestPaceCountsWhatIsNeverAnswered(t *testing.T) {
	hold := make(chan struct{})
	_, addr := serve(t, func(http.ResponseWriter, *http.Request) { <-hold })
	t.Cleanup(func() { close(hold) })
	for name, anyIdle := range map[string]bool{"fixed": false, "any idle": true} {
		t.Run(name, func(t *testing.T) {
			plan := gen.Plan{Rate: 100, Duration: 100 * time.Millisecond, Grace: 100 * time.Millisecond, AnyIdle: anyIdle}
			p := dial(t, addr, 2)
			r, err := p.Pace(t.Context(), plan)
			if err != nil {
				t.Fatal(err)
			}
			if r.Requests != 10 || r.Errors != 10 || len(r.Latencies) != 10 || r.FirstErr == nil {
				t.Errorf("%+v", r)
			}
			if r.Latencies[0] < int64(100*time.Millisecond) {
				t.Errorf("an unanswered request counts %v, less than the grace", time.Duration(r.Latencies[0]))
			}
			if p.Broken() != 2 {
				t.Errorf("%d connections given up, want 2", p.Broken())
			}
		})
	}
}

func TestPaceCountsBadAnswersAndLostConnections(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"status": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusBadGateway) },
		"closed": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"close after": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Transfer-Encoding", "chunked")
			w.(http.Flusher).Flush()
		},
	} {
		for _, anyIdle := range []bool{false, true} {
			_, addr := serve(t, h)
			plan := gen.Plan{Rate: 200, Duration: 200 * time.Millisecond, Grace: time.Minute, AnyIdle: anyIdle}
			r, err := dial(t, addr, 4).Pace(t.Context(), plan)
			if err != nil || r.Requests != 40 || r.Errors != 40 || r.FirstErr == nil {
				t.Errorf("%s, any idle %v: %v, %d requests, %d errors, first: %v", name, anyIdle, err, r.Requests, r.Errors, r.FirstErr)
			}
		}
	}
}

func TestPaceEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	_, addr := serve(t, func(w http.ResponseWriter, r *http.Request) { cancel(); ok(w, r) })
	_, err := dial(t, addr, 1).Pace(ctx, gen.Plan{Rate: 10, Duration: time.Hour})
	if err != context.Canceled {
		t.Errorf("Pace = %v, want context.Canceled", err)
	}
}

func TestPaceRefusesNothing(t *testing.T) {
	_, addr := serve(t, ok)
	p := dial(t, addr, 1)
	for _, plan := range []gen.Plan{{Rate: 0, Duration: time.Second}, {Rate: 10}, {Rate: -1, Duration: time.Second}} {
		if _, err := p.Pace(t.Context(), plan); err == nil {
			t.Errorf("%+v was run", plan)
		}
	}
}

func TestBulkCountsBodies(t *testing.T) {
	body := strings.Repeat("x", 1<<20)
	var sent atomic.Int64
	_, addr := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "1048576")
		n, _ := w.Write([]byte(body))
		sent.Add(int64(n))
	})
	b := gen.StartBulk(t.Context(), addr, "/1m", 3)
	calls := 0
	cost, n, err := b.Window(t.Context(), time.Second, func() (time.Duration, error) {
		calls++
		return time.Duration(calls) * time.Second, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Stop(); err != nil {
		t.Fatal(err)
	}
	if cost != time.Second || n < 1<<20 {
		t.Errorf("cost %v, %d bytes", cost, n)
	}
	// Heads are counted too, less than 0.1 % of a 1 MiB body; unfinished bodies are not in sent.
	if got, most := b.Bytes(), float64(sent.Load()+3<<20)*1.001; float64(got) > most || got < sent.Load()-6<<20 {
		t.Errorf("counted %d, server sent %d", got, sent.Load())
	}
}

func TestBulkReportsBadAnswers(t *testing.T) {
	_, addr := serve(t, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "gone", 404) })
	b := gen.StartBulk(t.Context(), addr, "/1m", 2)
	_, _, err := b.Window(t.Context(), time.Minute, func() (time.Duration, error) { return 0, nil })
	if err == nil || !strings.Contains(err.Error(), "status 404") {
		t.Errorf("Window = %v", err)
	}
	_ = b.Stop() // the second reader's error, if it got that far
}
