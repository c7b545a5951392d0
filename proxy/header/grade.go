package header

import (
	"slices"
	"strconv"
	"strings"
)

// Grade is a judgement of response fields by the rules of Mozilla's HTTP Observatory (developer.mozilla.org/en-US/observatory/docs/tests_and_scoring), as far as they look at fields alone: 100
// points, less what is missing, plus what is there beyond that. Cookies, CORS, redirections and integrity of subresources are the application's.
type Grade struct {
	Letter   string    `json:"grade"` // A+ to F
	Score    int       `json:"score"`
	Findings []Finding `json:"findings"`
}

// Finding is what one field adds or takes away.
type Finding struct {
	Field  string `json:"field"`
	Points int    `json:"points"`
	Says   string `json:"says"`
	Advice string `json:"advice,omitempty"` // what to change; "": nothing
}

// extraFrom is the score without bonuses from which bonuses count: what goes beyond does not make up for what is missing.
const extraFrom = 90

// Judge grades the fields of a response that came over TLS or not.
func Judge(fields []Field, secure bool) Grade {
	g := Grade{Findings: []Finding{
		judgeCSP(valuesOf(fields, policyField), secure), judgeHSTS(valuesOf(fields, hsts), secure), judgeFraming(fields),
		judgeSniffing(valuesOf(fields, "X-Content-Type-Options")), judgeReferrer(valuesOf(fields, "Referrer-Policy")),
		judgeResource(valuesOf(fields, "Cross-Origin-Resource-Policy")),
	}}
	bonus := 0
	g.Score = 100
	for _, f := range g.Findings {
		if f.Points > 0 {
			bonus += f.Points
		} else {
			g.Score += f.Points
		}
	}
	if g.Score >= extraFrom {
		g.Score += bonus
	}
	g.Score = max(0, g.Score)
	g.Letter = letterOf(g.Score)
	return g
}

// Letters are the grades, the best first.
func Letters() []string {
	list := make([]string, len(steps()))
	for i, s := range steps() {
		list[i] = s.letter
	}
	return list
}

type gradeStep struct {
	from   int
	letter string
}

func steps() []gradeStep {
	return []gradeStep{
		{100, "A+"}, {90, "A"}, {85, "A-"}, {80, "B+"}, {70, "B"}, {65, "B-"}, {60, "C+"}, {50, "C"}, {45, "C-"}, {40, "D+"}, {30, "D"}, {25, "D-"}, {0, "F"},
	}
}

func letterOf(score int) string {
	list := steps()
	return list[slices.IndexFunc(list, func(s gradeStep) bool { return score >= s.from })].letter
}

func valuesOf(fields []Field, name string) (values []string) {
	for _, f := range fields {
		if strings.EqualFold(f.Name, name) {
			values = append(values, strings.TrimSpace(f.Value))
		}
	}
	return values
}

// halfYear is what the Observatory wants of max-age at least, in seconds.
const halfYear = 15768000

func judgeHSTS(values []string, secure bool) Finding {
	f := Finding{Field: hsts, Points: -20, Advice: "strict and basic have it"}
	switch {
	case !secure:
		f.Says, f.Advice = "is of no use without TLS", `tls = true, or redirect = "https"`
		return f
	case len(values) == 0:
		f.Says = "is missing"
		return f
	}
	age := -1
	for d := range strings.SplitSeq(values[0], ";") { // RFC 6797 §8.1: the first field counts
		name, value, _ := strings.Cut(strings.TrimSpace(d), "=")
		if strings.EqualFold(strings.TrimSpace(name), "max-age") {
			if n, err := strconv.Atoi(strings.Trim(strings.TrimSpace(value), `"`)); err == nil && n >= 0 {
				age = n
			}
		}
	}
	switch {
	case age < 0:
		f.Says, f.Advice = "has no valid max-age", "max-age=31536000"
	case age < halfYear:
		f.Points, f.Says, f.Advice = -10, "is for less than six months", "max-age=31536000"
	default:
		f.Points, f.Says, f.Advice = 0, "is for six months or more", ""
	}
	return f
}

// judgeFraming looks at X-Frame-Options and at frame-ancestors, which browsers prefer (CSP3 §7.3).
func judgeFraming(fields []Field) Finding {
	f := Finding{Field: "X-Frame-Options", Points: 5}
	for _, policy := range policiesOf(valuesOf(fields, policyField)) {
		if ancestors, ok := policy["frame-ancestors"]; ok && !slices.ContainsFunc(ancestors, broad) {
			f.Says = "is done by frame-ancestors"
			return f
		}
	}
	values := valuesOf(fields, "X-Frame-Options")
	switch {
	case len(values) == 0:
		f.Points, f.Says, f.Advice = -20, "is missing: other sites can frame the page", "X-Frame-Options DENY, or frame-ancestors 'none' in the Content-Security-Policy"
	case len(values) == 1 && (strings.EqualFold(values[0], "DENY") || strings.EqualFold(values[0], "SAMEORIGIN")):
		f.Says = "keeps other sites from framing the page"
	default:
		f.Points, f.Says, f.Advice = -20, "is not valid: browsers ignore it", "X-Frame-Options DENY"
	}
	return f
}

func judgeSniffing(values []string) Finding {
	f := Finding{Field: "X-Content-Type-Options", Says: "is nosniff"}
	if len(values) == 0 || !strings.EqualFold(values[0], "nosniff") {
		f.Points, f.Says, f.Advice = -5, "is not nosniff: browsers guess at types", "X-Content-Type-Options nosniff; strict and basic have it"
	}
	return f
}

func judgeReferrer(values []string) Finding {
	f := Finding{Field: "Referrer-Policy", Points: -5, Says: "is not valid", Advice: "Referrer-Policy strict-origin-when-cross-origin"}
	if len(values) == 0 {
		f.Points, f.Says = 0, "is missing: left to the browser"
		return f
	}
	for token := range strings.SplitSeq(strings.Join(values, ","), ",") { // the last one that a browser knows counts
		switch strings.ToLower(strings.TrimSpace(token)) {
		case "no-referrer", "same-origin", "strict-origin", "strict-origin-when-cross-origin":
			f.Points, f.Says, f.Advice = 5, "keeps paths from other sites", ""
		case "origin", "origin-when-cross-origin", "unsafe-url", "no-referrer-when-downgrade":
			f.Points, f.Says, f.Advice = -5, "tells other sites, or those without TLS, more than it has to", "Referrer-Policy strict-origin-when-cross-origin"
		}
	}
	return f
}

func judgeResource(values []string) Finding {
	f := Finding{Field: "Cross-Origin-Resource-Policy"}
	if len(values) == 0 {
		f.Says = "is missing, which is fine for what others may embed"
		return f
	}
	switch strings.ToLower(values[0]) {
	case "same-origin", "same-site":
		f.Points, f.Says = 10, "keeps other sites from embedding"
	case "cross-origin":
		f.Says = "lets other sites embed"
	default:
		f.Points, f.Says, f.Advice = -5, "is not valid", "Cross-Origin-Resource-Policy same-origin"
	}
	return f
}
