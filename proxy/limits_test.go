package proxy_test

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/valor-ivx/weir/proxy"
	"github.com/valor-ivx/weir/proxy/limit"
)

// limiting publishes a snapshot whose route has these limits, each by the key parts beside it.
func (e *edge) limiting(r *limit.Registry, limits ...proxy.RouteLimit) {
	for i := range limits {
		limits[i].Metrics = e.metrics.Limit(limits[i].Limit.Name())
	}
	s := *e.proxy.Snapshot()
	route := s.Routes[0]
	route.Limits = proxy.NewLimits(r, limits)
	s.Routes = []proxy.Route{route}
	e.proxy.Publish(&s)
}

func byClient() []proxy.LimitKeyPart { return []proxy.LimitKeyPart{{Source: proxy.LimitByClientIP}} }

// scraped is the value of one series.
func (e *edge) scraped(series string) float64 {
	e.t.Helper()
	families, err := e.metrics.Gather()
	if err != nil {
		e.t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetValue())
			}
			if f.GetName()+" "+strings.Join(labels, " ") == series {
				return m.GetCounter().GetValue()
			}
		}
	}
	e.t.Fatalf("no series %s", series)
	return 0
}

func getWith(fields string) string { return "GET / HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n" }

// TestLimitAnswers429: beyond the burst a request is refused before the upstream hears of it, with what a client needs to come back; the connection goes on.
func TestLimitAnswers429(t *testing.T) {
	var heard atomic.Int64
	e := newEdge(t, defaults(backend(t, func(http.ResponseWriter, *http.Request) { heard.Add(1) })))
	r := limit.NewRegistry(1000)
	e.limiting(r,
		proxy.RouteLimit{Limit: r.Acquire(limit.Options{Name: "login", Rate: 5.0 / 3600, Burst: 3}), Key: byClient()},
		proxy.RouteLimit{Limit: r.Acquire(limit.Options{Name: "trial", Rate: 1e-3, Burst: 1, DryRun: true}), Key: byClient()},
		proxy.RouteLimit{Limit: r.Acquire(limit.Options{Name: "wide", Rate: 10, Burst: 20}), Key: byClient()})
	_, in := say(t, e.address, strings.Repeat(getWith(""), 3)+"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"+getWith(""))
	for i, want := range []int{200, 200, 200, 429, 429} {
		resp, body := answer(t, in, "GET")
		if resp.StatusCode != want {
			t.Fatalf("request %d: %d, want %d", i, resp.StatusCode, want)
		}
		if want == 200 {
			continue
		}
		after, err := strconv.Atoi(resp.Header.Get("Retry-After"))
		if err != nil || after < 715 || after > 720 { // 5/h is one in 720 s
			t.Errorf("Retry-After %q", resp.Header.Get("Retry-After"))
		}
		if got, want := resp.Header.Get("RateLimit"), fmt.Sprintf(`"login";r=0;t=%d`, after); got != want {
			t.Errorf("RateLimit %q, want %q", got, want)
		}
		if got, want := resp.Header.Get("RateLimit-Policy"), `"login";q=3;w=2160, "wide";q=20;w=2`; got != want {
			t.Errorf("RateLimit-Policy %q, want %q", got, want)
		}
		if resp.Header.Get("Content-Type") != "application/problem+json" || !strings.Contains(body, `"status":429,"reason":"rate_limited"`) {
			t.Errorf("%v %s", resp.Header, body)
		}
	}
	if heard.Load() != 3 {
		t.Errorf("the upstream heard %d requests, want 3", heard.Load())
	}
	for series, want := range map[string]float64{
		"weir_limit_decisions_total allowed login": 3, "weir_limit_decisions_total limited login": 2, "weir_limit_decisions_total dry_run login": 0,
		"weir_limit_decisions_total allowed trial": 1, "weir_limit_decisions_total limited trial": 0, "weir_limit_decisions_total dry_run trial": 4,
		"weir_limit_decisions_total allowed wide": 3, "weir_limit_decisions_total limited wide": 0,
	} {
		if got := e.scraped(series); got != want {
			t.Errorf("%s is %v, want %v", series, got, want)
		}
	}
}

