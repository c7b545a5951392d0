package edgetls_test

import (
	"encoding/json"
	"encoding/xml"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-acme/lego/v5/challenge/dns01"
	"github.com/letsencrypt/challtestsrv"

	edgetls "github.com/valor-ivx/weir/tls"
	"github.com/valor-ivx/weir/tls/pebbletest"
)

// TestDNS01: a wildcard and its domain, which share one challenge name, are obtained through every provider; the records
// are gone afterwards.
func TestDNS01(t *testing.T) {
	const challenge = "_acme-challenge.example.test."
	for provider, settings := range map[string]func(*testing.T, *feeder, *pebbletest.CA) edgetls.DNSSettings{
		edgetls.ProviderExec: func(_ *testing.T, f *feeder, _ *pebbletest.CA) edgetls.DNSSettings {
			return edgetls.DNSSettings{Program: f.script()}
		},
		edgetls.ProviderHTTPReq: func(_ *testing.T, f *feeder, _ *pebbletest.CA) edgetls.DNSSettings {
			return edgetls.DNSSettings{Endpoint: f.url + "/hook/", Username: "u", Password: "p"}
		},
		edgetls.ProviderACMEDNS: func(_ *testing.T, f *feeder, ca *pebbletest.CA) edgetls.DNSSettings {
			ca.DNS.AddDNSCNAMERecord(challenge, "weir.acme-dns.test.")
			return edgetls.DNSSettings{Endpoint: f.url, Username: "u", Password: "p", Subdomain: "weir"}
		},
		edgetls.ProviderRFC2136: func(t *testing.T, f *feeder, _ *pebbletest.CA) edgetls.DNSSettings {
			n := newNameServer(t, "example.test.", "127.0.0.1", "")
			n.onUpdate = func(name, value string, insert bool) {
				if insert {
					f.publish(name, value)
				} else {
					f.withdraw(name, value)
				}
			}
			return edgetls.DNSSettings{Nameserver: n.address, TSIGKey: "Weir-Key", TSIGSecret: tsigSecret}
		},
		edgetls.ProviderCloudflare: func(t *testing.T, f *feeder, ca *pebbletest.CA) edgetls.DNSSettings {
			return edgetls.DNSSettings{Token: "t", Endpoint: fakeCloudflare(t, f, ca)}
		},
		edgetls.ProviderRoute53: func(t *testing.T, f *feeder, _ *pebbletest.CA) edgetls.DNSSettings {
			t.Setenv("AWS_ENDPOINT_URL_ROUTE_53", fakeRoute53(t, f))
			return edgetls.DNSSettings{AccessKeyID: "a", SecretAccessKey: "s", Region: "us-east-1", HostedZoneID: "Z"}
		},
	} {
		t.Run(provider, func(t *testing.T) {
			s := newSite(t)
			ca := s.pebble()
			ca.DNS.SetDefaultDNSIPv4("") // a record is all that there is of a name
			f := newFeeder(t, ca)
			o := s.options(ca)
			o.HTTPAddress, o.TLSAddress = "", ""
			o.DNS = &edgetls.DNSOptions{Provider: provider, Settings: settings(t, f, ca), Resolvers: []string{ca.Resolver}, Timeout: 60 * time.Second}
			s.start(o, "*.example.test", "example.test")
			s.await("certificates", s.isValid("*.example.test", "example.test"))
			for name, want := range map[string]string{"a.example.test": "*.example.test", "B.example.test": "*.example.test", "example.test": "example.test"} {
				if leaf := s.mustServe(name, ca.Issued); len(leaf.DNSNames) != 1 || leaf.DNSNames[0] != want {
					t.Errorf("%s gets a certificate for %q", name, leaf.DNSNames)
				}
			}
			if _, err := s.served("a.b.example.test", ca.Issued); err == nil {
				t.Error("a wildcard is served for two labels")
			}
			if f.most > 1 {
				t.Errorf("%d challenges of one name at once", f.most)
			}
			if left := f.left(); len(left) > 0 && provider != edgetls.ProviderACMEDNS {
				t.Errorf("left in DNS: %q", left)
			}
		})
	}
}

