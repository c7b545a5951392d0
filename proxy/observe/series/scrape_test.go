package series_test

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"

	"github.com/valor-ivx/weir/proxy/observe/series"
)

// large is an exposition of n histograms and as many counters.
func large(n int) (*series.Exposition, *series.Counters, *series.Durations) {
	counters := series.NewCounters(series.Options{Name: "weir_b_total", Help: "Help.", Labels: []string{"route"}})
	durations := series.NewDurations(series.Options{Name: "weir_d_seconds", Help: "Help.", Labels: []string{"route"}})
	for i := range n {
		name := fmt.Sprintf("route-%d", i)
		counters.With(name).Inc()
		durations.With(name).Observe(time.Duration(i) * time.Millisecond)
	}
	return series.New(prometheus.NewRegistry(), counters, durations), counters, durations
}

// sink is a scraper that takes everything at once.
type sink struct {
	header http.Header
	bytes  int
}

func (s *sink) Header() http.Header { return s.header }
func (s *sink) WriteHeader(int)     {}
func (s *sink) Write(p []byte) (int, error) {
	s.bytes += len(p)
	return len(p), nil
}

// What a scrape allocates does not grow with the series, and what it computes stays below a generous bound.
func TestScrapeOfTenThousandRoutes(t *testing.T) {
	if testing.Short() {
		t.Skip("counts allocations and processor time, which the race detector changes")
	}
	small, _, _ := large(10)
	great, _, _ := large(10000)
	for _, accept := range []string{text, openMetrics, protobuf} {
		for _, coding := range []string{"identity", "gzip"} {
			allocations := func(e *series.Exposition) float64 {
				r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
				r.Header.Set("Accept", accept)
				r.Header.Set("Accept-Encoding", coding)
				e.ServeHTTP(&sink{header: http.Header{}}, r) // what the first one needs stays
				var before, after syscall.Rusage
				if err := syscall.Getrusage(syscall.RUSAGE_SELF, &before); err != nil {
					t.Fatal(err)
				}
				allocs := testing.AllocsPerRun(2, func() { e.ServeHTTP(&sink{header: http.Header{}}, r) })
				if err := syscall.Getrusage(syscall.RUSAGE_SELF, &after); err != nil {
					t.Fatal(err)
				}
				used := time.Duration(after.Utime.Nano()+after.Stime.Nano()-before.Utime.Nano()-before.Stime.Nano()) / 3
				if used > time.Second { // it is 10 to 40 ms
					t.Errorf("%s %s: %v of processor time a scrape", accept, coding, used)
				}
				return allocs
			}
			few, many := allocations(small), allocations(great)
			if many > few+20 {
				t.Errorf("%s %s: %v allocations a scrape with 10 routes, %v with 10,000", accept, coding, few, many)
			}
		}
	}
}

// stuck is a scraper that takes a sheet and then waits.
type stuck struct {
	sink
	entered, release chan struct{}
	once             sync.Once
}

func (s *stuck) Write(p []byte) (int, error) {
	s.once.Do(func() {
		close(s.entered)
		<-s.release
	})
	return s.sink.Write(p)
}

// While a scraper does not read, requests make new series, old ones go, and other scrapes are served.
func TestStuckScraperHoldsUpNobody(t *testing.T) {
	for _, accept := range []string{text, openMetrics, protobuf} {
		e, counters, durations := large(4000)
		s := &stuck{sink: sink{header: http.Header{}}, entered: make(chan struct{}), release: make(chan struct{})}
		r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
		r.Header.Set("Accept", accept)
		done := make(chan struct{})
		go func() {
			defer close(done)
			e.ServeHTTP(s, r)
		}()
		<-s.entered
		counters.With("new").Inc()
		durations.With("new").Observe(time.Second)
		for i := range 4000 {
			counters.Delete(fmt.Sprintf("route-%d", i))
		}
		if body, _ := scrape(t, e, text, "gzip", ""); !strings.Contains(body, "\nweir_b_total{route=\"new\"} 1\n") || strings.Contains(body, "\nweir_b_total{route=\"route-1\"}") {
			t.Errorf("%s: the other scrape does not show what was changed meanwhile", accept)
		}
		close(s.release)
		<-done
	}
}

// pipes is a listener whose connections have no buffer, so that what is not read is not written.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	close(p.closed)
	return nil
}
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// A scraper that reads a byte a second, or nothing, keeps its place for thirty seconds.
func TestSlowScraperIsGivenUp(t *testing.T) {
	for name, read := range map[string]func(net.Conn){
		"reads nothing": func(net.Conn) {},
		"a byte a second": func(c net.Conn) {
			for one := make([]byte, 1); ; {
				if _, err := c.Read(one); err != nil {
					return
				}
				<-time.After(time.Second) // of the bubble
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e, _, _ := large(4000)
				l := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
				ended := make(chan time.Duration, 1)
				server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					start := time.Now()
					e.ServeHTTP(w, r)
					ended <- time.Since(start)
				})}
				go func() { _ = server.Serve(l) }()
				mine, its := net.Pipe()
				l.conns <- its
				if _, err := mine.Write([]byte("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")); err != nil {
					t.Fatal(err)
				}
				reader := make(chan struct{})
				go func() {
					defer close(reader)
					read(mine)
				}()
				if took := <-ended; took != 30*time.Second {
					t.Errorf("the scrape took %v, want 30 s", took)
				}
				mine.Close()
				server.Close()
				<-reader
				if body, _ := scrape(t, e, text, "", "?name[]=weir_metrics_scrapes_total"); !strings.Contains(body, `{result="aborted"} 1`) {
					t.Errorf("not counted as aborted:\n%s", body)
				}
			})
		})
	}
}

