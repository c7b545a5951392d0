package route_test

import (
	"strings"
	"testing"

	"github.com/valor-ivx/weir/proxy/route"
)

// rule reads "NAME HOSTS PATTERN", hosts joined by commas, "-" for any.
func rule(line string) route.Rule {
	f := strings.Fields(line)
	r := route.Rule{Name: f[0]}
	if f[1] != "-" {
		r.Hosts = strings.Split(f[1], ",")
	}
	r.Kind, r.Path = parsePattern(f[2])
	return r
}

// parsePattern is the reverse of Rule.Pattern.
func parsePattern(p string) (route.Kind, string) {
	if path, ok := strings.CutPrefix(p, "="); ok {
		return route.Exact, path
	}
	if expression, ok := strings.CutPrefix(p, "~"); ok {
		return route.Regex, expression
	}
	return route.Prefix, p
}

func rulesOf(lines string) []route.Rule {
	var rules []route.Rule
	for line := range strings.Lines(lines) {
		if strings.TrimSpace(line) != "" {
			rules = append(rules, rule(line))
		}
	}
	return rules
}

func table(t *testing.T, lines string) (*route.Table, []route.Rule) {
	t.Helper()
	rules := rulesOf(lines)
	tab, err := route.New(rules)
	if err != nil {
		t.Fatal(err)
	}
	return tab, rules
}

const site = `
	login   www.example.com          =/login
	php     www.example.com          ~\.php$
	tilde   www.example.com          ~^/~[a-z]+/
	control www.example.com          ~^/ctl%0A%7F$
	api     www.example.com,api.test /api
	below   www.example.com          /api/v1/
	slash   www.example.com          /a%2Fb
	coffee  www.example.com          /café
	www     www.example.com          /
	star    *.example.com            /
	eu      *.eu.example.com         /
	six     [2001:DB8:0::1]          /
	four    10.0.0.1                 /x
	any     -                        /
	ping    -                        =/ping
`

func TestMatch(t *testing.T) {
	tab, rules := table(t, site)
	cases := []struct{ host, path, want string }{
		{"www.example.com", "/", "www"},
		{"WWW.Example.COM:8443", "/", "www"},
		{"www.example.com.", "/", "www"},
		{"www.example.com.:80", "/login", "login"},
		{"www.example.com", "/login/", "www"},
		{"www.example.com", "/Login", "www"},
		{"www.example.com", "/%6Cogin", "login"},
		{"www.example.com", "/api", "api"},
		{"www.example.com", "/api/", "api"},
		{"www.example.com", "/api/x", "api"},
		{"www.example.com", "/%61pi/x", "api"},
		{"www.example.com", "/apix", "www"},
		{"www.example.com", "/api%2Fx", "www"},
		{"www.example.com", "/api%2Ex", "www"},
		{"www.example.com", "/api/v1", "api"},
		{"www.example.com", "/api/v1/", "below"},
		{"www.example.com", "/api/v1/x/y/z", "below"},
		{"www.example.com", "/api/v1/x.php", "php"},
		{"www.example.com", "/api/v1/x%2Ephp", "php"},
		{"www.example.com", "/x.php%0A", "www"},
		{"www.example.com", "/ctl%0a%7f", "control"},
		{"www.example.com", "/~joe/x", "tilde"},
		{"www.example.com", "/%7Ejoe/x", "tilde"},
		{"www.example.com", "/a%2fb/c", "slash"},
		{"www.example.com", "/a/b/c", "www"},
		{"www.example.com", "/a%252Fb", "www"},
		{"www.example.com", "/caf%C3%A9/menu", "coffee"},
		{"www.example.com", "/café", "coffee"},
		{"www.example.com", "*", "www"},
		{"www.example.com", "//api", "www"},
		{"api.test", "/api/x", "api"},
		{"api.test", "/other", ""}, // no fall-through to any
		{"a.example.com", "/login", "star"},
		{"a.b.example.com", "/", "star"},
		{"example.com", "/", "any"},
		{".example.com", "/", "any"},
		{"xexample.com", "/", "any"},
		{"a.eu.example.com", "/", "eu"},
		{"a.b.eu.example.com", "/", "eu"},
		{"eu.example.com", "/", "star"},
		{"[2001:db8::1]:443", "/", "six"},
		{"[2001:DB8::1]", "/", "six"},
		{"[2001:db8:0:0:0:0:0:1]", "/", "six"},
		{"[2001:db8::2]", "/", "any"},
		{"10.0.0.1:80", "/x", "four"},
		{"10.0.0.2", "/x", "any"},
		{"", "/ping", "ping"},
		{"[", "/ping", "ping"},
		{"[::1%25eth0]", "/ping", "ping"},
		{strings.Repeat("a.", 200) + "example.com", "/", "any"},
		{"other.test", "/ping/", "any"},
	}
	for _, c := range cases {
		got := ""
		if i := tab.Match([]byte(c.host), []byte(c.path)); i >= 0 {
			got = rules[i].Name
		} else if i != route.NotFound {
			t.Errorf("Match(%q, %q) = %d", c.host, c.path, i)
		}
		if got != c.want {
			t.Errorf("Match(%q, %q) = %q, want %q", c.host, c.path, got, c.want)
		}
	}
}

