package configs_test

import (
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/valor-ivx/weir/configs"
)

// Any text survives expansion once its dollar signs are doubled.
func TestExpansionOfEscapedTextIsTheText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := dollarText().Draw(t, "text")
		got, err := configs.Expand(strings.ReplaceAll(text, "$", "$$"), noEnv, noFile)
		if err != nil || got != text {
			t.Fatalf("got %q, %v; want %q", got, err, text)
		}
	})
}

// What a variable or file brings in arrives byte for byte and is not looked at again.
func TestExpansionInsertsValuesVerbatim(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before, value, after := dollarText().Draw(t, "before"), dollarText().Draw(t, "value"), dollarText().Draw(t, "after")
		escape := func(s string) string { return strings.ReplaceAll(s, "$", "$$") }
		env := func(name string) (string, bool) { return value, name == "V" }
		file := func(path string) ([]byte, error) { return []byte(value + "\n"), nil }
		for _, reference := range []string{"${V}", "${V:-}", "${file:secret}"} {
			got, err := configs.Expand(escape(before)+reference+escape(after), env, file)
			if err != nil || got != before+value+after {
				// One final line break of a file is no part of it, and \r\n is one.
				if reference == "${file:secret}" && strings.HasSuffix(value, "\r") {
					continue
				}
				t.Fatalf("%s: got %q, %v; want %q", reference, got, err, before+value+after)
			}
		}
	})
}

func TestExpansionOperators(t *testing.T) {
	env := func(name string) (string, bool) {
		value, ok := map[string]string{"SET": "s", "EMPTY": ""}[name]
		return value, ok
	}
	for in, want := range map[string]string{
		"${SET}": "s", "${EMPTY}": "", "${SET:-d}": "s", "${EMPTY:-d}": "d", "${UNSET:-d}": "d", "${UNSET:-}": "",
		"${UNSET:-a:b-c?}": "a:b-c?", "${SET:?m}": "s", "$": "$", "a$b": "a$b", "^/a$": "^/a$", "$$": "$", "$$$": "$$",
		"$${SET}": "${SET}", "$$${SET}": "$s", "${SET}${SET}": "ss", "}": "}", "{SET}": "{SET}",
	} {
		if got, err := configs.Expand(in, env, noFile); err != nil || got != want {
			t.Errorf("%s: got %q, %v; want %q", in, got, err, want)
		}
	}
	for content, want := range map[string]string{"a": "a", "a\n": "a", "a\r\n": "a", "a\n\n": "a\n", "": "", "${SET}": "${SET}"} {
		file := func(string) ([]byte, error) { return []byte(content), nil }
		if got, err := configs.Expand("${file:x}", env, file); err != nil || got != want {
			t.Errorf("file with %q: got %q, %v; want %q", content, got, err, want)
		}
	}
	for _, in := range []string{"${UNSET}", "${EMPTY:?m}", "${UNSET:?m}", "${}", "${SET", "${1A}", "${SET:}", "${SET:=x}", "${file:x}"} {
		if got, err := configs.Expand(in, env, noFile); err == nil {
			t.Errorf("%s: got %q, want an error", in, got)
		}
	}
}

// A configuration printed and read back is the same, down to its digest.
func TestEffectiveConfigurationRoundTrips(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := mustParse(t, document().Draw(t, "document"))
		again := mustParse(t, string(cfg.TOML()))
		if cfg.Digest() != again.Digest() {
			t.Fatalf("digest changed:\n%s\n---\n%s", cfg.TOML(), again.TOML())
		}
		if lines := configs.Diff(cfg, again); len(lines) != 0 {
			t.Fatalf("diff with itself: %v", lines)
		}
	})
}

