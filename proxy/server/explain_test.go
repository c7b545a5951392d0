package server_test

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/valor-ivx/weir/proxy/admin"
	"github.com/valor-ivx/weir/proxy/porttest"
)

// told is what explain says of a request, a step to a line.
func (r *running) told(q admin.ExplainRequest) string {
	r.t.Helper()
	body, err := json.Marshal(q)
	if err != nil {
		r.t.Fatalf("%v", err)
	}
	var e admin.Explanation
	if err := json.Unmarshal([]byte(r.call(http.StatusOK, "POST", "/v1/explain", string(body))), &e); err != nil {
		r.t.Fatalf("%v", err)
	}
	var b strings.Builder
	for _, s := range e.Steps {
		fmt.Fprintf(&b, "%s: %s (%s)\n", s.Phase, s.Decision, s.Reason)
	}
	return b.String() + "=> " + e.Outcome
}

// TestExplainTellsTheWayIn: listener, certificate and redirect are those that a client really meets, and what comes after is told to the last timeout.
func TestExplainTellsTheWayIn(t *testing.T) {
	dir := tempDir(t)
	ca, secure := newIssuer(t, dir, "ca"), porttest.Reserve(t)
	up := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(up.Close)
	r := run(t, dir, fmt.Sprintf("[admin]\naddress = \"unix://%s/admin.sock\"\nstate_dir = \"state\"\n[log]\noutput = \"log\"\n[client_ip]\ntrusted_proxies = [\"10.0.0.0/8\"]\n"+
		"[[listener]]\nname = \"plain\"\naddress = \"127.0.0.1:0\"\nredirect = \"https\"\n[[listener]]\nname = \"secure\"\naddress = %q\ntls = true\n"+
		"[[route]]\nname = \"all\"\nservice = \"api\"\ntimeout = \"90s\"\n[service.api]\nbalance = \"least_conn\"\nconnect_timeout = \"3s\"\nresponse_timeout = \"7s\"\nidle_timeout = \"11s\"\n"+
		"retry = { attempts = 3, budget = 0.1 }\n[service.api.group.blue]\ntargets = [%q]\n", dir, secure, up.Listener.Addr())+ca.server("a.test")+ca.server("*.b.test"))
	t.Cleanup(r.stop)
	_, port, _ := strings.Cut(secure, ":")
	for host, want := range map[string]string{"a.test": "certificate a.test (server name a.test: it is for a.test;", "x.b.test": "certificate *.b.test (server name x.b.test: it is for *.b.test;",
		"c.test": "certificate a.test (server name c.test: none has it, this is the one for names without"} {
		said := r.told(admin.ExplainRequest{URL: "https://" + host + ":" + port + "/"})
		for _, want := range []string{want, "begin: listener secure (" + secure, "it has the URL's port)", "a target by least_conn", "up to 3 tries (only what is safe to repeat is repeated, each on another target, retries up to 10 % of requests)",
			"timeouts (connect 3s, response head 7s, silence of the target 11s, the whole by route all 1m30s)", "=> forwarded to api: blue (100 %)"} {
			if !strings.Contains(said, want) {
				t.Errorf("%s: explain does not say %q:\n%s", host, want, said)
			}
		}
		c, err := tls.Dial("tcp", secure, &tls.Config{ServerName: host, InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		if shown := c.ConnectionState().PeerCertificates[0].Subject.CommonName; !strings.Contains(said, "certificate "+shown+" (") {
			t.Errorf("%s: a client is shown %s:\n%s", host, shown, said)
		}
		_ = c.Close()
	}
	if said := r.told(admin.ExplainRequest{URL: "https://a.test/"}); !strings.Contains(said, "none has the URL's port, 443") {
		t.Errorf("explain says\n%s", said)
	}
	req, err := http.NewRequest(http.MethodGet, "http://"+r.address+"/p?q=1", bytes.NewReader(nil))
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "a.test"
	res, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	plain := admin.ExplainRequest{URL: "http://a.test/p?q=1", ClientIP: "10.0.0.1"}
	if said := r.told(plain); res.StatusCode != http.StatusPermanentRedirect || !strings.HasSuffix(said, "=> 308 to "+res.Header.Get("Location")) || strings.Contains(said, "timeouts") {
		t.Errorf("a client gets %d %s, explain says\n%s", res.StatusCode, res.Header.Get("Location"), said)
	}
	plain.Headers = []admin.HeaderField{{Name: "X-Forwarded-Proto", Value: "https"}}
	if said := r.told(plain); !strings.Contains(said, "not redirected") || !strings.Contains(said, "=> forwarded to api") {
		t.Errorf("for a trusted proxy's client on TLS explain says\n%s", said)
	}
}
