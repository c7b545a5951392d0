package proxy_test

import (
	"testing"

	"github.com/valor-ivx/weir/proxy"
	"github.com/valor-ivx/weir/proxy/header"
	"github.com/valor-ivx/weir/proxy/limit"
)

// TestProtectionAllocatesNothing: with a policy, a limit and a trusted proxy's word all at once.
func TestProtectionAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for name, preset := range map[string]header.Preset{"basic": header.Basic, "strict": header.Strict} {
		o := defaults(silentPeer(t).address)
		o.quiet = true
		e := newEdge(t, o)
		e.trusting("127.0.0.0/8")
		r := limit.NewRegistry(1000)
		e.limiting(r, proxy.RouteLimit{Limit: r.Acquire(limit.Options{Name: "a", Rate: 1e6, Burst: 100_000}), Key: byClient()})
		s := *e.proxy.Snapshot()
		s.Routes[0].Headers = []*header.Policy{header.New(header.Options{Preset: preset, Remove: []string{"X-Powered-By"}})}
		e.proxy.Publish(&s)
		if n := allocations(t, e, getWith("X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\n")); n != 0 {
			t.Errorf("%s: %v allocations per request", name, n)
		}
	}
}

// TestTransportSecurityFollowsTheTrustedProxy: a client that speaks TLS to the proxy in front gets HSTS over our plain connection; one that only says so does not.
func TestTransportSecurityFollowsTheTrustedProxy(t *testing.T) {
	e := newEdge(t, defaults(echo(t)))
	for _, c := range []struct {
		trusted, fields string
		want            string
	}{
		{"127.0.0.0/8", "X-Forwarded-Proto: https\r\n", "max-age=31536000"},
		{"127.0.0.0/8", "X-Forwarded-Proto: http\r\n", ""},
		{"127.0.0.0/8", "", ""},
		{"10.0.0.0/8", "X-Forwarded-Proto: https\r\n", ""},
	} {
		e.trusting(c.trusted)
		s := *e.proxy.Snapshot()
		route := s.Routes[0]
		route.Headers = []*header.Policy{header.New(header.Options{Preset: header.Basic})}
		s.Routes = []proxy.Route{route}
		e.proxy.Publish(&s)
		_, in := say(t, e.address, getWith(c.fields))
		resp, _ := answer(t, in, "GET")
		if got := resp.Header.Get("Strict-Transport-Security"); got != c.want {
			t.Errorf("%s, %q: %q, want %q", c.trusted, c.fields, got, c.want)
		}
	}
}
