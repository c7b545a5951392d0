package observe_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"pgregory.net/rapid"

	"github.com/valor-ivx/weir/proxy/message"
	"github.com/valor-ivx/weir/proxy/observe"
)

// family is one of a scrape's, by its metrics' labels and values.
func family(t interface{ Fatal(...any) }, m *observe.Metrics, name string) map[string]float64 {
	families, err := m.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, metric := range f.GetMetric() {
			values[labelsOf(metric)] += metric.GetCounter().GetValue() + metric.GetGauge().GetValue()
		}
	}
	return values
}

func labelsOf(m *dto.Metric) string {
	var b strings.Builder
	for _, l := range m.GetLabel() {
		fmt.Fprintf(&b, "%s=%s ", l.GetName(), l.GetValue())
	}
	return strings.TrimSuffix(b.String(), " ")
}

// textOf is one family of a scrape as text, by line up to the value: many series are faster read so.
func textOf(t *testing.T, m *observe.Metrics, name string) map[string]float64 {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics?name[]="+name, nil))
	values := map[string]float64{}
	for line := range strings.Lines(w.Body.String()) {
		if at := strings.LastIndexByte(line, ' '); !strings.HasPrefix(line, "#") {
			v, err := strconv.ParseFloat(strings.TrimSpace(line[at:]), 64)
			if err != nil {
				t.Fatal(err)
			}
			values[strings.TrimPrefix(line[:at], name)] = v
		}
	}
	return values
}

func sum(values map[string]float64) (n float64) {
	for _, v := range values {
		n += v
	}
	return n
}

// Whatever methods, protocols and codes requests have: a route has 250 series at most that they have made, and one for the rest, each request is in one of them, and what was
// counted under its own labels stays there.
func TestHostileKindsAreBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := observe.NewMetrics(observe.Build{})
		r, g := m.Route("l", "r"), m.Group("s", "g")
		n := rapid.IntRange(0, 3000).Draw(t, "requests")
		seed := rapid.Uint64().Draw(t, "seed")
		for range n {
			seed = seed*6364136223846793005 + 1442695040888963407
			code := int(seed>>20) % 1100
			r.Done(message.Method(seed>>40), message.Proto(seed>>50%6), code, time.Millisecond)
			g.Done(code)
		}
		requests, answers := family(t, m, "weir_http_requests_total"), family(t, m, "weir_group_requests_total")
		if len(requests) > 250+2 || len(answers) > 250+2 {
			t.Fatalf("%d series of a route, %d of a group", len(requests), len(answers))
		}
		if int(sum(requests)) != n || int(sum(answers)) != n {
			t.Fatalf("%d requests: %v counted for the route, %v for the group", n, sum(requests), sum(answers))
		}
		folded := family(t, m, "weir_metrics_overflow_total")
		if rest := requests["code=000 listener=l method=OTHER proto=- route=r"]; folded["family=weir_http_requests_total"] > rest {
			t.Fatalf("%v folded, %v counted as the rest", folded, rest)
		}
		m.Forget(observe.Inventory{})
		if left := len(family(t, m, "weir_http_requests_total")) + len(family(t, m, "weir_group_requests_total")); left != 0 {
			t.Fatalf("%d series left of what was forgotten", left)
		}
	})
}

// All routes together have their bound as well, which series that the configuration makes neither fill nor feel, and what a reload removes makes room.
func TestKindsOfAllRoutesAreBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("makes 200,000 series: a second of a processor, ten with the race detector")
	}
	m := observe.NewMetrics(observe.Build{})
	const routes, each = 1000, 240
	fill := func(r *observe.Route) {
		for i := range each {
			r.Done(message.POST, message.HTTP2, 200+i, 0)
		}
	}
	keep := observe.Inventory{Routes: []observe.RouteKey{{Listener: "l", Route: "kept"}}}
	for i := range routes {
		fill(m.Route("l", fmt.Sprint("r", i)))
	}
	kept := m.Route("l", "kept")
	fill(kept)
	requests := textOf(t, m, "weir_http_requests_total")
	const made = 200_000
	if n := len(requests); n < made+routes || n > made+2*routes+2 {
		t.Errorf("%d series, want %d that requests have made, %d that the configuration has, and at most as many for the rest", n, made, routes+1)
	}
	if v, ok := requests[`{code="200",listener="l",method="GET",proto="HTTP/1.1",route="kept"}`]; !ok || v != 0 {
		t.Error("the bound kept a route of the configuration out of the scrape")
	}
	if got := sum(requests); got != (routes+1)*each {
		t.Errorf("%v requests counted, want %d", got, (routes+1)*each)
	}
	if rest := requests[`{code="000",listener="l",method="OTHER",proto="-",route="kept"}`]; rest != each {
		t.Errorf("%v of the last route's %d counted as the rest", rest, each)
	}
	m.Forget(keep)
	fill(kept)
	if got := textOf(t, m, "weir_http_requests_total")[`{code="300",listener="l",method="POST",proto="HTTP/2.0",route="kept"}`]; got != 1 {
		t.Errorf("after a reload that made room: %v", got)
	}
}

// Beyond the bound requests of new kinds take no lock, and from several at once none is lost.
func TestOverflowLosesNothing(t *testing.T) {
	m := observe.NewMetrics(observe.Build{})
	r, g := m.Route("l", "r"), m.Group("s", "g")
	const workers, each = 4, 5000
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range each {
				r.Done(message.Method(i%10), message.Proto(w%5), 100+i*7%500, 0)
				g.Done(100 + i*7%500)
			}
		})
	}
	wg.Wait()
	if a, b := sum(family(t, m, "weir_http_requests_total")), sum(family(t, m, "weir_group_requests_total")); a != workers*each || b != workers*each {
		t.Errorf("%v and %v counted of %d", a, b, workers*each)
	}
	if n := testing.AllocsPerRun(1000, func() { r.Done(message.PATCH, message.HTTP3, 777, 0); g.Done(598) }); n != 0 {
		t.Errorf("a request beyond the bound allocates %v times", n)
	}
}

func TestCertificatesAreBounded(t *testing.T) {
	m := observe.NewMetrics(observe.Build{})
	var certs []observe.Certificate
	for i := range 10_005 {
		certs = append(certs, observe.Certificate{Subject: fmt.Sprintf("%05d.example", i), NotAfter: time.Unix(int64(2_000_000_000-i), 0)})
	}
	const name = "weir_tls_certificate_not_after_timestamp_seconds"
	for range 2 { // the same set again leaves no more out
		m.SetCertificates(certs)
		got := family(t, m, name)
		_, last := got["subject=00004.example"]
		_, first := got["subject=10004.example"]
		if len(got) != 10_000 || last || !first {
			t.Errorf("%d certificates exported; the one that expires last %v, the one that does first %v", len(got), last, first)
		}
		if out := family(t, m, "weir_metrics_overflow_total")["family="+name]; out != 5 {
			t.Errorf("%v counted as left out", out)
		}
	}
	m.SetCertificates(certs[:10])
	if got := family(t, m, name); len(got) != 10 {
		t.Errorf("%d certificates after the set has shrunk", len(got))
	}
}
