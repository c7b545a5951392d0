package csp

import (
	"encoding/json"
	"errors"
	"mime"
	"net/url"
	"strings"
)

// MaxBody bounds what is read of one POST, bytes. A browser's report is about one of them; batches are of what a page did within seconds.
const MaxBody = 64 << 10

// maxReports bounds the reports of one body; what follows is dropped. Chromium sends at most as many as a page made since the last batch.
const maxReports = 64

// Errors of Parse. Their texts reach the client.
var (
	ErrType = errors.New("reports are application/csp-report or application/reports+json")
	ErrBody = errors.New("the body is no report")
)

// Report is one violation, as far as it is kept.
type Report struct {
	Directive string `json:"directive"` // of Directives
	Blocked   string `json:"blocked"`   // URL without query and fragment, or a word as inline and eval
	Document  string `json:"document"`  // URL without query and fragment
	Source    string `json:"source,omitempty"`
	Line      int    `json:"line,omitempty"`
	Enforced  bool   `json:"enforced"` // false: of a policy that only reports
}

// levelTwo is a report as report-uri sends it (CSP3 §5.5).
type levelTwo struct {
	Report *struct {
		Document   string `json:"document-uri"`
		Blocked    string `json:"blocked-uri"`
		Effective  string `json:"effective-directive"`
		Violated   string `json:"violated-directive"` // of older browsers, with its sources
		Disposal   string `json:"disposition"`
		SourceFile string `json:"source-file"`
		Line       int    `json:"line-number"`
	} `json:"csp-report"`
}

// levelThree is one of the reports of the Reporting API (CSP3 §5.2).
type levelThree struct {
	Type string `json:"type"`
	Body struct {
		Document   string `json:"documentURL"`
		Blocked    string `json:"blockedURL"`
		Effective  string `json:"effectiveDirective"`
		Disposal   string `json:"disposition"`
		SourceFile string `json:"sourceFile"`
		Line       int    `json:"lineNumber"`
	} `json:"body"`
}

// Parse reads a body of that Content-Type. Reports of other kinds (deprecations, crashes) are passed over.
func Parse(contentType string, body []byte) ([]Report, error) {
	kind, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return nil, ErrType
	}
	switch kind {
	case "application/csp-report":
		var one levelTwo
		if json.Unmarshal(body, &one) != nil || one.Report == nil {
			return nil, ErrBody
		}
		r := one.Report
		if r.Effective == "" {
			r.Effective = r.Violated
		}
		return []Report{{directive(r.Effective), where(r.Blocked), where(r.Document), where(r.SourceFile), max(0, r.Line), r.Disposal != "report"}}, nil
	case "application/reports+json":
		var batch []levelThree
		if json.Unmarshal(body, &batch) != nil {
			return nil, ErrBody
		}
		var list []Report
		for _, r := range batch {
			if r.Type == "csp-violation" && len(list) < maxReports {
				b := r.Body
				list = append(list, Report{directive(b.Effective), where(b.Blocked), where(b.Document), where(b.SourceFile), max(0, b.Line), b.Disposal != "report"})
			}
		}
		return list, nil
	}
	return nil, ErrType
}

// maxWhere bounds what is kept of a URL, bytes.
const maxWhere = 200

// where is a URL without what may be secret in it: userinfo, query and fragment; of one without a host (data:, blob:, chrome-extension) the scheme, of a word the word.
func where(text string) string {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return "unreadable"
	case u.Host != "":
		text = u.Scheme + "://" + u.Host + u.EscapedPath()
	case u.Scheme != "":
		text = u.Scheme
	default:
		text = u.EscapedPath()
	}
	return text[:min(len(text), maxWhere)] // escaped, so ASCII but for the host's
}

// Other is the directive of reports that name none that there is.
const Other = "other"

// Directives are what a report can be of: those of CSP3 and its companions, and Other.
func Directives() []string {
	return []string{
		"base-uri", "child-src", "connect-src", "default-src", "fenced-frame-src", "font-src", "form-action", "frame-ancestors", "frame-src", "img-src", "manifest-src",
		"media-src", "object-src", "prefetch-src", "require-trusted-types-for", "sandbox", "script-src", "script-src-attr", "script-src-elem", "style-src", "style-src-attr",
		"style-src-elem", "trusted-types", "upgrade-insecure-requests", "worker-src", Other,
	}
}

// directive is the name at the start of what a report says was violated.
func directive(text string) string {
	name, _, _ := strings.Cut(strings.TrimSpace(text), " ")
	for _, d := range Directives() {
		if strings.EqualFold(d, name) {
			return d
		}
	}
	return Other
}
