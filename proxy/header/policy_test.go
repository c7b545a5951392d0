package header_test

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/valor-ivx/weir/proxy/header"
	"github.com/valor-ivx/weir/proxy/message"
)

func fields(lines ...string) *message.Header {
	h := &message.Header{}
	for _, l := range lines {
		name, value, _ := strings.Cut(l, ": ")
		h.Add(name, value)
	}
	return h
}

// sent is what a client gets: what is left of h, then the policy's lines.
func sent(h *message.Header, lines []byte) (list []string) {
	for i := range h.Len() {
		list = append(list, string(h.At(i).Line()))
	}
	for line := range strings.Lines(string(lines)) {
		list = append(list, strings.TrimSuffix(line, "\r\n"))
	}
	return list
}

func TestForward(t *testing.T) {
	basic := header.Options{Preset: header.Basic}
	for name, c := range map[string]struct {
		options  header.Options
		upstream []string
		secure   bool
		want     []string
	}{
		"basic, plain": {basic, []string{"Content-Type: text/html"}, false,
			[]string{"Content-Type: text/html", "X-Content-Type-Options: nosniff", "Referrer-Policy: strict-origin-when-cross-origin"}},
		"basic, TLS": {basic, nil, true,
			[]string{"X-Content-Type-Options: nosniff", "Referrer-Policy: strict-origin-when-cross-origin", "Strict-Transport-Security: max-age=31536000"}},
		"basic yields to the upstream": {basic, []string{"strict-transport-security: max-age=1; preload", "Referrer-Policy: no-referrer"}, true,
			[]string{"strict-transport-security: max-age=1; preload", "Referrer-Policy: no-referrer", "X-Content-Type-Options: nosniff"}},
		"strict replaces the upstream's": {header.Options{Preset: header.Strict, ContentSecurityPolicy: "default-src 'none'"},
			[]string{"x-frame-OPTIONS: SAMEORIGIN", "A: b", "Content-Security-Policy: one", "Content-Security-Policy: two", "Strict-Transport-Security: max-age=0"}, false,
			[]string{"A: b", "X-Content-Type-Options: nosniff", "X-Frame-Options: DENY", "Referrer-Policy: same-origin",
				"Permissions-Policy: accelerometer=(), camera=(), geolocation=(), gyroscope=(), magnetometer=(), microphone=(), payment=(), usb=()",
				"Content-Security-Policy: default-src 'none'", "Cross-Origin-Opener-Policy: same-origin"}},
		"set adds, and replaces a preset's": {header.Options{Preset: header.Basic, Set: []header.Field{{"Referrer-policy", "origin"}, {"X-Own", "1"}}},
			[]string{"Referrer-Policy: no-referrer", "x-own: 2"}, false, []string{"Referrer-policy: origin", "X-Own: 1", "X-Content-Type-Options: nosniff"}},
		"remove takes from both": {header.Options{Preset: header.Basic, Remove: []string{"x-powered-by", "referrer-policy"}},
			[]string{"X-Powered-By: a", "Referrer-Policy: b", "X-Powered-By: c", "D: e"}, false, []string{"D: e", "X-Content-Type-Options: nosniff"}},
		"off with set": {header.Options{Set: []header.Field{{"Strict-Transport-Security", "max-age=1"}}}, []string{"A: b"}, false, []string{"A: b"}},
	} {
		h := fields(c.upstream...)
		if got := sent(h, header.New(c.options).Forward(nil, h, c.secure)); !slices.Equal(got, c.want) {
			t.Errorf("%s:\n got %q\nwant %q", name, got, c.want)
		}
	}
	if header.New(header.Options{}) != nil {
		t.Error("a policy that does nothing is not nil")
	}
}

