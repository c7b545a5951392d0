package edgetls_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/letsencrypt/challtestsrv"
	"pgregory.net/rapid"

	edgetls "github.com/valor-ivx/weir/tls"
	"github.com/valor-ivx/weir/tls/pebbletest"
)

// TestPreflight: what cannot end well is told in words before the CA hears of it.
func TestPreflight(t *testing.T) {
	for _, c := range []struct {
		name, host, want string
		arrange          func(*pebbletest.CA, *edgetls.ACMEOptions)
	}{
		{"no address", "a.example.test", "a.example.test has no address in DNS", func(p *pebbletest.CA, _ *edgetls.ACMEOptions) { p.DNS.SetDefaultDNSIPv4("") }},
		{"CAA of a parent", "a.b.example.test", "the CAA record of example.test lets only other.test issue", func(p *pebbletest.CA, _ *edgetls.ACMEOptions) {
			p.DNS.AddDNSCAARecord("example.test.", []challtestsrv.CAAPolicy{{Tag: "issue", Value: "other.test; account=1"}})
		}},
		{"CAA nobody", "a.example.test", "lets only nobody issue", func(p *pebbletest.CA, _ *edgetls.ACMEOptions) {
			p.DNS.AddDNSCAARecord("a.example.test.", []challtestsrv.CAAPolicy{{Tag: "issue", Value: ";"}})
		}},
		{"profile", "a.example.test", `has no profile "weekly"`, func(_ *pebbletest.CA, o *edgetls.ACMEOptions) { o.CAs[0].Profile = "weekly" }},
		{"external account", "a.example.test", "to accounts that are known to it only", func(p *pebbletest.CA, _ *edgetls.ACMEOptions) {
			p.Instead(func(w http.ResponseWriter, _ *http.Request) {
				_, _ = w.Write([]byte(`{"newOrder":"https://127.0.0.1/","meta":{"externalAccountRequired":true}}`))
			})
		}},
		{"not a directory", "a.example.test", "is no ACME directory", func(p *pebbletest.CA, _ *edgetls.ACMEOptions) {
			p.Instead(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) })
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t)
			ca := s.pebble()
			o := s.options(ca)
			c.arrange(ca, &o)
			s.start(o, c.host)
			s.await("failure", s.hasFailed(c.host))
			if i := s.info(c.host); !strings.Contains(i.Error, c.want) {
				t.Errorf("tells %q, want %q", i.Error, c.want)
			}
			if ca.Orders.Load() != 0 {
				t.Error("the CA was asked for an order")
			}
		})
	}
}

// TestPreflightLetsPass: a CAA record that names the CA, one without "issue", and a DNS server that fails (the CA decides then).
func TestPreflightLetsPass(t *testing.T) {
	s := newSite(t)
	ca := s.pebble()
	ca.DNS.AddDNSCAARecord("named.example.test.", []challtestsrv.CAAPolicy{{Tag: "issue", Value: "other.test"}, {Tag: "issue", Value: "Pebble.Test"}})
	ca.DNS.AddDNSCAARecord("mail.example.test.", []challtestsrv.CAAPolicy{{Tag: "iodef", Value: "mailto:x@example.test"}})
	ca.DNS.AddDNSServFailRecord("broken.example.test.")
	s.start(s.options(ca), "named.example.test", "mail.example.test", "broken.example.test")
	s.await("certificates", s.isValid("named.example.test", "mail.example.test"))
	s.await("the CA's own no", s.hasFailed("broken.example.test"))
	if i := s.info("broken.example.test"); !strings.Contains(i.Error, "Could not resolve") {
		t.Errorf("tells %q", i.Error)
	}
}

// FuzzDirectory: whatever a server answers, an attempt ends in words.
func FuzzDirectory(f *testing.F) {
	f.Add([]byte(`{"newOrder":"https://ca.test/","meta":{"caaIdentities":["ca.test"],"profiles":{"p":"x"}}}`))
	f.Add([]byte(`{"newOrder":1}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := edgetls.ReadDirectory(data)
		if err == nil && d.NewOrder == "" {
			t.Errorf("%q is taken for a directory", data)
		}
	})
}

// TestAnnounced: any time that is told is found, and nothing else is taken for one.
func TestAnnounced(t *testing.T) {
	for detail, want := range map[string]string{
		"too many, retry after 2026-11-23 10:00:00 UTC: see x": "2026-11-23T10:00:00Z",
		"too many, retry after 2026-11-23T10:00:00Z":           "2026-11-23T10:00:00Z",
		"too many, retry after a while, or so it is thought":   "0001-01-01T00:00:00Z",
		"retry after ":                      "0001-01-01T00:00:00Z",
		"retry after 2026-11-23T10:00:0":    "0001-01-01T00:00:00Z",
		"come back 2026-11-23 10:00:00 UTC": "0001-01-01T00:00:00Z",
	} {
		got, _ := json.Marshal(edgetls.Announced(detail))
		if string(got) != `"`+want+`"` {
			t.Errorf("%q: %s, want %s", detail, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		edgetls.Announced("retry after " + rapid.String().Draw(t, "detail")) // must not panic
	})
}
