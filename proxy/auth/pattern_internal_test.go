package auth

import (
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestPatterns(t *testing.T) {
	for _, c := range []struct {
		pattern, s, stops string
		want              bool
	}{
		{"CN=*,O=Acme", "CN=web,O=Acme", `,+\`, true},
		{"CN=*,O=Acme", `CN=x\,O=Acme`, `,+\`, false}, // one attribute that spells two
		{"CN=*,O=Acme", "CN=x,OU=y,O=Acme", `,+\`, false},
		{"CN=*,O=Acme", "CN=,O=Acme", `,+\`, false},
		{"CN=*", "CN=x+UID=y", `,+\`, false},
		{"*.example.com", "a.example.com", ".", true},
		{"*.example.com", "a.b.example.com", ".", false},
		{"*.*.example.com", "a.b.example.com", ".", true},
		{"*.example.com", ".example.com", ".", false},
		{"*.example.com", "example.com", ".", false},
		{"web-*.example.com", "web-1.example.com", ".", true},
		{"*@example.com", "ann@example.com", "@", true},
		{"*@example.com", "ann@evil@example.com", "@", false},
		{"*@example.com", "ann@example.com.evil", "@", false},
		{"spiffe://d/ns/*/sa/*", "spiffe://d/ns/a/sa/b", "/?#", true},
		{"spiffe://d/ns/*/sa/*", "spiffe://d/ns/a/b/sa/c", "/?#", false},
		{"", "", ".", true},
		{"", "a", ".", false},
		{"a", "", ".", false},
		{"*", "", ".", false},
		{"*ab", "abab", ".", true},
		{"*aba", "xababa", ".", true},
	} {
		if got := matches(c.pattern, c.s, c.stops); got != c.want {
			t.Errorf("%q, %q: %t", c.pattern, c.s, got)
		}
	}
}

// TestPatternsAreRegular holds matches to the regular expression that says the same.
func TestPatternsAreRegular(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.StringOfN(rapid.SampledFrom([]rune("ab.*")), 0, 8, -1).Draw(t, "pattern")
		s := rapid.StringOfN(rapid.SampledFrom([]rune("ab.")), 0, 12, -1).Draw(t, "s")
		same := regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, "[^.]+") + "$")
		if got := matches(pattern, s, "."); got != same.MatchString(s) {
			t.Errorf("%q, %q: %t", pattern, s, got)
		}
	})
}
