package csp_test

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/valor-ivx/weir/proxy/csp"
)

const (
	two   = "application/csp-report"
	three = "application/reports+json"
)

func TestParse(t *testing.T) {
	for name, c := range map[string]struct {
		kind, body string
		want       []csp.Report
		err        error
	}{
		"level 2, Firefox": {two, `{"csp-report":{"blocked-uri":"https://evil.example:8443/x.js?token=secret#f","column-number":5,"disposition":"enforce","document-uri":"https://a.example/p?q=1",` +
			`"effective-directive":"script-src-elem","line-number":12,"original-policy":"x","referrer":"","source-file":"https://a.example/p?q=1","status-code":200,"violated-directive":"script-src-elem"}}`,
			[]csp.Report{{"script-src-elem", "https://evil.example:8443/x.js", "https://a.example/p", "https://a.example/p", 12, true}}, nil},
		"level 2, old, report only": {two + "; charset=utf-8", `{"csp-report":{"blocked-uri":"self","disposition":"report","document-uri":"https://u:p@a.example/","violated-directive":"style-src 'self' x"}}`,
			[]csp.Report{{"style-src", "self", "https://a.example/", "", 0, false}}, nil},
		"level 3, Chromium": {three, `[{"age":1,"body":{"blockedURL":"inline","columnNumber":39,"disposition":"enforce","documentURL":"https://a.example/csp","effectiveDirective":"script-src-elem",` +
			`"lineNumber":121,"originalPolicy":"p","referrer":"r","sample":"console.log(\"lo\")","sourceFile":"https://a.example/csp","statusCode":200},"type":"csp-violation","url":"https://a.example/csp","user_agent":"Mozilla"},` +
			`{"type":"deprecation","body":{"id":"x"}},{"type":"csp-violation","body":{"blockedURL":"data:text/html,secret","effectiveDirective":"FRAME-SRC","documentURL":"about:blank","lineNumber":-4}}]`,
			[]csp.Report{{"script-src-elem", "inline", "https://a.example/csp", "https://a.example/csp", 121, true}, {"frame-src", "data", "about", "", 0, true}}, nil},
		"a directive that there is not": {two, `{"csp-report":{"effective-directive":"script-src\nforged","blocked-uri":"` + strings.Repeat("x", 5000) + `","document-uri":"http://[bad"}}`,
			[]csp.Report{{csp.Other, strings.Repeat("x", 200), "unreadable", "", 0, true}}, nil},
		"an empty batch":      {three, `[]`, nil, nil},
		"another type":        {"application/json", `{"csp-report":{}}`, nil, csp.ErrType},
		"no type":             {"", `{"csp-report":{}}`, nil, csp.ErrType},
		"no JSON":             {two, `csp-report`, nil, csp.ErrBody},
		"another object":      {two, `{"a":1}`, nil, csp.ErrBody},
		"an object, no batch": {three, `{}`, nil, csp.ErrBody},
		"nothing":             {two, ``, nil, csp.ErrBody},
		"numbers for strings": {two, `{"csp-report":{"blocked-uri":7}}`, nil, csp.ErrBody},
		"depth":               {three, strings.Repeat("[", 60000), nil, csp.ErrBody},
	} {
		got, err := csp.Parse(c.kind, []byte(c.body))
		if err != c.err || !slices.Equal(got, c.want) {
			t.Errorf("%s:\n got %+v, %v\nwant %+v, %v", name, got, err, c.want, c.err)
		}
	}
	batch, err := csp.Parse(three, []byte("["+strings.TrimSuffix(strings.Repeat(`{"type":"csp-violation"},`, 1000), ",")+"]"))
	if err != nil || len(batch) != 64 {
		t.Errorf("a batch of 1000: %d, %v", len(batch), err)
	}
}

// told is a collector and what it told.
func told() (c *csp.Collector, counts map[string]int, lines *[]csp.Kind) {
	counts, lines = map[string]int{}, &[]csp.Kind{}
	c = csp.NewCollector(csp.Options{
		Count: func(policy, directive string) { counts[policy+" "+directive]++ },
		Log:   func(k csp.Kind) { *lines = append(*lines, k) },
	})
	return c, counts, lines
}

