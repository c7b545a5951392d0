package observe_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
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

func BenchmarkScrape(b *testing.B) {
	for _, routes := range []int{100, 10000} {
		b.Run(fmt.Sprint(routes), func(b *testing.B) {
			m := observe.NewMetrics(observe.Build{})
			for i := range routes {
				m.Route("https", fmt.Sprintf("route-%d", i)).Done(message.GET, message.HTTP11, 200, time.Millisecond)
			}
			h := m.Handler()
			for b.Loop() {
				w := httptest.NewRecorder()
				w.Body = nil
				h.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
			}
		})
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
