package header

import (
	"slices"
	"strings"
)

// cspPolicy is the sources of each directive, in lower case; of a directive that is there twice the first (CSP3 §2.2.1).
type cspPolicy map[string][]string

// policiesOf parses field values: several, or several in one after commas, are enforced all.
func policiesOf(values []string) (list []cspPolicy) {
	for text := range strings.SplitSeq(strings.Join(values, ","), ",") {
		p := cspPolicy{}
		for directive := range strings.SplitSeq(text, ";") {
			words := strings.Fields(strings.ToLower(directive))
			if len(words) == 0 {
				continue
			}
			if _, twice := p[words[0]]; !twice {
				p[words[0]] = words[1:]
			}
		}
		if len(p) > 0 {
			list = append(list, p)
		}
	}
	return list
}

// sources of a directive that falls back to default-src; nothing restricts anything.
func (p cspPolicy) sources(directive string) []string {
	for _, name := range [...]string{directive, "default-src"} {
		if s, ok := p[name]; ok {
			return s
		}
	}
	return []string{"*"}
}

// broad is a source that everybody can serve from.
func broad(source string) bool {
	switch source {
	case "*", "http:", "https:", "http://*", "https://*":
		return true
	}
	return false
}

// judgeCSP is the judgement of the best of the policies: a browser enforces every one.
func judgeCSP(values []string, secure bool) Finding {
	policies := policiesOf(values)
	if len(policies) == 0 {
		return Finding{Field: policyField, Points: -25, Says: "is missing or empty", Advice: "strict has one to begin with"}
	}
	best := policies[0].judge(secure)
	for _, p := range policies[1:] {
		if f := p.judge(secure); f.Points > best.Points {
			best = f
		}
	}
	return best
}

func (p cspPolicy) judge(secure bool) Finding {
	f := Finding{Field: policyField}
	say := func(points int, says, advice string) Finding {
		f.Points, f.Says, f.Advice = points, says, advice
		return f
	}
	scripts, objects := p.sources("script-src"), p.sources("object-src")
	switch {
	case inline(scripts) || slices.Contains(scripts, "data:") || openTo(scripts) || slices.ContainsFunc(objects, broad) || slices.Contains(objects, "data:"):
		return say(-20, "lets scripts or objects in from anywhere, or inline ones", "script-src with nonces, hashes or 'self' and without 'unsafe-inline', data: and https:; object-src 'none'")
	case secure && p.insecure("img-src", "media-src"):
		return say(-20, "lets content be loaded without TLS", "sources without http:")
	case slices.Contains(scripts, "'unsafe-eval'"):
		return say(-10, "lets scripts make code of text", "script-src without 'unsafe-eval'")
	case secure && p.insecure():
		return say(-10, "lets images or media be loaded without TLS", "img-src and media-src without http:")
	}
	styles := p.sources("style-src")
	forms := p["form-action"]
	restricted := len(forms) > 0 && !slices.ContainsFunc(forms, broad)
	switch {
	case inline(styles) || slices.Contains(styles, "data:") || slices.ContainsFunc(styles, broad):
		return say(0, "lets inline styles in, or those of anybody", "style-src with nonces, hashes or 'self'")
	case slices.Equal(p["default-src"], []string{"'none'"}) && restricted:
		return say(10, "allows nothing that it does not name", "")
	}
	return say(5, "allows no inline scripts and no eval", "")
}

// inline reports 'unsafe-inline' that counts: beside a nonce or a hash it is for old browsers only (CSP3 §6.7.3.2).
func inline(sources []string) bool {
	return slices.Contains(sources, "'unsafe-inline'") && !slices.ContainsFunc(sources, func(s string) bool {
		return strings.HasPrefix(s, "'nonce-") || strings.HasPrefix(s, "'sha256-") || strings.HasPrefix(s, "'sha384-") || strings.HasPrefix(s, "'sha512-")
	})
}

// openTo reports scripts of anybody; 'strict-dynamic' makes hosts and schemes void.
func openTo(scripts []string) bool {
	return !slices.Contains(scripts, "'strict-dynamic'") && slices.ContainsFunc(scripts, broad)
}

// insecure reports a source without TLS in a directive other than those.
func (p cspPolicy) insecure(but ...string) bool {
	for name, sources := range p {
		if slices.Contains(but, name) {
			continue
		}
		if slices.ContainsFunc(sources, func(s string) bool { return s == "http:" || strings.HasPrefix(s, "http://") }) {
			return true
		}
	}
	return false
}