func TestUnknownHost(t *testing.T) {
	tab, _ := table(t, "www www.example.com /app")
	for host, want := range map[string]int{"other.test": route.UnknownHost, "": route.UnknownHost, "www.example.com": route.NotFound} {
		if got := tab.Match([]byte(host), []byte("/")); got != want {
			t.Errorf("Match(%q) = %d, want %d", host, got, want)
		}
	}
	empty, err := route.New(nil)
	if err != nil || empty.Match([]byte("a"), []byte("/")) != route.UnknownHost {
		t.Errorf("an empty table knows host a (%v)", err)
	}
}

func TestRegexOrder(t *testing.T) {
	tab, rules := table(t, "a - ~^/x/.*b\nb - ~^/x/\nc - /x/y/z/long/prefix")
	for path, want := range map[string]string{"/x/ab": "a", "/x/a": "b", "/x/y/z/long/prefix": "b"} {
		if got := tab.Match(nil, []byte(path)); got < 0 || rules[got].Name != want {
			t.Errorf("Match(%q) = %d, want %q", path, got, want)
		}
	}
}

func TestNewKeepsItsOwnRules(t *testing.T) {
	rules := rulesOf("a - /x")
	tab, err := route.New(rules)
	if err != nil {
		t.Fatal(err)
	}
	rules[0] = route.Rule{}
	if s := tab.Explain(nil, []byte("/x")); len(s) != 1 || s[0].Name != "a" {
		t.Errorf("the table changed with the caller's slice: %+v", s)
	}
}

func TestNewRefuses(t *testing.T) {
	cases := []struct{ lines, want string }{
		{"a - api", `route "a": path "api": path does not begin with a slash`},
		{"a - /a/../b", `path "/a/../b": no request ever has it: write "/b"`},
		{"a - /a%2", "percent sign"},
		{"a - =", "path does not begin with a slash"},
		{"a - =*", "no request ever has it"},
		{"a - ~(", `regex "(": error parsing regexp`},
		{"a - ~", "regex is empty"},
		{"a - /x\nb - /x", `route "b": same host (any) and path (/x) as route "a"`},
		{"a - /x\nb - /%78", `same host`},
		{"a A.test /x\nb a.TEST. /x", `same host (A.test) and path (/x) as route "a"`},
		{"a *.a.test /x\nb *.A.test /x", `same host`},
		{"a [::1] /x\nb 0::1 /x", `same host`},
		{"a - ~x\nb - ~x", `same host`},
		{"a a.test,a.test /x", `names host a.test twice`},
		{"a a.test:80 /x", "has a port"},
		{"a * /x", "leave host out"},
		{"a a.*.test /x", "whole first label"},
		{"a *a.test /x", "whole first label"},
		{"a *. /x", "empty label"},
		{"a a..test /x", "empty label"},
		{"a .test /x", "empty label"},
		{"a bücher.test /x", "punycode"},
		{"a a/b /x", `'/' cannot be in a host name`},
		{"a fe80::1%eth0 /x", "zone"},
		{"a [::1 /x", `'[' cannot be in a host name`},
		{"a " + strings.Repeat("a", 254) + " /x", "253"},
	}
	for _, c := range cases {
		if _, err := route.New(rulesOf(c.lines)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("New(%q): %v; want %q", c.lines, err, c.want)
		}
	}
	if _, err := route.New([]route.Rule{{Kind: 9, Path: "/"}, {Path: "x"}}); err == nil ||
		!strings.Contains(err.Error(), "route #1: kind 9") || !strings.Contains(err.Error(), "route #2: path") {
		t.Errorf("not every mistake is reported: %v", err)
	}
	if _, err := route.New([]route.Rule{{Hosts: []string{""}, Path: "/"}}); err == nil {
		t.Error("an empty host name was taken for any host")
	}
}