func report(directive, blocked string) []byte {
	b, _ := json.Marshal(map[string]any{"csp-report": map[string]any{"effective-directive": directive, "blocked-uri": blocked, "document-uri": "https://a/"}})
	return b
}

// TestCollectorIsBounded: of a flood of kinds the last stay, of one kind each power of ten is told, and all are counted under labels that are ours.
func TestCollectorIsBounded(t *testing.T) {
	c, counts, lines := told()
	now := time.Unix(1e9, 0)
	for range 1000 {
		if err := c.Take("app", two, report("img-src", "https://b/"), now); err != nil {
			t.Fatal(err)
		}
	}
	var at []uint64
	for _, k := range *lines {
		at = append(at, k.Count)
	}
	if !slices.Equal(at, []uint64{1, 10, 100, 1000}) {
		t.Errorf("told at %v", at)
	}
	for i := range 5000 {
		now = now.Add(time.Millisecond)
		_ = c.Take("app", two, report(fmt.Sprintf("x%d", i), fmt.Sprintf("https://b/%d", i)), now)
	}
	if list := c.List(); len(list) != 512 || list[0].Blocked != "https://b/4999" || list[0].Directive != csp.Other || list[0].Last.Before(list[1].Last) {
		t.Errorf("%d kept, the first is %+v", len(list), list[0])
	}
	if len(*lines) > 40 {
		t.Errorf("%d lines for a flood of 5 s", len(*lines))
	}
	if len(counts) != 2 || counts["app img-src"] != 1000 || counts["app other"] != 5000 {
		t.Errorf("counted %v", counts)
	}
	_ = c.Take("gone", two, report("img-src", "b"), now)
	c.Retain([]string{"gone"})
	if list := c.List(); len(list) != 1 || list[0].Policy != "gone" {
		t.Errorf("retained %+v", list)
	}
}

// TestRates: a client has 60 at once and one a second, however many addresses of its /64 it uses, and all together have their bound.
func TestRates(t *testing.T) {
	c, _, _ := told()
	now := time.Unix(1e9, 0)
	admitted := func(n int, address func(i int) netip.Addr) (k int) {
		for i := range n {
			if c.Admit(address(i), now) == 0 {
				k++
			}
		}
		return k
	}
	one := func(int) netip.Addr { return netip.MustParseAddr("2001:db8::1") }
	network := func(i int) netip.Addr { return netip.MustParseAddr(fmt.Sprintf("2001:db8::%x:1", i)) }
	if n := admitted(100, one); n != 60 {
		t.Errorf("%d of one address", n)
	}
	if n := admitted(100, network); n != 0 {
		t.Errorf("%d more of its network", n)
	}
	now = now.Add(10 * time.Second)
	if n := admitted(100, network); n != 10 {
		t.Errorf("%d after ten seconds", n)
	}
	everybody := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, byte(i / 250), byte(i)}) }
	if n := admitted(10_000, everybody); n > 500 || n < 400 {
		t.Errorf("%d of everybody", n)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(two, []byte(`{"csp-report":{"blocked-uri":"https://a/b?c","effective-directive":"script-src"}}`))
	f.Add(three, []byte(`[{"type":"csp-violation","body":{"blockedURL":"inline","documentURL":"https://a/?x"}}]`))
	f.Add("a/b;c=", []byte(`{}`))
	f.Fuzz(func(t *testing.T, kind string, body []byte) {
		list, err := csp.Parse(kind, body)
		if err != nil && err != csp.ErrType && err != csp.ErrBody {
			t.Fatalf("%v", err)
		}
		for _, r := range list {
			if !slices.Contains(csp.Directives(), r.Directive) || len(r.Blocked) > 200 || len(r.Document) > 200 || len(r.Source) > 200 || r.Line < 0 {
				t.Fatalf("%+v", r)
			}
			if strings.ContainsAny(r.Blocked+r.Document+r.Source, "?#\r\n\x00") {
				t.Fatalf("%+v", r)
			}
		}
	})
}
