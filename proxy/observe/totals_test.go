package observe_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/valor-ivx/weir/balancer"
	"github.com/valor-ivx/weir/proxy/message"
	"github.com/valor-ivx/weir/proxy/observe"
)

func TestTotals(t *testing.T) {
	m := populated()
	g := m.Group("api", "blue")
	for _, code := range []int{200, 200, 204, 304, 404, 429, 499, 499, 500, 503, 0} {
		g.Done(code)
	}
	for i, code := range []int{200, 204, 404, 429, 499, 500, 0} { // on both listeners, whatever the method
		m.Route([]string{"http", "https"}[i%2], "login").Done(message.Method(i), message.HTTP2, code, time.Millisecond)
	}
	l := m.Limit("login")
	l.Allowed()
	l.Limited()
	l.Limited()
	l.DryRun()
	listener := m.Listener("https")
	listener.Accepted()
	listener.Ended(1)
	listener.Ended(1)
	listener.Refused(observe.RefusedPerIP)
	got := m.Totals()
	want := observe.Totals{
		Groups:   map[observe.GroupKey]observe.GroupTotals{{Service: "api", Group: "blue"}: {Answers: observe.Answers{Requests: 11, ClientErrors: 2, ServerErrors: 2, Left: 2}}},
		Routes:   map[string]observe.RouteTotals{"login": {Answers: observe.Answers{Requests: 7, ClientErrors: 2, ServerErrors: 1, Left: 1}}},
		Limits:   map[string]observe.LimitTotals{"login": {Allowed: 1, Limited: 2, DryRun: 1}},
		Ended:    map[string]uint64{"no_route": 2},
		Accepted: 1, Refused: 1,
	}
	if d := cmp.Diff(want, got, cmpopts.IgnoreUnexported(observe.RouteTotals{})); d != "" {
		t.Error(d)
	}
}

// Latencies are counted finely while somebody watches, and only then.
func TestLatenciesAreCountedForWhoWatches(t *testing.T) {
	m := populated()
	blue := m.Group("api", "blue")
	blue.Header(time.Millisecond)
	end := m.Watch()
	endOther := m.Watch()
	green := m.Group("api", "green") // that a reload brings
	for range 99 {
		blue.Header(300 * time.Microsecond)
		green.Header(20 * time.Millisecond)
	}
	blue.Header(time.Second)
	end()
	blue.Header(time.Second)
	quantile := func(group string, q float64) time.Duration {
		return balancer.LatencyQuantile(m.Totals().Groups[observe.GroupKey{Service: "api", Group: group}].Latencies, q)
	}
	for _, c := range []struct {
		group string
		q     float64
		want  time.Duration
	}{{"blue", 0.5, 300 * time.Microsecond}, {"blue", 0.99, time.Second}, {"green", 0.5, 20 * time.Millisecond}} {
		if got := quantile(c.group, c.q); got < c.want || got > c.want*107/100 {
			t.Errorf("%s %g: %s, want %s", c.group, c.q, got, c.want)
		}
	}
	endOther()
	if l := m.Totals().Groups[observe.GroupKey{Service: "api", Group: "blue"}].Latencies; l != nil {
		t.Error("counted for nobody")
	}
	defer m.Watch()()
	if got := quantile("blue", 1); got != 0 {
		t.Errorf("a new watch begins with %s", got)
	}
}
