package proxy_test

import (
	"net/netip"
	"testing"

	"github.com/valor-ivx/weir/proxy"
	"github.com/valor-ivx/weir/proxy/clientip"
	"github.com/valor-ivx/weir/proxy/header"
	"github.com/valor-ivx/weir/proxy/limit"
)

// TestProtectionAllocatesNothing: with a policy, a limit and a trusted proxy's word all at once.
func TestProtectionAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for name, policy := range map[string]header.Options{
		"basic": {Preset: header.Basic}, "strict": {Preset: header.Strict}, "nonce": {ContentSecurityPolicy: "script-src 'nonce-{nonce}'"},
	} {
		policy.Remove = []string{"X-Powered-By"}
		o := defaults(silentPeer(t).address)
		o.quiet = true
		e := newEdge(t, o)
		e.trusting("127.0.0.0/8")
		r := limit.NewRegistry(1000)
		e.limiting(r, proxy.RouteLimit{Limit: r.Acquire(limit.Options{Name: "a", Rate: 1e6, Burst: 100_000}), Key: byClient()})
		s := *e.proxy.Snapshot()
		s.Routes[0].Access, s.Routes[0].Guard = guardedBy(t)
		s.Routes[0].Headers = []*header.Policy{header.New(policy)}
		e.proxy.Publish(&s)
		if n := allocations(t, e, getWith("X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-User: root\r\nAuthorization: Basic Ym9iOnBhc3N3b3Jk\r\n")); n != 0 {
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

// TestRedirectsHaveHeadersAndAnEnd: a redirect carries the policy's fields, set does not touch its Location, and a client that speaks TLS to a trusted proxy
// is not sent round in a circle (here it gets past the redirect to a body too large to be forwarded).
func TestRedirectsHaveHeadersAndAnEnd(t *testing.T) {
	policy := header.New(header.Options{Preset: header.Strict, Set: []header.Field{{Name: "Location", Value: "https://evil.test"}}})
	addr := local(t, &proxy.Listener{Name: "l", Scheme: "http", Port: "80", Redirect: "443"}, nil, func(s *proxy.Snapshot) {
		s.Trust = clientip.New([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")})
		s.Routes[0].Headers = []*header.Policy{policy}
	})
	for _, c := range []struct {
		proto  string
		status int
	}{{"", 308}, {"X-Forwarded-Proto: http\r\n", 308}, {"X-Forwarded-Proto: https\r\n", 413}} {
		_, r := say(t, addr, "POST /app HTTP/1.1\r\nHost: a.test\r\nContent-Length: 9999999\r\n"+c.proto+"\r\n")
		resp, _ := answer(t, r, "POST")
		if resp.StatusCode != c.status || resp.Header.Get("X-Frame-Options") != "DENY" {
			t.Errorf("%q: %d %v, want %d", c.proto, resp.StatusCode, resp.Header, c.status)
		}
		if got := resp.Header.Values("Location"); c.status == 308 && (len(got) != 1 || got[0] != "https://a.test/app") {
			t.Errorf("%q: Location %q", c.proto, got)
		}
	}
}

// BenchmarkProtectedExchange is BenchmarkExchange's GET beside the same with strict headers, and with a limit by address in addition.
func BenchmarkProtectedExchange(b *testing.B) {
	for _, c := range []struct {
		name            string
		strict, limited bool
	}{{"plain", false, false}, {"strict", true, false}, {"strict and limited", true, true}} {
		b.Run(c.name, func(b *testing.B) {
			o := defaults(silentPeer(b).address)
			o.quiet = true
			e := newEdge(b, o)
			s := *e.proxy.Snapshot()
			if c.strict {
				s.Routes[0].Headers = []*header.Policy{header.New(header.Options{Preset: header.Strict})}
			}
			e.proxy.Publish(&s)
			if c.limited {
				r := limit.NewRegistry(limit.DefaultKeys)
				e.limiting(r, proxy.RouteLimit{Limit: r.Acquire(limit.Options{Name: "a", Rate: 1e6, Burst: 1e6}), Key: byClient()})
			}
			x := newExchanger(b, e, browserGet)
			b.ReportAllocs()
			for b.Loop() {
				x.do()
			}
		})
	}
}
