package auth_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/valor-ivx/weir/proxy/auth"
	edgetls "github.com/valor-ivx/weir/tls"
)

// shown is a request on a connection whose handshake has verified the certificate.
func shown(leaf *x509.Certificate, fingerprint string) *auth.Request {
	r := asked()
	leaf.NotAfter = r.Now.Add(time.Hour)
	r.Client = &edgetls.Identity{Leaf: leaf, Subject: leaf.Subject.String(), Fingerprint: fingerprint}
	return r
}

func TestMTLS(t *testing.T) {
	spiffe := &url.URL{Scheme: "spiffe", Host: "example.com", Path: "/ns/prod/sa/web"}
	web := &x509.Certificate{Subject: pkix.Name{CommonName: "web", Organization: []string{"Acme"}}, DNSNames: []string{"Web.Clients.Example.com"},
		EmailAddresses: []string{"Ann@Example.com"}, URIs: []*url.URL{spiffe}}
	for name, c := range map[string]struct {
		options auth.MTLSOptions
		leaf    *x509.Certificate
		user    string
		in      bool
	}{
		"no rule":               {auth.MTLSOptions{}, web, "web", true},
		"subject":               {auth.MTLSOptions{Subject: []string{"CN=*,O=Acme"}}, web, "web", true},
		"another subject":       {auth.MTLSOptions{Subject: []string{"CN=*,O=Other", "CN=web"}}, web, "web", false},
		"dns":                   {auth.MTLSOptions{DNS: []string{"*.CLIENTS.example.com"}}, web, "web", true},
		"another dns":           {auth.MTLSOptions{DNS: []string{"*.example.com"}}, web, "web", false},
		"uri":                   {auth.MTLSOptions{URI: []string{"spiffe://example.com/ns/*/sa/web"}}, web, "web", true},
		"another uri":           {auth.MTLSOptions{URI: []string{"spiffe://example.com/*"}}, web, "web", false},
		"email":                 {auth.MTLSOptions{Email: []string{"*@example.com"}}, web, "web", true},
		"one of two lists":      {auth.MTLSOptions{DNS: []string{"no"}, Email: []string{"ann@example.com"}}, web, "web", true},
		"name in the wrong":     {auth.MTLSOptions{DNS: []string{"ann@example.com"}}, web, "web", false},
		"common name as a host": {auth.MTLSOptions{DNS: []string{"a.test"}}, &x509.Certificate{Subject: pkix.Name{CommonName: "a.test"}}, "a.test", false},
		"name by dns":           {auth.MTLSOptions{}, &x509.Certificate{DNSNames: []string{"a.test"}}, "a.test", true},
		"name with a line end":  {auth.MTLSOptions{}, &x509.Certificate{Subject: pkix.Name{CommonName: "a\r\nX-Evil: 1"}, URIs: []*url.URL{spiffe}}, spiffe.String(), true},
		"name of nothing":       {auth.MTLSOptions{}, &x509.Certificate{}, "f", true},
		"name too long":         {auth.MTLSOptions{}, &x509.Certificate{Subject: pkix.Name{CommonName: strings.Repeat("a", 5000)}}, "f", true},
	} {
		m, err := auth.NewMTLS(c.options)
		if err != nil {
			t.Fatal(err)
		}
		r := shown(c.leaf, "f")
		for range 2 { // judged, then remembered
			v := m.Authenticate(r)
			if string(v.User) != c.user || (v.Denial == nil) != c.in {
				t.Errorf("%s: %q, %v", name, v.User, v.Denial)
				continue
			}
			if want := "X-Forwarded-User: " + c.user + "\r\n"; c.in && string(v.Fields) != want || !c.in && (v.Denial.Why != auth.CertificateRefused || v.Fields != nil) {
				t.Errorf("%s: %q, %v", name, v.Fields, v.Denial)
			}
		}
		r.Now = r.Now.Add(2 * time.Hour)
		if v := m.Authenticate(r); v.Denial == nil || c.in && v.Denial.Why != auth.CertificateExpired {
			t.Errorf("%s: past its end %v", name, v.Denial)
		}
		if v := m.Authenticate(asked()); v.Denial == nil || v.Denial.Why != auth.CertificateMissing {
			t.Errorf("%s: without a certificate %v", name, v.Denial)
		}
	}
}
