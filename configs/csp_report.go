package configs

import (
	"errors"
	"slices"
	"strings"
)

// ReportPath is where browsers send reports on a Content-Security-Policy; "" is nowhere.
type ReportPath string

// reportsHere is what true stands for until the table's name is known.
const reportsHere ReportPath = "/.well-known/csp-reports/"

func (p *ReportPath) parseBool(on bool) {
	if *p = ""; on {
		*p = reportsHere
	}
}

func (p *ReportPath) parseText(text string) error {
	// It is written into fields and directives as it is, where a comma, a semicolon or a quote would end it.
	strange := func(r rune) bool { return r >= 0x80 || !isAlnum(byte(r)) && !strings.ContainsRune("/-._~", r) }
	if !strings.HasPrefix(text, "/") || text == "/" || strings.ContainsFunc(text, strange) || strings.Contains(text, "//") || slices.ContainsFunc(strings.Split(text, "/"), func(s string) bool { return s == "." || s == ".." }) {
		return errors.New(`is no path for reports: write true, or a path of letters, digits and -._~, as "/csp-reports"`)
	}
	*p = ReportPath(text)
	return nil
}

// nameReportPaths gives each csp_report = true its path.
func nameReportPaths(tables []Headers) {
	for i := range tables {
		if h := &tables[i]; h.CSPReport == reportsHere {
			h.CSPReport += ReportPath(h.Name)
		}
	}
}

// reportPaths checks that each table with a collector has something to report, and a path of its own.
func (c checker) reportPaths() {
	taken := map[ReportPath]string{}
	for i := range c.cfg.Headers {
		h := &c.cfg.Headers[i]
		at := joinKey(joinKey("headers", h.Name), "csp_report")
		if h.CSPReport == "" || c.bad(at) {
			continue
		}
		policies := h.contentPolicies()
		if len(policies) == 0 {
			c.value(at, "csp_report needs a policy to report on: add content_security_policy or content_security_policy_report_only")
		}
		for _, p := range policies {
			if hasDirective(p, "report-uri") || hasDirective(p, "report-to") {
				c.value(at, "csp_report: a policy of the table has report-uri or report-to of its own")
			}
		}
		if other, twice := taken[h.CSPReport]; twice {
			c.value(at, "csp_report: headers %q has this path too", other)
		}
		taken[h.CSPReport] = h.Name
		for j := range c.cfg.Routes {
			if rt := &c.cfg.Routes[j]; rt.Path.Kind == PathExact && rt.Path.Text == string(h.CSPReport) {
				c.value(at, "csp_report: the route on line %d is for this path", c.pos.key(joinIndex("route", j)).line)
			}
		}
	}
}

// contentPolicies are the policies that the table writes, but for the preset's, which is "".
func (h *Headers) contentPolicies() (list []string) {
	removed := func(name string) bool {
		return slices.ContainsFunc(h.Remove, func(r string) bool { return strings.EqualFold(r, name) })
	}
	said := h.ContentSecurityPolicy != ""
	for _, p := range []string{h.ContentSecurityPolicy, h.ContentSecurityPolicyReportOnly} {
		if p != "" {
			list = append(list, p)
		}
	}
	for _, f := range h.Set {
		enforced := strings.EqualFold(f.Name, "Content-Security-Policy")
		if enforced || strings.EqualFold(f.Name, "Content-Security-Policy-Report-Only") {
			list = append(list, f.Value)
			said = said || enforced
		}
	}
	if h.Preset == "strict" && !said && !removed("Content-Security-Policy") {
		list = append(list, "")
	}
	return list
}

func hasDirective(policy, name string) bool {
	for d := range strings.FieldsFuncSeq(policy, func(r rune) bool { return r == ';' || r == ',' }) {
		if words := strings.Fields(d); len(words) > 0 && strings.EqualFold(words[0], name) {
			return true
		}
	}
	return false
}
