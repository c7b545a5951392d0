package route_test

import (
	"fmt"
	"testing"

	"github.com/valor-ivx/weir/proxy/route"
)

// many is n rules: paths under one host, or a host each.
func many(n int, hosts bool) []route.Rule {
	rules := make([]route.Rule, n)
	for i := range rules {
		if hosts {
			rules[i] = route.Rule{Hosts: []string{fmt.Sprintf("tenant-%d.example.com", i)}}
		} else {
			rules[i] = route.Rule{Hosts: []string{"www.example.com"}, Path: fmt.Sprintf("/api/service-%d", i)}
		}
	}
	return rules
}

type matchCase struct {
	name       string
	rules      []route.Rule
	host, path string
	want       int
}

func matchCases() []matchCase {
	const host = "www.example.com:8080"
	cases := []matchCase{{"any/1", []route.Rule{{}}, host, "/api/health", 0}}
	for _, n := range []int{1, 100, 10_000} {
		cases = append(cases,
			matchCase{fmt.Sprintf("paths/%d", n), many(n, false), host, fmt.Sprintf("/api/service-%d/v1/items/42", n/2), n / 2},
			matchCase{fmt.Sprintf("miss/%d", n), many(n, false), host, "/api/unknown-1/v1/items/42", route.NotFound},
			matchCase{fmt.Sprintf("hosts/%d", n), many(n, true), fmt.Sprintf("Tenant-%d.example.com:443", n/2), "/v1/items/42", n / 2})
	}
	wild := append(many(10_000, true), route.Rule{Hosts: []string{"*.example.com"}})
	regex := append(many(10_000, false), route.Rule{Hosts: []string{"www.example.com"}, Kind: route.Regex, Path: `^/files/\d+$`})
	return append(cases,
		matchCase{"wildcard/10000", wild, "a.b.c.example.com", "/v1/items/42", 10_000},
		matchCase{"escaped/10000", many(10_000, false), host, "/%61pi/service-77/caf%C3%A9", 77},
		matchCase{"regex/1", regex, host, "/files/1234", 10_000},
		matchCase{"regex-miss/1", regex, host, "/api/service-77/v1", 77})
}

func TestMatchAllocatesNothing(t *testing.T) {
	for _, c := range matchCases() {
		tab, err := route.New(c.rules)
		if err != nil {
			t.Fatal(err)
		}
		host, path := []byte(c.host), []byte(c.path)
		if got := tab.Match(host, path); got != c.want {
			t.Errorf("%s: Match = %d, want %d", c.name, got, c.want)
		}
		if raceEnabled {
			continue // the race detector makes sync.Pool drop at random
		}
		if n := testing.AllocsPerRun(200, func() { tab.Match(host, path) }); n != 0 {
			t.Errorf("%s: %v allocations", c.name, n)
		}
	}
}

func BenchmarkMatch(b *testing.B) {
	for _, c := range matchCases() {
		tab, err := route.New(c.rules)
		if err != nil {
			b.Fatal(err)
		}
		host, path := []byte(c.host), []byte(c.path)
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				tab.Match(host, path)
			}
		})
	}
}

func BenchmarkCanonical(b *testing.B) {
	dst := make([]byte, 0, 128)
	for _, path := range []string{"/api/health", "/api/service-77/v1/items/42", "/a%2Fb/caf%C3%A9", "/a/b/../c/%2e/d"} {
		b.Run(path[1:], func(b *testing.B) {
			b.ReportAllocs()
			in := []byte(path)
			for b.Loop() {
				_, _ = route.Canonical(dst, in)
			}
		})
	}
}

func BenchmarkNew(b *testing.B) {
	rules := many(10_000, false)
	for b.Loop() {
		if _, err := route.New(rules); err != nil {
			b.Fatal(err)
		}
	}
}
