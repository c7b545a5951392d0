package trace_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/valor-ivx/weir/proxy/trace"
)

const good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

// TestParse: what W3C Trace Context takes and refuses (Level 1, 3.2.2 to 3.2.4).
func TestParse(t *testing.T) {
	for value, want := range map[string]string{
		good: good, good[:53] + "00": good[:53] + "00",
		good[:53] + "ff":            good[:53] + "03", // flags that are not known are not passed on
		"01" + good[2:]:             good,
		"fe" + good[2:] + "-":       good,
		"cc" + good[2:] + "-x-y":    good,
		"":                          "",
		good[:54]:                   "",
		good + "-":                  "",
		good + "0":                  "",
		"cc" + good[2:] + ".x":      "",
		"ff" + good[2:]:             "",
		"0x" + good[2:]:             "",
		strings.ToUpper(good):       "",
		good[:53] + "0g":            "",
		good[:53] + "0 ":            "",
		" " + good[1:]:              "",
		"00_" + good[3:]:            "",
		good[:35] + "." + good[36:]: "",
		good[:52] + " " + good[53:]: "",
		"00-" + strings.Repeat("0", 32) + good[35:]:              "",
		good[:36] + strings.Repeat("0", 16) + good[52:]:          "",
		good[:10] + "\xff" + good[11:]:                           "",
		good + strings.Repeat("-00f067aa0ba902b7", 10000)[:8000]: "",
	} {
		c, ok := trace.Parse([]byte(value))
		got := ""
		if ok {
			got = string(c.Append(nil))
		}
		if got != want {
			t.Errorf("%.100q: %q, want %q", value, got, want)
		}
		if !ok && c != (trace.Context{}) {
			t.Errorf("%.100q: refused, and something is left of it: %v", value, c)
		}
	}
}

// FuzzParse: nothing is read that is not written back, and what is written is read.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{good, "", "cc" + good[2:] + "-more", good[:54], strings.ToUpper(good)} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		c, ok := trace.Parse(value)
		if !ok {
			return
		}
		out := c.Append(nil)
		if again, ok := trace.Parse(out); !ok || again != c || len(out) != len(good) {
			t.Errorf("%q became %q", value, out)
		}
		if !bytes.Equal(out[2:53], value[2:53]) {
			t.Errorf("%q became %q", value, out)
		}
	})
}

// TestState: a tracestate is passed on whole or not at all (3.3).
func TestState(t *testing.T) {
	members := func(n int) string { return strings.TrimSuffix(strings.Repeat("a=b,", n), ",") }
	for _, c := range []struct {
		fields []string
		valid  bool
	}{
		{nil, true}, {[]string{""}, true}, {[]string{" , ,"}, true}, {[]string{"rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"}, true}, {[]string{"rojo=1", "congo=2"}, true},
		{[]string{"fw529a3039@dt=FfAxm5Y;a:b c\t"}, true}, {[]string{"0a-_*/=!~"}, true}, {[]string{members(32)}, true}, {[]string{members(33)}, false}, {[]string{members(20), members(13)}, false},
		{[]string{"a"}, false}, {[]string{"=b"}, false}, {[]string{"a="}, false}, {[]string{"A=b"}, false}, {[]string{"a=b=c"}, false}, {[]string{"_a=b"}, false}, {[]string{"a b=c"}, false},
		{[]string{"a=b\tc"}, false}, {[]string{"a=b\x7f"}, false}, {[]string{"a=\xc3\xa9"}, false}, {[]string{"good=1", "bad"}, false},
		{[]string{strings.Repeat("k", 256) + "=" + strings.Repeat("v", 256)}, true}, {[]string{strings.Repeat("k", 257) + "=v"}, false}, {[]string{"k=" + strings.Repeat("v", 257)}, false},
	} {
		var s trace.State
		for _, f := range c.fields {
			s.Add([]byte(f))
		}
		if s.Valid() != c.valid {
			t.Errorf("%.80q: valid %t, want %t", c.fields, s.Valid(), c.valid)
		}
	}
}

// FuzzState: whatever comes, it ends with a verdict.
func FuzzState(f *testing.F) {
	for _, seed := range []string{"a=b", "a=b, c@d=e ,", ",,,", "a", "=", strings.Repeat("a=b,", 40)} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		var whole, twice trace.State
		whole.Add(value)
		twice.Add(value)
		twice.Add(nil)
		if whole.Valid() != twice.Valid() {
			t.Errorf("%q: an empty field more changes the verdict", value)
		}
	})
}

// TestIDsAreNew: no two are the same, none is none.
func TestIDsAreNew(t *testing.T) {
	ids, spans := map[trace.ID]bool{{}: true}, map[trace.SpanID]bool{{}: true}
	for range 10000 {
		id, span := trace.NewID(), trace.NewSpanID()
		if ids[id] || spans[span] {
			t.Fatalf("%x or %x was there before", id, span)
		}
		ids[id], spans[span] = true, true
	}
}
