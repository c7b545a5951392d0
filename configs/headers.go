package configs

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Headers is what is done to the fields of final responses, weir's own errors included. Routes and listeners name it in headers, where basic, strict and
// off name a preset alone unless a table has that name.
type Headers struct {
	Name string `toml:"-"` // from the table's name; same letters as a service's

	// Fields to begin with. basic: X-Content-Type-Options, Referrer-Policy and, over TLS, Strict-Transport-Security, each only where the upstream
	// has none of its own. strict: besides these X-Frame-Options, Permissions-Policy, Content-Security-Policy and
	// Cross-Origin-Opener-Policy, all in place of the upstream's. off: none.
	Preset string `toml:"preset" default:"basic" enum:"strict|basic|off"`
	// Content-Security-Policy, in place of the preset's and the upstream's. 'nonce-{nonce}' in it is a nonce of its own for every answer, which the
	// upstream is told as X-CSP-Nonce for its scripts and styles; pages with one must not be cached.
	ContentSecurityPolicy string `toml:"content_security_policy"`
	// Content-Security-Policy-Report-Only: a policy that browsers tell of where it is broken, and do not enforce. Nonces as above.
	ContentSecurityPolicyReportOnly string `toml:"content_security_policy_report_only"`
	// Has browsers tell weir what these policies kept out, or would: true, for "/.well-known/csp-reports/NAME", or a path that no other table has. What they
	// POST there, on every host with a route of this table, is counted (weir_csp_reports_total), logged once for each kind, and listed by GET /v1/csp-reports.
	// At most 64 KiB each, and of one client 60 at once, then one a second.
	CSPReport ReportPath `toml:"csp_report"`
	// Fields to write, as { "Name" = "value" }, in place of the preset's and the upstream's of the same name.
	Set FieldSet `toml:"set"`
	// Names of fields to take out of the upstream's response and out of the preset.
	Remove []string `toml:"remove"`
}

// FieldSet is response fields, sorted by name.
type FieldSet []ResponseField

// ResponseField is one response field.
type ResponseField struct{ Name, Value string }

// String gives the fields as a table of the file.
func (s FieldSet) String() string {
	parts := make([]string, len(s))
	for i, f := range s {
		parts[i] = quoteTOML(f.Name) + " = " + quoteTOML(f.Value)
	}
	return "{ " + strings.Join(parts, ", ") + " }"
}

// fieldSet binds a table of names and values.
func (b binder) fieldSet(v reflect.Value, raw any, path string) {
	table, ok := raw.(map[string]any)
	if !ok {
		b.mismatch(path, `a table, as { "Name" = "value" }`, raw)
		return
	}
	set := FieldSet{}
	for name, value := range table {
		inner := joinKey(path, name)
		if b.bad(inner) {
			continue
		}
		text, ok := value.(string)
		if !ok {
			b.mismatch(inner, "a string", value)
			continue
		}
		set = append(set, ResponseField{name, text})
	}
	slices.SortFunc(set, func(a, b ResponseField) int { return strings.Compare(a.Name, b.Name) })
	v.Set(reflect.ValueOf(set))
}

// presets are what headers can name without a table.
func presets() []string { return []string{"strict", "basic", "off"} }

// headers checks the tables; routes and listeners are checked with what names them.
func (c checker) headers() {
	for i := range c.cfg.Headers {
		h := &c.cfg.Headers[i]
		path := joinKey("headers", h.Name)
		if !isLabel(h.Name) {
			c.key(path, "headers name %q: %s", h.Name, labelRule)
		}
		at := joinKey(path, "content_security_policy")
		c.contentPolicy(at, h.ContentSecurityPolicy)
		c.contentPolicy(joinKey(path, "content_security_policy_report_only"), h.ContentSecurityPolicyReportOnly)
		c.fieldsSet(h, joinKey(path, "set"))
		c.fieldsRemoved(h, joinKey(path, "remove"))
	}
	c.reportPaths()
}

// contentPolicy checks a Content-Security-Policy of either kind.
func (c checker) contentPolicy(at, policy string) {
	if wrong := fieldValue(policy); wrong != "" && c.pos.has(at) && !c.bad(at) {
		c.value(at, "%s %s %s", lastKey(at), c.quote(at, policy), wrong)
	}
	if nonceWrong(policy) && !c.bad(at) {
		c.value(at, "%s %s: a nonce is written 'nonce-{nonce}'", lastKey(at), c.quote(at, policy))
	}
}

