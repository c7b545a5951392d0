package route_test

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/valor-ivx/weir/proxy/route"
)

// oracle decides by the words of the package's documentation, over all rules, with nothing prepared.
func oracle(rules []route.Rule, host, path string) int {
	best, hosts := "", -1 // rank of the deciding host pattern: exact 1000, wildcard its length, any 0
	for _, r := range rules {
		for _, h := range append([]string{}, orAny(r.Hosts)...) {
			if rank := hostRank(h, host); rank > hosts {
				best, hosts = h, rank
			}
		}
	}
	if hosts < 0 {
		return route.UnknownHost
	}
	winner, top := route.NotFound, -1
	for i, r := range rules {
		named := false
		for _, h := range orAny(r.Hosts) {
			named = named || h == best
		}
		if rank := pathRank(r, i, path); named && rank > top {
			winner, top = i, rank
		}
	}
	return winner
}

func orAny(hosts []string) []string {
	if len(hosts) == 0 {
		return []string{""}
	}
	return hosts
}

func hostRank(pattern, host string) int {
	switch suffix, wild := strings.CutPrefix(pattern, "*"); {
	case pattern == "":
		return 0
	case wild && strings.HasSuffix(host, suffix) && host != suffix:
		return len(pattern)
	case pattern == host:
		return 1000
	}
	return -1
}

func pathRank(r route.Rule, order int, path string) int {
	switch r.Kind {
	case route.Exact:
		if path == r.Path {
			return 1_000_000
		}
	case route.Regex:
		if regexp.MustCompile(r.Path).MatchString(path) {
			return 900_000 - order
		}
	default:
		if path == r.Path || strings.HasPrefix(path, strings.TrimSuffix(r.Path, "/")+"/") {
			return len(r.Path)
		}
	}
	return -1
}

func drawRules(t *rapid.T) []route.Rule {
	hosts := rapid.SampledFrom([]string{"a.test", "b.a.test", "*.test", "*.a.test", "*.b.a.test", "c.example"})
	segment := rapid.SampledFrom([]string{"a", "b", "ab", "abc", "x.y"})
	seen := map[string]bool{}
	var rules []route.Rule
	for range rapid.IntRange(0, 40).Draw(t, "rules") {
		r := route.Rule{Name: fmt.Sprint(len(rules)), Kind: rapid.SampledFrom([]route.Kind{0, 0, 0, 1, 2}).Draw(t, "kind")}
		r.Hosts = rapid.SliceOfNDistinct(hosts, 0, 2, rapid.ID[string]).Draw(t, "hosts")
		r.Path = "/" + strings.Join(rapid.SliceOfN(segment, 0, 3).Draw(t, "segments"), "/")
		if r.Kind == route.Prefix && r.Path != "/" && rapid.Bool().Draw(t, "slash") {
			r.Path += "/"
		}
		if r.Kind == route.Regex {
			r.Path = rapid.SampledFrom([]string{"a$", "^/a", "^/ab/", "b/", "^/a.*b$", `x\.y`}).Draw(t, "regex")
		}
		double := false
		for _, h := range orAny(r.Hosts) {
			double = double || seen[fmt.Sprint(h, r.Kind, r.Path)]
		}
		if double {
			continue
		}
		for _, h := range orAny(r.Hosts) {
			seen[fmt.Sprint(h, r.Kind, r.Path)] = true
		}
		rules = append(rules, r)
	}
	return rules
}

// drawSpelling writes path with some of its bytes percent-encoded: the same path to everybody.
func drawSpelling(t *rapid.T, path string) string {
	var out strings.Builder
	for i := range len(path) {
		if path[i] != '/' && rapid.IntRange(0, 9).Draw(t, "encode") == 0 {
			fmt.Fprintf(&out, "%%%02x", path[i])
			continue
		}
		out.WriteByte(path[i])
	}
	return out.String()
}

func TestMatchAgreesWithOracle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules := drawRules(t)
		tab, err := route.New(rules)
		if err != nil {
			t.Fatal(err)
		}
		for range 20 {
			host := rapid.SampledFrom([]string{"a.test", "b.a.test", "c.b.a.test", "d.c.b.a.test", "z.test", "test", "c.example", "q"}).Draw(t, "host")
			path := "/" + strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "ab", "abc", "abcd", "x.y", ""}), 0, 5).Draw(t, "path"), "/")
			asked := drawSpelling(t, path)
			canon, err := route.Canonical(nil, []byte(asked))
			if err != nil {
				t.Fatal(err)
			}
			got, want := tab.Match([]byte(strings.ToUpper(host)+":1"), canon), oracle(rules, host, path)
			if got != want {
				t.Fatalf("Match(%q, %q) = %d, want %d of %+v", host, asked, got, want, rules)
			}
			checkExplain(t, tab, len(rules), host, string(canon))
			if got >= 0 {
				for _, warning := range tab.Shadowed() {
					if strings.HasPrefix(warning, fmt.Sprintf("route %q ", rules[got].Name)) {
						t.Fatalf("%q %q is served by a route of which Shadowed says: %s", host, path, warning)
					}
				}
			}
		}
	})
}

