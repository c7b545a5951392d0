package header_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/valor-ivx/weir/proxy/header"
)

func TestPresetsAreGraded(t *testing.T) {
	for name, c := range map[string]struct {
		options header.Options
		secure  bool
		letter  string
		score   int
	}{
		"strict":       {header.Options{Preset: header.Strict}, true, "A+", 115},
		"strict plain": {header.Options{Preset: header.Strict}, false, "B+", 80},
		"basic":        {header.Options{Preset: header.Basic}, true, "C", 55},
		"off":          {header.Options{}, true, "D", 30},
		"best": {header.Options{Preset: header.Strict, ContentSecurityPolicy: "default-src 'none'; form-action 'none'; frame-ancestors 'none'",
			Set: []header.Field{{Name: "Cross-Origin-Resource-Policy", Value: "same-origin"}}}, true, "A+", 130},
	} {
		var fields []header.Field
		if p := header.New(c.options); p != nil {
			fields = p.Fields(c.secure)
		}
		if g := header.Judge(fields, c.secure); g.Letter != c.letter || g.Score != c.score {
			t.Errorf("%s: %s %d, want %s %d: %+v", name, g.Letter, g.Score, c.letter, c.score, g.Findings)
		}
	}
}

// points of one field, all others as strict has them.
func TestFindings(t *testing.T) {
	for _, c := range []struct {
		name, value string
		points      int
	}{
		{"Content-Security-Policy", "default-src 'self'", 5},
		{"Content-Security-Policy", "default-src 'none'; script-src 'self'; form-action 'self'", 10},
		{"Content-Security-Policy", "default-src 'none'; script-src 'self'; form-action https:", 5},
		{"Content-Security-Policy", "default-src 'none'; script-src 'self'", 5},
		{"Content-Security-Policy", "default-src 'self'; style-src 'unsafe-inline'", 0},
		{"Content-Security-Policy", "default-src 'self' 'unsafe-inline'", -20},
		{"Content-Security-Policy", "default-src 'self'; script-src 'nonce-a' 'unsafe-inline' 'strict-dynamic' https:", 5},
		{"Content-Security-Policy", "default-src 'self'; script-src 'nonce-a' 'unsafe-inline' https:", -20},
		{"Content-Security-Policy", "script-src 'self'", -20}, // objects from anywhere
		{"Content-Security-Policy", "script-src 'self'; script-src *; object-src 'none'; style-src 'self'", 5},
		{"Content-Security-Policy", "script-src data:; object-src 'none'", -20},
		{"Content-Security-Policy", "DEFAULT-SRC 'SELF' 'Unsafe-Eval'", -10},
		{"Content-Security-Policy", "default-src 'self'; img-src http://a.example", -10},
		{"Content-Security-Policy", "default-src 'self'; connect-src http:", -20},
		{"Content-Security-Policy", "default-src *, default-src 'self'", 5}, // both are enforced
		{"Content-Security-Policy", " ; , ;", -25},
		{"Strict-Transport-Security", "max-age=31536000; includeSubDomains", 0},
		{"Strict-Transport-Security", `Max-Age="15768000"`, 0},
		{"Strict-Transport-Security", "max-age=15767999", -10},
		{"Strict-Transport-Security", "max-age=-1", -20},
		{"Strict-Transport-Security", "includeSubDomains", -20},
		{"X-Frame-Options", "sameorigin", 5},
		{"X-Frame-Options", "ALLOW-FROM https://a.example", -20},
		{"X-Content-Type-Options", "NoSniff", 0},
		{"X-Content-Type-Options", "sniff", -5},
		{"Referrer-Policy", "no-referrer, strict-origin-when-cross-origin", 5},
		{"Referrer-Policy", "no-referrer, unsafe-url", -5},
		{"Referrer-Policy", "unknown", -5},
		{"Cross-Origin-Resource-Policy", "same-site", 10},
		{"Cross-Origin-Resource-Policy", "cross-origin", 0},
		{"Cross-Origin-Resource-Policy", "nobody", -5},
	} {
		g := header.Judge([]header.Field{{Name: c.name, Value: c.value}}, true)
		i := slices.IndexFunc(g.Findings, func(f header.Finding) bool { return f.Field == c.name })
		if f := g.Findings[i]; f.Points != c.points || f.Says == "" || f.Points < 0 && f.Advice == "" {
			t.Errorf("%s: %s: %+v, want %d points", c.name, c.value, f, c.points)
		}
	}
	framed := []header.Field{{Name: "Content-Security-Policy", Value: "frame-ancestors 'self'"}}
	if f := header.Judge(framed, true).Findings[2]; f.Points != 5 || f.Says != "is done by frame-ancestors" {
		t.Errorf("%+v", f)
	}
	framed[0].Value = "frame-ancestors https:"
	if f := header.Judge(framed, true).Findings[2]; f.Points != -20 {
		t.Errorf("%+v", f)
	}
}

// Whatever the fields are there is a grade, and the letter is the score's.
func TestJudgeTakesAnything(t *testing.T) {
	names := []string{"Content-Security-Policy", "Strict-Transport-Security", "X-Frame-Options", "X-Content-Type-Options", "Referrer-Policy", "Cross-Origin-Resource-Policy"}
	rapid.Check(t, func(t *rapid.T) {
		field := rapid.Custom(func(t *rapid.T) header.Field {
			return header.Field{Name: rapid.SampledFrom(names).Draw(t, "name"), Value: rapid.StringMatching(`[a-z'; ,=*:0-9-]{0,30}`).Draw(t, "value")}
		})
		g := header.Judge(rapid.SliceOf(field).Draw(t, "fields"), rapid.Bool().Draw(t, "secure"))
		if g.Score < 0 || g.Score > 130 || !slices.Contains(header.Letters(), g.Letter) || (g.Letter == "A+") != (g.Score >= 100) || (g.Letter == "F") != (g.Score < 25) {
			t.Fatalf("%+v", g)
		}
	})
}