// failing is a collector that cannot give what it described.
type failing struct{}

func (f failing) Describe(out chan<- *prometheus.Desc) {
	out <- prometheus.NewDesc("weir_a", "Fails.", nil, nil)
}

func (f failing) Collect(out chan<- prometheus.Metric) {
	out <- prometheus.NewInvalidMetric(prometheus.NewDesc("weir_a", "Fails.", nil, nil), errors.New("away"))
}

func TestFailedCollectorCostsItsOwnSeriesOnly(t *testing.T) {
	registry := prometheus.NewRegistry()
	good := prometheus.NewGauge(prometheus.GaugeOpts{Name: "weir_z", Help: "Good."})
	registry.MustRegister(failing{}, good)
	counters := series.NewCounters(series.Options{Name: "weir_b_total", Help: "Help.", Labels: []string{"route"}})
	counters.With("a").Inc()
	e := series.New(registry, counters)
	body, _ := scrape(t, e, text, "", "")
	for _, want := range []string{"\nweir_b_total{route=\"a\"} 1\n", "\nweir_z 0\n"} {
		if !strings.Contains(body, want) {
			t.Errorf("lacks %q:\n%s", want, body)
		}
	}
	if body, _ = scrape(t, e, text, "", ""); !strings.Contains(body, `weir_metrics_scrapes_total{result="partial"} 1`) {
		t.Errorf("not counted as partial:\n%s", body)
	}
	if _, err := e.Gather(); err == nil {
		t.Error("Gather keeps the failure to itself")
	}
}

func TestNegotiation(t *testing.T) {
	e, _, _ := large(1)
	for _, c := range []struct {
		accept, coding, query string
		format                expfmt.FormatType
		zipped                bool
	}{
		{"", "", "", expfmt.TypeTextPlain, false},
		{"*/*", "gzip, deflate, br", "", expfmt.TypeTextPlain, true}, // curl --compressed
		{"text/html", "br, *", "", expfmt.TypeTextPlain, true},
		{"text/html", "br;q=1.0, *;q=0", "", expfmt.TypeTextPlain, false},
		{openMetrics, "gzip;q=0", "", expfmt.TypeOpenMetrics, false},
		{openMetrics, "*, gzip; q=0.000", "", expfmt.TypeOpenMetrics, false},
		{openMetrics, "GZip;Q=0.5", "", expfmt.TypeOpenMetrics, true},
		// Prometheus 2.42, and one with native histograms.
		{"application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", "gzip", "", expfmt.TypeOpenMetrics, true},
		{protobuf + ",application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", "gzip", "", expfmt.TypeProtoDelim, true},
		{strings.Repeat("x", 1<<16), strings.Repeat(",;q", 1<<16), "", expfmt.TypeTextPlain, false},
	} {
		_, head := scrape(t, e, c.accept, c.coding, c.query)
		if f := expfmt.Format(head.Get("Content-Type")).FormatType(); f != c.format {
			t.Errorf("Accept %.60q: %v, want %v", c.accept, f, c.format)
		}
		if zipped := head.Get("Content-Encoding") == "gzip"; zipped != c.zipped {
			t.Errorf("Accept-Encoding %.60q: gzip %v", c.coding, zipped)
		}
	}
	body, _ := scrape(t, e, text, "", "?name[]=weir_d_seconds&name[]=weir_none")
	if !strings.HasPrefix(body, "# HELP weir_d_seconds ") || strings.Contains(body, "weir_b_total") {
		t.Errorf("name[] chose\n%s", body)
	}
	w := httptest.NewRecorder()
	e.ServeHTTP(w, httptest.NewRequest(http.MethodHead, "/metrics", nil))
	if w.Code != http.StatusOK || w.Body.Len() != 0 || w.Header().Get("Content-Type") == "" {
		t.Errorf("HEAD: %d with %d bytes, %v", w.Code, w.Body.Len(), w.Header())
	}
}

// Counting goes on while scrapes read: in each the count is that of all buckets, none is ahead of it, and nothing ever falls.
func TestHistogramIsCoherentWhileItIsWritten(t *testing.T) {
	e, _, durations := large(0)
	d := durations.With("busy")
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for i := range 3 {
		wg.Go(func() {
			for n := uint64(i + 1); ; n = n*6364136223846793005 + 1442695040888963407 {
				select {
				case <-stop:
					return
				default:
					d.Observe(time.Duration(n >> (24 + n%30)))
				}
			}
		})
	}
	var before uint64
	for range 50 {
		families, err := e.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			if f.GetName() != "weir_d_seconds" {
				continue
			}
			h := f.GetMetric()[0].GetHistogram()
			total, n := h.GetZeroCount(), int64(0)
			for _, delta := range h.GetPositiveDelta() {
				n += delta
				total += uint64(n)
			}
			if total != h.GetSampleCount() {
				t.Fatalf("%d in native buckets, count %d", total, h.GetSampleCount())
			}
			var below uint64
			for _, b := range h.GetBucket() {
				if b.GetCumulativeCount() < below || b.GetCumulativeCount() > total {
					t.Fatalf("bucket %v has %d, after %d, of %d", b.GetUpperBound(), b.GetCumulativeCount(), below, total)
				}
				below = b.GetCumulativeCount()
			}
			if total < before {
				t.Fatalf("the count fell from %d to %d", before, total)
			}
			before = total
		}
		runtime.Gosched()
	}
	close(stop)
	wg.Wait()
}
