package observe_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"
	"time"

	"github.com/valor-ivx/weir/proxy/message"
	"github.com/valor-ivx/weir/proxy/observe"
)

func BenchmarkRouteDone(b *testing.B) {
	r := populated().Route("https", "login")
	b.Run("alone", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			r.Done(message.GET, message.HTTP11, 200, 3*time.Millisecond)
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				r.Done(message.GET, message.HTTP11, 200, 3*time.Millisecond)
			}
		})
	})
}

// Everything that one proxied request counts.
func BenchmarkRequestMetrics(b *testing.B) {
	m := populated()
	l, r, g := m.Listener("https"), m.Route("https", "login"), m.Group("api", "blue")
	b.ReportAllocs()
	for b.Loop() {
		l.RequestBegin()
		g.Header(3 * time.Millisecond)
		g.Response(3 * time.Millisecond)
		g.Done(200)
		r.Done(message.GET, message.HTTP11, 200, 3*time.Millisecond)
		l.RequestEnd()
	}
}

// scraperHeaders are what scrapers of each format ask for; Prometheus always takes gzip.
var scraperHeaders = map[string]string{
	"text":        "text/plain; version=0.0.4",
	"openmetrics": "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
	"protobuf":    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,application/openmetrics-text;version=1.0.0;q=0.5",
}

// manyRoutes is what a configuration of that many routes on two listeners has, each with requests of several kinds and times.
func manyRoutes(routes int) *observe.Metrics {
	m := observe.NewMetrics(observe.Build{})
	for i := range routes {
		name := fmt.Sprintf("route-%d", i)
		m.Route("http", name)
		r := m.Route("https", name)
		for j := range 20 {
			r.Done(message.GET, message.HTTP11, 200, time.Duration(1+i%37+j*j)*time.Millisecond)
		}
	}
	return m
}

// discard is a scraper that takes everything at once.
type discard struct {
	header http.Header
	bytes  int
}

func (d *discard) Header() http.Header { return d.header }
func (d *discard) WriteHeader(int)     {}
func (d *discard) Write(p []byte) (int, error) {
	d.bytes += len(p)
	return len(p), nil
}

func BenchmarkScrape(b *testing.B) {
	for _, routes := range []int{100, 10000} {
		h := manyRoutes(routes).Handler()
		for _, format := range []string{"text", "openmetrics", "protobuf"} {
			for _, coding := range []string{"identity", "gzip"} {
				b.Run(fmt.Sprintf("%d/%s/%s", routes, format, coding), func(b *testing.B) {
					r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
					r.Header.Set("Accept", scraperHeaders[format])
					r.Header.Set("Accept-Encoding", coding)
					b.ReportAllocs()
					start, bytes := processorTime(b), 0
					for b.Loop() {
						w := &discard{header: http.Header{}}
						h.ServeHTTP(w, r)
						bytes = w.bytes
					}
					b.ReportMetric(float64((processorTime(b)-start).Microseconds())/1e3/float64(b.N), "cpu-ms/op")
					b.ReportMetric(float64(bytes), "bytes")
				})
			}
		}
	}
}

// processorTime is what this process has used, user and system, all threads: on a crowded machine it says more than the wall clock.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// logBench runs one line at a time and waits for the writer every 512, so that what it measures is the way of a line to the output and not how fast
// lines are dropped. cpu-ns/op counts the writer too.
func logBench(b *testing.B, sink *observe.Sink, parallel bool, line func()) {
	b.Helper()
	b.ReportAllocs()
	start := processorTime(b)
	step := func(i int) {
		line()
		if i%512 == 511 {
			if err := sink.Flush(context.Background()); err != nil {
				b.Error(err)
			}
		}
	}
	n := 0
	if parallel {
		b.RunParallel(func(pb *testing.PB) {
			for i := 0; pb.Next(); i++ {
				step(i)
			}
		})
		n = b.N
	} else {
		for b.Loop() {
			step(n)
			n++
		}
	}
	b.ReportMetric(float64(processorTime(b)-start)/float64(n), "cpu-ns/op")
	b.ReportMetric(float64(sink.Dropped()), "dropped")
}

func benchSink(b *testing.B, o observe.SinkOptions) *observe.Sink {
	b.Helper()
	o.Limit = 64 << 20
	sink, err := observe.NewSink(o)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { sink.Close(context.Background()) })
	return sink
}

func BenchmarkAccessLog(b *testing.B) {
	for _, c := range []struct {
		name     string
		format   observe.Format
		parallel bool
		file     bool // a system call per block, but no disk
	}{
		{"json/alone", observe.JSON, false, false},
		{"json/parallel", observe.JSON, true, false},
		{"json/file", observe.JSON, false, true},
		{"combined/alone", observe.Combined, false, false},
		{"combined/parallel", observe.Combined, true, false},
		{"combined/file", observe.Combined, false, true},
	} {
		b.Run(c.name, func(b *testing.B) {
			o := observe.SinkOptions{Output: io.Discard}
			if c.file {
				o = observe.SinkOptions{Path: "/dev/null"}
			}
			sink := benchSink(b, o)
			log := observe.NewAccessLog(c.format, sink)
			e := ordinary()
			logBench(b, sink, c.parallel, func() { log.Log(&e) })
		})
	}
}

func BenchmarkSinkAppend(b *testing.B) {
	line := append(bytes.Repeat([]byte("x"), 599), '\n')
	for _, parallel := range []bool{false, true} {
		b.Run(fmt.Sprintf("parallel=%v", parallel), func(b *testing.B) {
			sink := benchSink(b, observe.SinkOptions{Output: io.Discard})
			logBench(b, sink, parallel, func() { sink.Append(line) })
		})
	}
}

// The dearest target for redaction: nothing but keys of the length of real ones.
func BenchmarkHostileTarget(b *testing.B) {
	sink := benchSink(b, observe.SinkOptions{Output: io.Discard})
	log := observe.NewAccessLog(observe.JSON, sink)
	e := observe.Entry{Method: message.GET, Target: append([]byte("/?"), bytes.Repeat([]byte("tokem=1&"), 1000)...)}
	logBench(b, sink, false, func() { log.Log(&e) })
}
