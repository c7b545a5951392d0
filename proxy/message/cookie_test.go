package message_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/valor-ivx/weir/proxy/message"
)

func TestDropCookie(t *testing.T) {
	for _, c := range []struct {
		name         string
		fields, want []string
	}{
		{"alone", []string{"weir_a=1"}, nil},
		{"first", []string{"weir_a=1; b=2"}, []string{"b=2"}},
		{"last", []string{"b=2; weir_a=1"}, []string{"b=2"}},
		{"between", []string{"b=2; weir_a=1; c=3"}, []string{"b=2; c=3"}},
		{"twice", []string{"weir_a=1; b=2; weir_a=3"}, []string{"b=2"}},
		{"no spaces", []string{"weir_a=1;b=2;c=3"}, []string{"b=2;c=3"}},
		{"several fields", []string{"b=2", "weir_a=1", "c=3; weir_a=1"}, []string{"b=2", "c=3"}},
		{"not there", []string{"b=2;  c=3 ;"}, []string{"b=2;  c=3 ;"}},
		{"prefix of another", []string{"weir_ab=1; xweir_a=2; weir_a"}, []string{"weir_ab=1; xweir_a=2; weir_a"}},
		{"only separators left", []string{"; weir_a=1; "}, nil},
		{"empty", []string{""}, []string{""}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var h message.Header
			h.Add("Accept", "*/*")
			for _, f := range c.fields {
				h.Add("Cookie", f)
			}
			h.Add("Host", "x")
			h.DropCookie("weir_a")
			var got []string
			for i := range h.Len() {
				if h.At(i).ID() == message.Cookie {
					got = append(got, string(h.At(i).Value()))
				}
			}
			if strings.Join(got, "|") != strings.Join(c.want, "|") || len(got) != len(c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
			if accept, _ := h.Get("Accept"); string(accept) != "*/*" || h.Len() != len(c.want)+2 {
				t.Errorf("other fields changed: %d, Accept %q", h.Len(), accept)
			}
		})
	}
}

// Whatever stands in the field: the others' pairs stay in their order, and nothing is written beyond where the field ended.
func TestDropCookieKeepsTheOthers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := strings.Join(rapid.SliceOf(rapid.SampledFrom([]string{"w=1", " w=", " a=b", "c", "", " ", "ww=1", " d=\"w=1\"", "w"})).Draw(t, "pairs"), ";")
		var h message.Header
		h.Add("Cookie", value)
		h.Add("Host", "x")
		h.DropCookie("w")
		pairs := func(s string) (list []string) {
			for p := range strings.SplitSeq(s, ";") {
				if p = strings.Trim(p, " "); p != "" && !strings.HasPrefix(p, "w=") {
					list = append(list, p)
				}
			}
			return list
		}
		got := ""
		if i := h.Find(message.Cookie, 0); i >= 0 {
			got = string(h.At(i).Value())
		}
		if strings.Join(pairs(got), ";") != strings.Join(pairs(value), ";") {
			t.Fatalf("%q became %q", value, got)
		}
		for p := range strings.SplitSeq(got, ";") {
			if strings.HasPrefix(strings.Trim(p, " "), "w=") && len(strings.Trim(p, " ")) > 1 {
				t.Fatalf("%q still in %q", p, got)
			}
		}
		if host, _ := h.Get("Host"); string(host) != "x" {
			t.Fatalf("Host became %q", host)
		}
	})
}