// TestLimitKeys tells requests that share a bucket from those that do not: of each pair the second finds the first one's bucket empty, or its own full.
func TestLimitKeys(t *testing.T) {
	e := newEdge(t, defaults(backend(t, func(http.ResponseWriter, *http.Request) {})))
	e.trusting("127.0.0.0/8")
	header := []proxy.LimitKeyPart{{Source: proxy.LimitByHeader, Name: "X-Api-Key"}}
	cookie := []proxy.LimitKeyPart{{Source: proxy.LimitByCookie, Name: "sid"}}
	both := append(byClient(), header...)
	twoHeaders := []proxy.LimitKeyPart{{Source: proxy.LimitByHeader, Name: "A"}, {Source: proxy.LimitByHeader, Name: "B"}}
	for name, c := range map[string]struct {
		key           []proxy.LimitKeyPart
		first, second string
		shared        bool
	}{
		"one client":                            {byClient(), "X-Forwarded-For: 192.0.2.1\r\n", "X-Forwarded-For: 192.0.2.1\r\n", true},
		"two clients":                           {byClient(), "X-Forwarded-For: 192.0.2.1\r\n", "X-Forwarded-For: 192.0.2.2\r\n", false},
		"forged elements make no other client":  {byClient(), "X-Forwarded-For: 1.1.1.1, 192.0.2.1\r\n", "X-Forwarded-For: 2.2.2.2, 192.0.2.1\r\n", true},
		"one IPv6 network":                      {byClient(), "X-Forwarded-For: 2001:db8::1\r\n", "X-Forwarded-For: 2001:db8::ffff:1\r\n", true},
		"two IPv6 networks":                     {byClient(), "X-Forwarded-For: 2001:db8::1\r\n", "X-Forwarded-For: 2001:db8:0:1::1\r\n", false},
		"IPv4 in IPv6 is the IPv4 client":       {byClient(), "X-Forwarded-For: 192.0.2.1\r\n", "X-Forwarded-For: ::ffff:192.0.2.1\r\n", true},
		"one header value":                      {header, "X-Api-Key: a\r\n", "x-api-KEY:  a \r\n", true},
		"two header values":                     {header, "X-Api-Key: a\r\n", "X-Api-Key: b\r\n", false},
		"a second field of the name counts":     {header, "X-Api-Key: a\r\n", "X-Api-Key: a\r\nX-Api-Key: b\r\n", false},
		"without the header: one client":        {header, "", "", true},
		"without the header: two clients":       {header, "X-Forwarded-For: 192.0.2.1\r\n", "X-Forwarded-For: 192.0.2.2\r\n", false},
		"a value like an address is none":       {header, "X-Forwarded-For: 97.98.99.100\r\n", "X-Api-Key: abcd\r\n", false},
		"one cookie":                            {cookie, "Cookie: a=1; sid=x\r\n", "Cookie: sid=x; b=2\r\n", true},
		"two cookies":                           {cookie, "Cookie: sid=x\r\n", "Cookie: sid=y\r\n", false},
		"composite, one part differs":           {both, "X-Forwarded-For: 192.0.2.1\r\nX-Api-Key: a\r\n", "X-Forwarded-For: 192.0.2.1\r\nX-Api-Key: b\r\n", false},
		"composite, other part differs":         {both, "X-Forwarded-For: 192.0.2.1\r\nX-Api-Key: a\r\n", "X-Forwarded-For: 192.0.2.2\r\nX-Api-Key: a\r\n", false},
		"parts do not run into each other":      {twoHeaders, "A: x\r\nB: yz\r\n", "A: xy\r\nB: z\r\n", false},
		"the route":                             {[]proxy.LimitKeyPart{{Source: proxy.LimitByRoute, Name: "all"}}, "X-Forwarded-For: 192.0.2.1\r\n", "X-Forwarded-For: 192.0.2.2\r\n", true},
		"control and high bytes are just bytes": {header, "X-Api-Key: \xff\xfe\r\n", "X-Api-Key: \xff\xfd\r\n", false},
	} {
		r := limit.NewRegistry(1000)
		e.limiting(r, proxy.RouteLimit{Limit: r.Acquire(limit.Options{Name: "a", Rate: 1e-6, Burst: 1}), Key: c.key})
		_, in := say(t, e.address, getWith(c.first)+getWith(c.second))
		first, _ := answer(t, in, "GET")
		second, _ := answer(t, in, "GET")
		if first.StatusCode != 200 || (second.StatusCode == 429) != c.shared {
			t.Errorf("%s: %d then %d", name, first.StatusCode, second.StatusCode)
		}
	}
}

func TestLimitsAllocateNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	o := defaults(silentPeer(t).address)
	o.quiet = true
	e := newEdge(t, o)
	r := limit.NewRegistry(1000)
	e.limiting(r,
		proxy.RouteLimit{Limit: r.Acquire(limit.Options{Name: "a", Rate: 1e6, Burst: 100_000}), Key: byClient()},
		proxy.RouteLimit{Limit: r.Acquire(limit.Options{Name: "b", Rate: 1e6, Burst: 100_000}), Key: append(byClient(),
			proxy.LimitKeyPart{Source: proxy.LimitByHeader, Name: "X-Api-Key"}, proxy.LimitKeyPart{Source: proxy.LimitByCookie, Name: "sid"})})
	if n := allocations(t, e, getWith("X-Api-Key: abc\r\nCookie: a=b; sid=x\r\n")); n != 0 {
		t.Errorf("%v allocations per request", n)
	}
}