// fakeCloudflare is the part of Cloudflare's API that is used, for the zone example.test; lego finds the zone by DNS.
func fakeCloudflare(t *testing.T, f *feeder, _ *pebbletest.CA) string {
	t.Helper()
	zone := newNameServer(t, "example.test.", "127.0.0.1", "")
	was := dns01.DefaultClient()
	dns01.SetDefaultClient(dns01.NewClient(&dns01.Options{RecursiveNameservers: []string{zone.address}, Timeout: 60 * time.Second}))
	t.Cleanup(func() { dns01.SetDefaultClient(was) })
	var mu sync.Mutex
	records := map[string][2]string{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if r.Header.Get("Authorization") != "Bearer t" {
			http.Error(w, `{"success":false}`, http.StatusForbidden)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		switch {
		case r.Method == http.MethodGet && r.URL.Path == "/zones" && r.URL.Query().Get("name") == "example.test":
			_, _ = io.WriteString(w, `{"success":true,"result":[{"id":"z","name":"example.test"}]}`)
		case r.Method == http.MethodPost && r.URL.Path == "/zones/z/dns_records":
			var m struct{ Type, Name, Content string }
			if err := json.NewDecoder(r.Body).Decode(&m); err != nil || m.Type != "TXT" {
				t.Errorf("%+v %v", m, err)
			}
			id := m.Name + "-" + m.Content[1:5]
			records[id] = [2]string{m.Name + ".", strings.Trim(m.Content, `"`)}
			f.publish(records[id][0], records[id][1])
			_ = json.NewEncoder(w).Encode(map[string]any{"success": true, "result": map[string]string{"id": id}})
		case r.Method == http.MethodDelete:
			record := records[strings.TrimPrefix(r.URL.Path, "/zones/z/dns_records/")]
			f.withdraw(record[0], record[1])
			_, _ = io.WriteString(w, `{"success":true,"result":{"id":"x"}}`)
		default:
			t.Errorf("%s %s", r.Method, r.URL)
			http.Error(w, `{"success":false}`, http.StatusNotFound)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// fakeRoute53 is the part of Route 53's API that is used, for the hosted zone Z.
func fakeRoute53(t *testing.T, f *feeder) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/xml")
		switch {
		case !strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 Credential=a/"):
			http.Error(w, "<x/>", http.StatusForbidden)
		case r.Method == http.MethodGet && r.URL.Path == "/2013-04-01/hostedzone/Z/rrset":
			name := r.URL.Query().Get("name")
			sets := ""
			f.mu.Lock()
			for _, v := range f.there[name] {
				sets += "<ResourceRecordSet><Name>" + name + "</Name><Type>TXT</Type><TTL>10</TTL><ResourceRecords><ResourceRecord><Value>&quot;" + v +
					"&quot;</Value></ResourceRecord></ResourceRecords></ResourceRecordSet>"
			}
			f.mu.Unlock()
			_, _ = io.WriteString(w, "<ListResourceRecordSetsResponse><ResourceRecordSets>"+sets+
				"</ResourceRecordSets><IsTruncated>false</IsTruncated><MaxItems>300</MaxItems></ListResourceRecordSetsResponse>")
		case r.Method == http.MethodPost && strings.TrimSuffix(r.URL.Path, "/") == "/2013-04-01/hostedzone/Z/rrset":
			var m struct {
				Action string `xml:"ChangeBatch>Changes>Change>Action"`
				Name   string `xml:"ChangeBatch>Changes>Change>ResourceRecordSet>Name"`
				Value  string `xml:"ChangeBatch>Changes>Change>ResourceRecordSet>ResourceRecords>ResourceRecord>Value"`
			}
			if err := xml.NewDecoder(r.Body).Decode(&m); err != nil {
				t.Error(err)
			}
			f.withdraw(m.Name, "")
			if m.Action == "UPSERT" {
				f.publish(m.Name, strings.Trim(m.Value, `"`))
			}
			_, _ = io.WriteString(w, "<ChangeResourceRecordSetsResponse><ChangeInfo><Id>/change/1</Id><Status>PENDING</Status>"+
				"<SubmittedAt>2026-11-23T01:36:41.958Z</SubmittedAt></ChangeInfo></ChangeResourceRecordSetsResponse>")
		default:
			t.Errorf("%s %s", r.Method, r.URL)
			http.Error(w, "<x/>", http.StatusNotFound)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// TestDNS01ForWildcardsOnly: where a listener can answer, dns-01 proves what nothing else can.
func TestDNS01ForWildcardsOnly(t *testing.T) {
	s := newSite(t)
	ca := s.pebble()
	f := newFeeder(t, ca)
	o := s.options(ca)
	o.DNS = &edgetls.DNSOptions{Provider: edgetls.ProviderHTTPReq, Resolvers: []string{ca.Resolver},
		Settings: edgetls.DNSSettings{Endpoint: f.url + "/hook", Username: "u", Password: "p"}}
	ca.DNS.AddDNSCAARecord("example.test.", []challtestsrv.CAAPolicy{{Tag: "issue", Value: "other.test"}, {Tag: "issuewild", Value: "pebble.test"}})
	s.start(o, "one.other.test", "*.example.test", "127.0.0.1", "two.example.test")
	s.await("certificates", s.isValid("one.other.test", "*.example.test", "127.0.0.1"))
	s.mustServe("a.example.test", ca.Issued)
	s.mustServe("one.other.test", ca.Issued)
	if f.published("_acme-challenge.example.test.") != 1 || len(f.ever) != 1 {
		t.Errorf("published %v", f.ever)
	}
	s.await("refusal by CAA", s.hasFailed("two.example.test"))
	if i := s.info("two.example.test"); !strings.Contains(i.Error, "lets only other.test issue") {
		t.Errorf("tells %q", i.Error)
	}
}

// TestDNS01Fails: what went wrong is told in words, the CA is not asked to validate, nothing is held against the host, and it works when it is put right.
func TestDNS01Fails(t *testing.T) {
	failing := filepath.Join(t.TempDir(), "failing")
	if err := os.WriteFile(failing, []byte("#!/bin/sh\necho the zone is locked >&2\nexit 3\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		arrange func(*feeder, *edgetls.DNSOptions)
		want    []string
	}{
		{"not propagated", func(f *feeder, _ *edgetls.DNSOptions) { f.deaf = true },
			[]string{"the record _acme-challenge.example.test. with ", " not everywhere within 3s: 127.0.0.1:", " has no such record"}},
		{"old value", func(f *feeder, _ *edgetls.DNSOptions) {
			f.deaf = true
			f.dns.AddDNSTXTRecord("_acme-challenge.example.test.", "old")
		}, []string{`has other values (["old"])`}},
		{"nobody answers", func(f *feeder, o *edgetls.DNSOptions) {
			f.dns.AddDNSServFailRecord("_acme-challenge.example.test.")
		}, []string{"has not answered (DNS server answers SERVFAIL)"}},
		{"hook refuses", func(f *feeder, _ *edgetls.DNSOptions) { f.refuses = true },
			[]string{"the record _acme-challenge.example.test. could not be published", "403 Forbidden", "not you"}},
		{"program fails", func(_ *feeder, o *edgetls.DNSOptions) {
			o.Provider, o.Settings.Program = edgetls.ProviderExec, failing
		}, []string{"exit status 3", "the zone is locked"}},
		{"wrong key", func(f *feeder, o *edgetls.DNSOptions) {
			n := newNameServer(f.t, "example.test.", "127.0.0.1", "")
			o.Provider, o.Settings = edgetls.ProviderRFC2136, edgetls.DNSSettings{Nameserver: n.address, TSIGKey: tsigName, TSIGSecret: "b3RoZXI="}
		}, []string{"update of zone example.test."}},
		{"no zone", func(f *feeder, o *edgetls.DNSOptions) {
			n := newNameServer(f.t, "elsewhere.test.", "127.0.0.1", "")
			o.Provider, o.Settings = edgetls.ProviderRFC2136, edgetls.DNSSettings{Nameserver: n.address}
		}, []string{"has no zone that _acme-challenge.example.test. is in"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t)
			ca := s.pebble()
			f := newFeeder(t, ca)
			o := s.options(ca)
			o.HTTPAddress, o.TLSAddress = "", ""
			o.Limits = &edgetls.Limits{Failures: edgetls.Rate{Count: 1, Per: time.Hour}}
			dns := edgetls.DNSOptions{Provider: edgetls.ProviderHTTPReq, Resolvers: []string{ca.Resolver}, Timeout: 3 * time.Second, // in which everybody has to answer; it ends with the third question
				Settings: edgetls.DNSSettings{Endpoint: f.url + "/hook", Username: "u", Password: "p"}}
			right := dns
			c.arrange(f, &dns)
			o.DNS = &dns
			s.start(o, "*.example.test")
			s.await("failure", s.hasFailed("*.example.test"))
			told := s.info("*.example.test").Error
			for _, want := range c.want {
				if !strings.Contains(told, want) {
					t.Errorf("tells %q, want %q", told, want)
				}
			}
			s.stop()
			f.set(func() { f.deaf, f.refuses = false, false })
			ca.DNS.DeleteDNSTXTRecord("_acme-challenge.example.test.")
			ca.DNS.DeleteDNSServFailRecord("_acme-challenge.example.test.")
			right.Timeout = 60 * time.Second
			o.DNS = &right
			s.start(o, "*.example.test")
			s.await("certificate", s.isValid("*.example.test"))
		})
	}
}

// TestAuthoritative: every server of the zone is waited for, found by NS records, and a failure names those that lag behind.
func TestAuthoritative(t *testing.T) {
	one := newNameServer(t, "example.test.", "127.0.0.1", "")
	two := newNameServer(t, "example.test.", "127.0.0.2", one.port)
	one.servers["ns1.example.test."], one.servers["ns2.example.test."] = "127.0.0.1", "127.0.0.2"
	const name = "_acme-challenge.example.test."
	await := func(timeout time.Duration) error {
		return edgetls.AwaitRecord(t.Context(), []string{one.address}, false, one.port, timeout, name, "v")
	}
	one.set(name, "w", "v")
	err := await(5 * time.Second) // in which both have to answer
	if err == nil || !strings.Contains(err.Error(), two.address+" has no such record") || strings.Contains(err.Error(), one.address) {
		t.Errorf("one of two has it: %v", err)
	}
	done := make(chan error, 1)
	go func() { done <- await(60 * time.Second) }()
	two.set(name, "v")
	if err := <-done; err != nil {
		t.Errorf("both have it: %v", err)
	}
	one.mu.Lock()
	clear(one.servers)
	one.mu.Unlock()
	if err := await(time.Second); err == nil || !strings.Contains(err.Error(), "no server that is responsible for it could be found") {
		t.Errorf("without NS records: %v", err)
	}
}

// TestProviderOptions: what could never work is refused before anything is asked.
func TestProviderOptions(t *testing.T) {
	for want, o := range map[string]edgetls.DNSOptions{
		"there is no such provider":                                       {Provider: "carrier-pigeon"},
		"a TSIG key needs its secret":                                     {Provider: edgetls.ProviderRFC2136, Settings: edgetls.DNSSettings{Nameserver: "192.0.2.1", TSIGKey: "k"}},
		"dns provider cloudflare: cloudflare: invalid credentials":        {Provider: edgetls.ProviderCloudflare},
		"dns provider route53: AccessKeyID and SecretAccessKey must be s": {Provider: edgetls.ProviderRoute53, Settings: edgetls.DNSSettings{AccessKeyID: "a"}},
	} {
		a, err := edgetls.NewACME(edgetls.ACMEOptions{Folder: t.TempDir(), DNS: &o}, edgetls.NewManager())
		if err == nil {
			a.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