// TestAnswerKeepsWhatItSays: an answer of our own is not made storable or of another type by an operator's set, and has everything else of the policy.
func TestAnswerKeepsWhatItSays(t *testing.T) {
	p := header.New(header.Options{Preset: header.Basic, Set: []header.Field{{"cache-control", "public"}, {"X-Own", "1"}}, Remove: []string{"Content-Type"}})
	h := fields("Content-Type: application/problem+json", "Cache-Control: no-store")
	want := []string{"Content-Type: application/problem+json", "Cache-Control: no-store", "X-Content-Type-Options: nosniff",
		"Referrer-Policy: strict-origin-when-cross-origin", "X-Own: 1"}
	if got := sent(h, p.Answer(nil, h, false)); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Whatever policy meets whatever response: each field the policy writes arrives exactly once, none that it removes, nothing else changes, and an answer of
// our own has the same set.
func TestSameSetOnEveryResponse(t *testing.T) {
	names := []string{"X-Frame-Options", "Referrer-Policy", "X-Content-Type-Options", "Strict-Transport-Security", "Content-Security-Policy", "A", "B", "C"}
	name := rapid.Custom(func(t *rapid.T) string {
		n := rapid.SampledFrom(names).Draw(t, "name")
		return rapid.SampledFrom([]string{n, strings.ToLower(n), strings.ToUpper(n)}).Draw(t, "case")
	})
	rapid.Check(t, func(t *rapid.T) {
		o := header.Options{Preset: rapid.SampledFrom([]header.Preset{header.Off, header.Basic, header.Strict}).Draw(t, "preset")}
		for _, n := range rapid.SliceOfNDistinct(name, 0, 3, strings.ToLower).Draw(t, "set") {
			o.Set = append(o.Set, header.Field{Name: n, Value: "ours"})
		}
		o.Remove = rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"C", "x-frame-options"}), 0, 2, strings.ToLower).Draw(t, "remove")
		p := header.New(o)
		if p == nil {
			return
		}
		secure := rapid.Bool().Draw(t, "secure")
		upstream := rapid.SliceOfN(name, 0, 12).Draw(t, "upstream")
		var lines []string
		for _, n := range upstream {
			lines = append(lines, n+": theirs")
		}
		h := fields(lines...)
		got := map[string]int{}
		for _, line := range sent(h, p.Forward(nil, h, secure)) {
			n, _, _ := strings.Cut(line, ": ")
			got[strings.ToLower(n)]++
		}
		empty := &message.Header{}
		alone := sent(empty, p.Answer(nil, empty, secure))
		if !slices.Equal(alone, sent(empty, p.Forward(nil, empty, secure))) && o.Preset != header.Basic {
			t.Fatalf("alone %q", alone)
		}
		for _, f := range p.Fields(secure) {
			if n := got[strings.ToLower(f.Name)]; n < 1 {
				t.Fatalf("%s is lost: %v", f.Name, got)
			}
		}
		for _, f := range o.Set {
			low := strings.ToLower(f.Name)
			removed := slices.ContainsFunc(o.Remove, func(r string) bool { return strings.EqualFold(r, f.Name) })
			want := 1
			if removed || !secure && low == "strict-transport-security" {
				want = 0
			}
			if got[low] != want {
				t.Fatalf("%s %d times, want %d", f.Name, got[low], want)
			}
		}
		for _, r := range o.Remove {
			if got[strings.ToLower(r)] != 0 {
				t.Fatalf("%s was removed and arrives", r)
			}
		}
		theirs := 0
		for _, n := range upstream {
			if strings.EqualFold(n, "B") {
				theirs++
			}
		}
		if !slices.ContainsFunc(o.Set, func(f header.Field) bool { return strings.EqualFold(f.Name, "B") }) && got["b"] != theirs {
			t.Fatalf("B, which is not the policy's, %d times, want %d", got["b"], theirs)
		}
	})
}

func TestForwardAllocatesNothing(t *testing.T) {
	for _, preset := range []header.Preset{header.Basic, header.Strict} {
		p := header.New(header.Options{Preset: preset})
		h, b := &message.Header{}, make([]byte, 0, 2048)
		add := func() {
			h.Reset()
			h.Add("Content-Type", "text/html")
			h.Add("X-Frame-Options", "SAMEORIGIN")
			h.Add("Date", "now")
		}
		add()
		if n := testing.AllocsPerRun(1000, func() {
			add()
			b = p.Forward(b[:0], h, true)
		}); n != 0 {
			t.Errorf("preset %d: %v allocations", preset, n)
		}
	}
}

func BenchmarkForward(b *testing.B) {
	for name, preset := range map[string]header.Preset{"basic": header.Basic, "strict": header.Strict} {
		b.Run(name, func(b *testing.B) {
			p := header.New(header.Options{Preset: preset})
			h := fields("Date: Mon, 23 Nov 2026 00:00:00 GMT", "Content-Type: application/json", "Content-Length: 90", "Cache-Control: no-store", "Vary: Accept", "ETag: \"a\"")
			out := make([]byte, 0, 2048)
			b.ReportAllocs()
			for b.Loop() {
				out = p.Forward(out[:0], h, true)
			}
		})
	}
}