// checkExplain holds that every rule is explained once and that the one chosen is the one matched.
func checkExplain(t interface{ Fatalf(string, ...any) }, tab *route.Table, rules int, host, path string) {
	got, chosen, seen := tab.Match([]byte(host), []byte(path)), -1, map[int]bool{}
	for _, s := range tab.Explain([]byte(host), []byte(path)) {
		if s.Chosen && chosen >= 0 || seen[s.Rule] || s.Reason == "" {
			t.Fatalf("step %+v for %q %q: second choice, second mention or no reason", s, host, path)
		}
		seen[s.Rule] = true
		if s.Chosen {
			chosen = s.Rule
		}
	}
	if chosen != max(got, -1) || len(seen) != rules {
		t.Fatalf("%q %q: matched %d, explained %d over %d of %d rules", host, path, got, chosen, len(seen), rules)
	}
}

// FuzzMatch feeds hosts and paths as they come: no panic, Explain agrees, and the spelling of the host or path changes nothing.
func FuzzMatch(f *testing.F) {
	rules := rulesOf(site)
	tab, err := route.New(rules)
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range [][2]string{
		{"www.example.com", "/api/v1/x"}, {"[::1]:80", "/"}, {"a.eu.example.com.:1", "/%61"}, {"", "*"}, {"[", "%"}, {"WWW.example.com", "/%2f%zz"}, {"2001:db8::1", "/x.php"},
	} {
		f.Add([]byte(s[0]), []byte(s[1]))
	}
	f.Fuzz(func(t *testing.T, host, path []byte) {
		got := tab.Match(host, path)
		checkExplain(t, tab, len(rules), string(host), string(path))
		upper := []byte(strings.Map(func(r rune) rune {
			if 'a' <= r && r <= 'z' {
				return r - 'a' + 'A'
			}
			return r
		}, strings.ToValidUTF8(string(host), "?")))
		if again := tab.Match(upper, path); again != tab.Match([]byte(strings.ToValidUTF8(string(host), "?")), path) {
			t.Fatalf("case of host %q matters: %d and %d", host, got, again)
		}
		canon, err := route.Canonical(nil, path)
		if err != nil || string(canon) == "*" {
			return
		}
		text, _ := url.PathUnescape(string(canon))
		if strings.ContainsAny(text, "/\\%") && strings.ContainsRune(string(canon), '%') {
			return // what stays encoded in the reading
		}
		var spelled strings.Builder
		for i := range len(text) {
			if text[i] == '/' {
				spelled.WriteByte('/')
				continue
			}
			fmt.Fprintf(&spelled, "%%%02X", text[i])
		}
		if a, b := tab.Match(host, canon), tab.Match(host, []byte(spelled.String())); a != b {
			t.Fatalf("%q matches %d, spelled %q it matches %d", canon, a, spelled.String(), b)
		}
	})
}

// FuzzNew feeds host and path patterns: what is accepted matches the request it is written as, and no warning denies it.
func FuzzNew(f *testing.F) {
	for _, s := range [][2]string{
		{"a.test", "/x"}, {"*.a.test", "=/x"}, {"::1", "/a%2Fb/"}, {"A.Test.", "/%61/é"}, {"10.0.0.1", "~^/a.*$"}, {"[::1", "~("}, {"*", ""}, {"a.test:80", "/../x"}, {"::ffff:1.2.3.4", "/"},
	} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, host, pattern string) {
		kind, path := parsePattern(pattern)
		tab, err := route.New([]route.Rule{{Hosts: []string{host}, Kind: kind, Path: path}})
		if err != nil {
			return
		}
		warnings := tab.Shadowed()
		asked := host
		if strings.HasPrefix(host, "*.") {
			asked = "x" + host[1:]
		} else if strings.Contains(host, ":") && !strings.HasPrefix(host, "[") {
			asked = "[" + host + "]:443"
		}
		if kind == route.Regex {
			if got := tab.Match([]byte(asked), []byte("/")); got == route.UnknownHost {
				t.Fatalf("host %q is not known by the rule for %q", asked, host)
			}
			return
		}
		if path == "" {
			path = "/"
		}
		if got := tab.Match([]byte(asked), []byte(path)); got != 0 || len(warnings) > 0 {
			t.Fatalf("rule %q %q gives %d for itself, warnings %q", host, pattern, got, warnings)
		}
	})
}
