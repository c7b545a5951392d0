package observe_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/valor-ivx/weir/proxy/message"
	"github.com/valor-ivx/weir/proxy/observe"
)

// TestLongFieldsAreCut: whatever a megabyte is in, a line is bounded, whole, and says how much is missing; and no password is shown because its end was cut off.
func TestLongFieldsAreCut(t *testing.T) {
	const mega = 1 << 20
	long := func(s string) []byte { return []byte(strings.Repeat(s, mega/len(s))) }
	for _, c := range []struct {
		name  string
		entry observe.Entry
		key   string
	}{
		{"query", observe.Entry{Target: append([]byte("/?"), long("a=b&")...)}, "url.query"},
		{"path", observe.Entry{Target: append([]byte("/"), long("\x01")...)}, "url.path"},
		{"token", observe.Entry{Target: append([]byte("/?x=1&token="), long("s3cret")...)}, "url.original"},
		{"many tokens", observe.Entry{Target: append([]byte("/?"), long("token=s3cret&")...)}, "url.original"},
		{"password", observe.Entry{Target: append(append([]byte("http://user:"), long("s3cret")...), "@host/"...)}, "url.original"},
		{"password of a host", observe.Entry{Host: append(long("s3cret"), "@host"...)}, "url.domain"},
		{"host", observe.Entry{Host: append(long("h"), ":80"...)}, "url.domain"},
		{"host behind a password", observe.Entry{Host: append([]byte("s3cret@"), long("h")...)}, "url.domain"},
		{"referer", observe.Entry{Referer: long("\xff")}, "http.request.referrer"},
		{"agent", observe.Entry{UserAgent: long("€")}, "user_agent.original"},
		{"method", observe.Entry{MethodName: long("M")}, "http.request.method"},
		{"user", observe.Entry{User: long("\"")}, "user.name"},
		{"subject", observe.Entry{TLSVersion: 1, ClientSubject: string(long("CN"))}, "tls.client.subject"},
		{"error", observe.Entry{Error: string(long("\u0085"))}, "error.message"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if len(c.entry.Target) > 0 {
				c.entry.Method = message.GET
			}
			line := logged(t, observe.JSON, c.entry)
			var got map[string]any
			if err := json.Unmarshal([]byte(line), &got); err != nil {
				t.Fatal(err)
			}
			value, _ := got[c.key].(string)
			hidden := strings.HasPrefix(c.name, "password")
			if marked := strings.Contains(value, "...[cut:10"); value == "" || marked == hidden && c.name != "host behind a password" {
				t.Errorf("%s is %.40q of %d bytes, marked %v", c.key, value, len(value), marked)
			}
			combined := logged(t, observe.Combined, c.entry)
			for format, line := range map[string]string{"json": line, "combined": combined} {
				if len(line) > 13*observe.LongestField || strings.Count(line, "\n") != 1 || strings.Contains(line, "s3cret") {
					t.Errorf("%s: %d bytes: %.200q", format, len(line), line)
				}
			}
		})
	}
}

// TestCutTextsAreWhole: a text of the longest length is written as it is, one byte more is cut, and never inside a character.
func TestCutTextsAreWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sign := rapid.SampledFrom([]string{"a", "é", "€", "😀"}).Draw(t, "sign")
		text := strings.Repeat("x", rapid.IntRange(0, 3).Draw(t, "before")) + strings.Repeat(sign, observe.LongestField/len(sign)+rapid.IntRange(-2, 3).Draw(t, "more"))
		var got map[string]any
		if err := json.Unmarshal([]byte(logged(t, observe.JSON, observe.Entry{UserAgent: []byte(text)})), &got); err != nil {
			t.Fatal(err)
		}
		value := got["user_agent.original"].(string)
		kept, _, cut := strings.Cut(value, "...[cut:")
		if cut != (len(text) > observe.LongestField) || !strings.HasPrefix(text, kept) || len(kept) > observe.LongestField || !utf8.ValidString(kept) || cut && len(kept) < observe.LongestField-3 {
			t.Fatalf("%d bytes of %q became %d, %q", len(text), sign, len(kept), value[max(0, len(value)-30):])
		}
	})
}

// TestLinesShareNothingButConstants: what a buffer remembers of the line before it is used where it is the same, and only there.
func TestLinesShareNothingButConstants(t *testing.T) {
	names := rapid.SampledFrom([]string{"", "a", "b", "a\"b"})
	rapid.Check(t, func(t *rapid.T) {
		var entries []observe.Entry
		for range rapid.IntRange(1, 8).Draw(t, "entries") {
			e := ordinary()
			e.Listener, e.Route, e.Service, e.Group = names.Draw(t, "listener"), names.Draw(t, "route"), names.Draw(t, "service"), names.Draw(t, "group")
			e.Method, e.MethodName = message.Method(rapid.IntRange(0, 2).Draw(t, "method")), []byte(names.Draw(t, "name"))
			e.Proto = rapid.SampledFrom([]message.Proto{0, message.HTTP10, message.HTTP2}).Draw(t, "proto")
			e.TLSVersion = rapid.SampledFrom([]uint16{0, 0x303, 0x304}).Draw(t, "tls")
			e.Time = e.Time.AddDate(0, 0, rapid.IntRange(0, 1).Draw(t, "day"))
			entries = append(entries, e)
		}
		var alone bytes.Buffer
		for _, e := range entries {
			alone.WriteString(logged(t, observe.JSON, e))
		}
		if together := logged(t, observe.JSON, entries...); together != alone.String() {
			t.Fatalf("%s\nis not\n%s", together, alone.String())
		}
	})
}