func (c checker) fieldsSet(h *Headers, path string) {
	seen := map[string]bool{}
	for _, f := range h.Set {
		at, low := joinKey(path, f.Name), strings.ToLower(f.Name)
		if wrong := fieldName(f.Name); wrong != "" {
			c.key(at, "field %q %s", f.Name, wrong)
		} else if seen[low] {
			c.key(at, "field %q is there twice: letter case makes no other field", f.Name)
		} else if low == "content-security-policy" && h.ContentSecurityPolicy != "" {
			c.key(at, "Content-Security-Policy is stated twice: here and as content_security_policy")
		} else if low == "content-security-policy-report-only" && h.ContentSecurityPolicyReportOnly != "" {
			c.key(at, "Content-Security-Policy-Report-Only is stated twice: here and as content_security_policy_report_only")
		} else if low == "reporting-endpoints" && h.CSPReport != "" {
			c.key(at, "Reporting-Endpoints is stated twice: here and by csp_report")
		}
		seen[low] = true
		if wrong := fieldValue(f.Value); wrong != "" && !c.bad(at) {
			c.value(at, "%s %s %s", f.Name, c.quote(at, f.Value), wrong)
		} else if strings.Contains(f.Value, "{nonce}") && !c.bad(at) {
			c.value(at, "%s: {nonce} is for content_security_policy alone", f.Name)
		}
	}
}

func (c checker) fieldsRemoved(h *Headers, path string) {
	for i, name := range h.Remove {
		at := joinIndex(path, i)
		if c.bad(at) {
			continue
		}
		if wrong := fieldName(name); wrong != "" {
			c.value(at, "remove %s %s", c.quote(at, name), wrong)
		} else if slices.ContainsFunc(h.Set, func(f ResponseField) bool { return strings.EqualFold(f.Name, name) }) ||
			h.ContentSecurityPolicy != "" && strings.EqualFold(name, "Content-Security-Policy") ||
			h.ContentSecurityPolicyReportOnly != "" && strings.EqualFold(name, "Content-Security-Policy-Report-Only") ||
			h.CSPReport != "" && strings.EqualFold(name, "Reporting-Endpoints") {
			c.value(at, "remove %s: the same table sets it", c.quote(at, name))
		}
	}
}

// nonceWrong reports a mark that would not become a nonce, as it would by a policy that browsers then ignore in part.
func nonceWrong(policy string) bool {
	return strings.Count(policy, "{nonce}") != strings.Count(policy, "'nonce-{nonce}'")
}

// headersNamed checks what a route or listener names.
func (c checker) headersNamed(path, name string) {
	if c.bad(path) || !c.pos.has(path) || slices.Contains(presets(), name) || c.bad("headers") && len(c.cfg.Headers) == 0 {
		return
	}
	known := presets()
	for i := range c.cfg.Headers {
		known = append(known, c.cfg.Headers[i].Name)
	}
	if !slices.Contains(known, name) {
		c.value(path, "headers %s does not exist: there is no [headers.%s]%s", c.quote(path, name), tableName(name, c.raw[path]), didYouMean(name, known))
	}
}

// fieldName says what keeps a name from being set or removed: those that frame a message or belong to one connection (RFC 9110 §7.6.1) would break it, and
// the request id is what log and client have in common.
func fieldName(name string) string {
	switch strings.ToLower(name) {
	case "connection", "keep-alive", "proxy-connection", "proxy-authenticate", "te", "transfer-encoding", "upgrade", "trailer", "content-length", "x-request-id":
		return "is weir's own to write"
	}
	if !isToken(name) {
		return "is no field name"
	}
	return ""
}

// maxField bounds a value: heads above 8 KiB meet clients that refuse them.
const maxField = 4096

// fieldValue says what keeps text from being a field's value: visible ASCII, with spaces inside.
func fieldValue(text string) string {
	switch {
	case text == "":
		return "is empty"
	case len(text) > maxField:
		return fmt.Sprintf("is longer than %d bytes", maxField)
	case text != strings.TrimSpace(text) || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }):
		return "is no field value: visible ASCII and spaces, none at the ends, on one line"
	}
	return ""
}
