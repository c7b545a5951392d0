package proxy_test

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/valor-ivx/weir/proxy/observe"
	"github.com/valor-ivx/weir/upstream"
)

// entry is an access log line as the tests look at it.
type entry struct {
	Status   int    `json:"http.response.status_code"`
	ID       string `json:"http.request.id"`
	Client   string `json:"client.ip"`
	Source   string `json:"source.ip"`
	Method   string `json:"http.request.method"`
	Path     string `json:"url.path"`
	In       int64  `json:"http.request.body.bytes"`
	Out      int64  `json:"http.response.body.bytes"`
	Route    string `json:"weir.route"`
	Group    string `json:"weir.group"`
	Peer     string `json:"weir.upstream.address"`
	Upstream int    `json:"weir.upstream.status_code"`
	Attempts int    `json:"weir.attempts"`
	Reason   string `json:"weir.reason"`
	GRPC     string `json:"weir.grpc_status"`
	Error    string `json:"error.message"`
}

// books collects the lines of an edge.
type books struct {
	t     testing.TB
	lines chan entry
	count int // of lines; owned by the sink's goroutine until Close
}

func (b *books) Write(p []byte) (int, error) {
	for _, line := range bytes.Split(bytes.TrimSuffix(p, []byte("\n")), []byte("\n")) {
		var e entry
		if err := json.Unmarshal(line, &e); err != nil {
			b.t.Errorf("access log line %q: %v", line, err)
		}
		b.count++
		select {
		case b.lines <- e:
		default: // nobody looks at so many
		}
	}
	return len(p), nil
}

func newBooks(t testing.TB) (*books, *observe.Sink) {
	b := &books{t: t, lines: make(chan entry, 4096)}
	sink, err := observe.NewSink(observe.SinkOptions{Output: b, Flush: 2 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	return b, sink
}

// line is the next access log line.
func (e *edge) line() entry {
	e.t.Helper()
	return expect(e.t, "access log line", e.books.lines)
}

// logged compares the next line with what the test knows of it: status, reason, attempts and group.
func (e *edge) logged(status int, reason string, attempts int) entry {
	e.t.Helper()
	l := e.line()
	if l.Status != status || l.Reason != reason || l.Attempts != attempts {
		e.t.Errorf("log line: status %d reason %q attempts %d, want %d %q %d", l.Status, l.Reason, l.Attempts, status, reason, attempts)
	}
	return l
}

// audit holds at the end of every test: as many lines as counted requests, nothing in flight, nobody blamed who must not be.
func (e *edge) audit() {
	families, err := e.metrics.Gather()
	if err != nil {
		e.t.Error(err)
	}
	counted := 0
	for _, f := range families {
		for _, m := range f.GetMetric() {
			switch f.GetName() {
			case "weir_http_requests_total":
				counted += int(m.GetCounter().GetValue())
			case "weir_http_requests_in_flight":
				if v := m.GetGauge().GetValue(); v != 0 {
					e.t.Errorf("%v requests in flight after the end", v)
				}
			}
		}
	}
	if e.books != nil && counted != e.books.count {
		e.t.Errorf("%d requests counted, %d logged", counted, e.books.count)
	}
	if b := e.service.Breaker; b != nil {
		if s := b.Status(e.registry.Now()); s.InFlight != 0 || s.Queued != [upstream.Priorities]int{} {
			e.t.Errorf("breaker after the end: %+v", s)
		}
	}
	for i := range e.service.Groups {
		for _, p := range e.service.Groups[i].Pool.Snapshot() {
			if p.InFlight != 0 || p.Working != 0 {
				e.t.Errorf("peer %s: %d in flight, %d worked on after the end", p.Address, p.InFlight, p.Working)
			}
		}
	}
}

// failures is what the peers of the edge are blamed for.
func (e *edge) failures() (n uint64) {
	for i := range e.service.Groups {
		for _, p := range e.service.Groups[i].Pool.Snapshot() {
			n += p.Failures
		}
	}
	return n
}

// counter sums the series of a counter or gauge whose labels hold the given pairs.
func (e *edge) counter(name string, pairs ...string) (sum float64) {
	e.t.Helper()
	families, err := e.metrics.Gather()
	if err != nil {
		e.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			fits := true
			for i := 0; i+1 < len(pairs); i += 2 {
				fits = fits && labels[pairs[i]] == pairs[i+1]
			}
			if fits {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}