// Diff says nothing exactly when the digests are equal.
func TestDiffAgreesWithDigest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// Few choices in each document, so that equal pairs occur and differences are small.
		old := mustParse(t, smallDocument().Draw(t, "old"))
		new := mustParse(t, smallDocument().Draw(t, "new"))
		lines := configs.Diff(old, new)
		if (len(lines) == 0) != (old.Digest() == new.Digest()) {
			t.Fatalf("diff %q, digests equal: %v\n%s---\n%s", lines, old.Digest() == new.Digest(), old.TOML(), new.TOML())
		}
		back := configs.Diff(new, old)
		if len(back) != len(lines) {
			t.Fatalf("diff one way %q, other way %q", lines, back)
		}
	})
}

func TestWeightsAndSizesPrintAsTheyAreRead(t *testing.T) {
	for n := range 10001 {
		var f float64
		if _, err := fmt.Sscan(configs.Weight(n).String(), &f); err != nil {
			t.Fatal(err)
		}
		if w, err := configs.ParseWeight(f); err != nil || w != configs.Weight(n) {
			t.Fatalf("weight %d printed %s, read %d, %v", n, configs.Weight(n), w, err)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		size := configs.Size(rapid.Int64Range(-1, 1<<62).Draw(t, "size"))
		if back, err := configs.ParseSize(size.String()); err != nil || back != size {
			t.Fatalf("size %d printed %s, read %d, %v", size, size, back, err)
		}
	})
}

// Paths survive being joined and split, whatever the keys hold.
func TestPathsSplitIntoTheirKeys(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		keys := rapid.SliceOfN(rapid.StringOfN(rapid.RuneFrom([]rune(`a.[]"\0 é`)), 0, 6, -1), 1, 5).Draw(t, "keys")
		path, parent := "", ""
		var want []string
		for _, k := range keys {
			path, parent = configs.JoinKey(path, k), path
			want = append(want, configs.JoinKey("", k))
		}
		if got := configs.SplitPath(path); strings.Join(got, "\x00") != strings.Join(want, "\x00") {
			t.Fatalf("split %q = %q, want %q", path, got, want)
		}
		if got := configs.ParentPath(path); got != parent {
			t.Fatalf("parent of %q = %q, want %q", path, got, parent)
		}
	})
}

func noEnv(string) (string, bool)   { return "", false }
func noFile(string) ([]byte, error) { return nil, fs.ErrNotExist }

func dollarText() *rapid.Generator[string] {
	return rapid.OneOf(rapid.String(), rapid.StringOf(rapid.RuneFrom([]rune("${}:-?aV\r\n"))))
}

func mustParse(t *rapid.T, text string) *configs.Config {
	cfg, err := configs.Parse("weir.toml", []byte(text), configs.Options{Env: noEnv, ReadFile: noFile})
	if err != nil {
		t.Fatalf("does not load: %v\n%s", err, text)
	}
	return cfg
}

