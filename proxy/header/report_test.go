package header_test

import (
	"slices"
	"testing"

	"github.com/valor-ivx/weir/proxy/header"
	"github.com/valor-ivx/weir/proxy/message"
)

// TestReports: each policy that is written says where to report to, whichever way it came to be, and a 304 loses only what has the nonce.
func TestReports(t *testing.T) {
	const says, endpoints = "; report-uri /r; report-to csp", `Reporting-Endpoints: csp="/r"`
	for name, c := range map[string]struct {
		options    header.Options
		want       []string
		unmodified []string // nil: not nonced
	}{
		"both": {
			header.Options{ContentSecurityPolicy: "default-src 'self'", ReportOnly: "script-src 'nonce-{nonce}'"},
			[]string{"Content-Security-Policy: default-src 'self'" + says, "Content-Security-Policy-Report-Only: script-src 'nonce-" + header.NonceSlot + "'" + says, endpoints},
			[]string{"Content-Security-Policy: default-src 'self'" + says, endpoints},
		},
		"only one with a nonce": {
			header.Options{ReportOnly: "script-src 'nonce-{nonce}'"},
			[]string{"Content-Security-Policy-Report-Only: script-src 'nonce-" + header.NonceSlot + "'" + says, endpoints}, []string{},
		},
		"the one that is enforced has it": {
			header.Options{ContentSecurityPolicy: "script-src 'nonce-{nonce}'", ReportOnly: "img-src 'self'"},
			[]string{"Content-Security-Policy: script-src 'nonce-" + header.NonceSlot + "'" + says, "Content-Security-Policy-Report-Only: img-src 'self'" + says, endpoints},
			[]string{"Content-Security-Policy-Report-Only: img-src 'self'" + says, endpoints},
		},
		"in set, two in one": {
			header.Options{Set: []header.Field{{"content-security-policy", "img-src 'self', script-src 'self'"}}},
			[]string{"content-security-policy: img-src 'self'" + says + ", script-src 'self'" + says, endpoints}, nil,
		},
		"none": {header.Options{Set: []header.Field{{"A", "b"}}}, []string{"A: b"}, nil},
	} {
		c.options.Reports = "/r"
		p := header.New(c.options)
		theirs := []string{"Reporting-Endpoints: x=\"/theirs\"", "Content-Security-Policy-Report-Only: theirs"}
		if name == "none" {
			theirs = nil
		}
		h := fields(theirs...)
		got := sent(h, p.Forward(nil, h, false))
		if len(theirs) > 0 && c.options.ReportOnly == "" { // a policy that the table does not write is the upstream's own affair
			got = slices.DeleteFunc(got, func(line string) bool { return line == theirs[1] })
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s:\n got %q\nwant %q", name, got, c.want)
		}
		if p.Nonced() != (c.unmodified != nil) {
			t.Errorf("%s: nonced is %t", name, p.Nonced())
		}
		if c.unmodified == nil {
			continue
		}
		h = &message.Header{}
		if got := sent(h, p.Unmodified().Forward(nil, h, false)); !slices.Equal(got, c.unmodified) {
			t.Errorf("%s, 304:\n got %q\nwant %q", name, got, c.unmodified)
		}
	}
}