func TestPattern(t *testing.T) {
	for _, p := range []string{"/", "/api", "=/x", "~\\.php$"} {
		kind, path := parsePattern(p)
		if got := (route.Rule{Kind: kind, Path: path}).Pattern(); got != p {
			t.Errorf("pattern %q came back as %q", p, got)
		}
	}
	if got := (route.Rule{}).Pattern(); got != "/" {
		t.Errorf("the empty prefix is %q", got)
	}
}

func TestExplain(t *testing.T) {
	tab, _ := table(t, site)
	steps := tab.Explain([]byte("www.example.com:443"), []byte("/api/v1/x"))
	want := []struct{ name, reason string }{
		{"login", "the path is not equal"},
		{"php", "the regex does not match"},
		{"tilde", "the regex does not match"},
		{"control", "the regex does not match"},
		{"below", "longest prefix: the path is below /api/v1/"},
		{"slash", "not at or below /a%2Fb"},
		{"coffee", "not at or below /café"},
		{"api", `would match, but route "below" comes first`},
		{"www", `would match, but route "below" comes first`},
		{"star", "host www.example.com matches *.example.com, but www.example.com is more specific"},
		{"eu", "host www.example.com does not match"},
		{"six", "does not match"},
		{"four", "does not match"},
		{"any", "decided by the routes for www.example.com; there is no fall-through"},
		{"ping", "there is no fall-through"},
	}
	if len(steps) != len(want) {
		t.Fatalf("%d steps: %+v", len(steps), steps)
	}
	for i, s := range steps {
		if s.Name != want[i].name || !strings.Contains(s.Reason, want[i].reason) || s.Chosen != (s.Name == "below") {
			t.Errorf("step %d: %+v; want %+v", i, s, want[i])
		}
	}
	if s := tab.Explain([]byte("api.test"), []byte("/apix"))[0]; s.Chosen || s.Reason != "begins with /api, but not at the end of a segment" {
		t.Errorf("%+v", s)
	}
}

func TestShadowed(t *testing.T) {
	cases := []struct{ lines, want string }{
		{"a - /\nb - /api\nc - =/api\nd - ~x", ""},
		{"a - ~.*\nb - /api\nc - ~y\nd - =/z", `route "b" (/api) can never match: route "a" (~.*) comes first;route "c" (~y) can never match: route "a" (~.*) comes first`},
		{"a - ~/\nb - /api", `"b" (/api)`},
		{"a - ~^\nb - /api", `"b" (/api)`},
		{"a - ~^/api\nb - /api/x\nc - /apix\nd - /ap\ne - ~^/api/v.*z", `"b";"c";"e"`},
		{"a - ~^/api/.*$\nb - /api/x\nc - /api\nd - ~^/api/\\d", `"b";"d"`},
		{"a - ~(?i)^/api\nb - /api", ""},
		{"a - ~^/api$\nb - /api\nc - =/api", `route "a" (~^/api$) can never match: route "c" (=/api) comes first`},
		{"a - ~^api", `every path begins with a slash`},
		{"a - =/x\nb - /x\nc - /x/", `route "b" (/x) can never match: route "a" (=/x) comes first, route "c" (/x/) comes first`},
		{"a - =/x\nb - /x", ""},
		{"a h.test ~^/\nb h.test,i.test /", ""}, // still reachable under i.test
		{"a h.test ~^/\nb h.test /\nc - /", `"b" (/)`},
		{"a - ~x\nb - ~xy", ""}, // true, but not provable by this analysis
	}
	for _, c := range cases {
		tab, _ := table(t, c.lines)
		got := tab.Shadowed()
		var want []string
		if c.want != "" {
			want = strings.Split(c.want, ";")
		}
		ok := len(got) == len(want)
		for i := range min(len(got), len(want)) {
			ok = ok && strings.Contains(got[i], want[i])
		}
		if !ok {
			t.Errorf("%q: shadowed %q, want %q", c.lines, got, want)
		}
	}
}