// document draws a valid file over the whole of the language that needs no certificate.
func document() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		var b strings.Builder
		fmt.Fprintf(&b, "[log]\nlevel = %q\naccess = %q\noutput = %q\n",
			rapid.SampledFrom([]string{"debug", "info"}).Draw(t, "level"),
			rapid.SampledFrom([]string{"json", "combined", "off"}).Draw(t, "access"),
			rapid.SampledFrom([]string{"stdout", "access.log", "/a b/$$.log", "./stderr"}).Draw(t, "output"))
		for i := range rapid.IntRange(1, 3).Draw(t, "listeners") {
			fmt.Fprintf(&b, "[[listener]]\naddress = \"127.0.0.1:%d\"\n", 8000+i)
		}
		fmt.Fprintf(&b, "[client_ip]\ntrusted_proxies = [%s]\n[limit.a]\nrate = \"%d/%s\"\nkey = %q\n", rapid.SampledFrom([]string{"", `"10.0.0.0/8", "::1"`}).Draw(t, "proxies"),
			rapid.IntRange(1, 1000000).Draw(t, "rate"), rapid.SampledFrom([]string{"s", "m", "h"}).Draw(t, "unit"),
			rapid.SampledFrom([]string{"client_ip", "header:X-$$+route", "cookie:sid"}).Draw(t, "key"))
		fmt.Fprintf(&b, "[headers.h]\npreset = %q\nset = { %q = %q }\nremove = [%s]\n", rapid.SampledFrom([]string{"strict", "basic", "off"}).Draw(t, "preset"),
			rapid.StringMatching(`[A-Z][a-z!#&'*+.^_|~-]{2,8}`).Draw(t, "field"), rapid.StringMatching(`[!-#%-~]([ -#%-~]{0,20}[!-#%-~])?`).Draw(t, "value"),
			rapid.SampledFrom([]string{"", `"x-0"`, `"X-1", "Server0"`}).Draw(t, "remove"))
		services := rapid.IntRange(1, 3).Draw(t, "services")
		for i := range services {
			drawService(t, &b, fmt.Sprintf("s.%d", i))
		}
		for i := range rapid.IntRange(1, 4).Draw(t, "routes") {
			fmt.Fprintf(&b, "[[route]]\nservice = \"s.%d\"\npath = %q\nmax_body = %q\n",
				rapid.IntRange(0, services-1).Draw(t, "service"),
				rapid.SampledFrom([]string{"/", "=/", "~^/a\\.b$"}).Draw(t, "kind")+fmt.Sprint("x", i),
				rapid.SampledFrom([]string{"off", "0B", "1KiB", "1023MiB"}).Draw(t, "body"))
			fmt.Fprintf(&b, "headers = %q\n", rapid.SampledFrom([]string{"h", "strict", "off"}).Draw(t, "headers"))
			if rapid.Bool().Draw(t, "limited") {
				b.WriteString("limits = [\"a\"]\n")
			}
			if rapid.Bool().Draw(t, "hosts") {
				b.WriteString("host = [\"A.example\", \"*.example\"]\n")
			}
		}
		return b.String()
	})
}

func drawService(t *rapid.T, b *strings.Builder, name string) {
	fmt.Fprintf(b, "[service.%q]\nbalance = %q\nresponse_timeout = %q\nretry = { budget = %v }\n", name,
		rapid.SampledFrom([]string{"peak_ewma", "hash:path", "hash:header:X-$$"}).Draw(t, "balance"),
		time.Duration(rapid.Int64Range(0, int64(24*time.Hour)).Draw(t, "timeout")),
		rapid.Float64Range(0, 1).Draw(t, "budget"))
	if rapid.Bool().Draw(t, "health") {
		b.WriteString("health = { path = \"/ok?a=1\" }\n")
	}
	blue := rapid.IntRange(0, 10000).Draw(t, "blue")
	for i, weight := range []int{blue, 10000 - blue} {
		fmt.Fprintf(b, "[service.%q.group.g%d]\nweight = %s\ntargets = [\"10.0.0.1:80\", { dns = \"a.example:81\", weight = %d }]\n",
			name, i, configs.Weight(weight), rapid.IntRange(1, 9).Draw(t, "target weight"))
	}
}

func smallDocument() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		var b strings.Builder
		fmt.Fprintf(&b, "[admin]\ntoken = %q\n", rapid.SampledFrom([]string{"a", "b"}).Draw(t, "token"))
		b.WriteString("[[listener]]\naddress = \":80\"\n[service.a.group.blue]\n")
		fmt.Fprintf(&b, "targets = [%s]\n", strings.Join(shuffled(t, "targets", `"10.0.0.1:80"`, `"10.0.0.2:80"`), ", "))
		if rapid.Bool().Draw(t, "health") {
			b.WriteString("[service.a]\nhealth = { path = \"/\" }\n")
		}
		b.WriteString(strings.Join(shuffled(t, "routes",
			"[[route]]\npath = \"/a\"\nservice = \"a\"\n", "[[route]]\npath = \"~b\"\nservice = \"a\"\n"), ""))
		return b.String()
	})
}

// shuffled draws one or both of two elements in either order.
func shuffled(t *rapid.T, label, x, y string) []string {
	return rapid.SampledFrom([][]string{{x}, {y}, {x, y}, {y, x}}).Draw(t, label)
}
