package proxy_test

import (
	"runtime"
	"strings"
	"testing"

	"github.com/valor-ivx/weir/proxy"
)

// A client with its cookie costs no allocation: to find it, to know its group by it, to keep it from the upstream.
func TestStickyAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	o := defaults(silentPeer(t).address)
	o.quiet = true
	e := newEdge(t, o)
	publish := func() {
		s := *e.service
		s.Sticky = proxy.Sticky{Source: proxy.StickyOwn, Cookie: proxy.NewStickyCookie([]byte("secret"), "api", 1, 0)}
		s.Testers = []proxy.Tester{{Group: 0, HeaderName: "X-Weir-Group", HeaderValue: "green", CookieName: "weir_group", CookieContent: "green"}}
		snap := *e.proxy.Snapshot()
		snap.Routes = []proxy.Route{snap.Routes[0]}
		snap.Routes[0].Service = &s
		e.proxy.Publish(&snap)
	}
	publish()
	first := newExchanger(t, e, browserGet)
	answer := string(first.buf[:first.size])
	_, value, found := strings.Cut(answer, "Set-Cookie: weir_api=")
	value, _, _ = strings.Cut(value, ";")
	if !found || len(value) != 60 {
		t.Fatalf("no cookie in %q", answer)
	}
	x := newExchanger(t, e, strings.Replace(browserGet, "Cookie: a=b;", "Cookie: a=b; weir_api="+value+";", 1))
	if strings.Contains(string(x.buf[:x.size]), "Set-Cookie") {
		t.Fatalf("a known client is given another cookie: %q", x.buf[:x.size])
	}
	for range 500 {
		x.do()
	}
	const rounds = 5000
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for range rounds {
		x.do()
	}
	runtime.ReadMemStats(&after)
	if per := float64(after.Mallocs-before.Mallocs) / rounds; per > 0.05 {
		t.Errorf("%.2f allocations per exchange", per)
	}
}
