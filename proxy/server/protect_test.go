package server_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/valor-ivx/weir/proxy/admin"
	"github.com/valor-ivx/weir/proxy/server"
)

// protectText is a configuration with one route to one upstream and what a test adds: at the top, and in the route.
func protectText(dir, upstream, top, inRoute string) string {
	return "[admin]\naddress = \"unix://" + dir + "/admin.sock\"\nstate_dir = \"state\"\n[log]\naccess = \"off\"\n[[listener]]\nname = \"http\"\naddress = \"127.0.0.1:0\"\n" +
		top + "[[route]]\nname = \"all\"\nservice = \"api\"\n" + inRoute + "[service.api.group.blue]\ntargets = [\"" + upstream + "\"]\n"
}

// started is a server on the text, ended with the test.
func started(t *testing.T, text func(dir, upstream string) string) (*running, *colour, string) {
	t.Helper()
	dir := shortDir(t)
	blue := newColour(t, "blue")
	r := run(t, dir, text(dir, blue.address))
	t.Cleanup(func() {
		r.stop()
		blue.kill()
		_ = os.RemoveAll(dir)
	})
	return r, blue, dir
}

func reloadWarnings(t *testing.T, r *running) (messages []string) {
	t.Helper()
	var result struct{ Warnings []admin.Detail }
	if err := json.Unmarshal([]byte(r.call(http.StatusOK, "POST", "/v1/reload", "")), &result); err != nil {
		t.Fatal(err)
	}
	for _, w := range result.Warnings {
		messages = append(messages, w.Message)
	}
	return messages
}

// TestLimitsOutliveReloads: what a limit counted holds after a reload that changes its rate and burst, and its series are there from the start.
func TestLimitsOutliveReloads(t *testing.T) {
	limited := func(rate string) func(dir, upstream string) string {
		return func(dir, upstream string) string {
			return protectText(dir, upstream, "[limit.login]\nrate = \""+rate+"\"\n[limit.idle]\nrate = \"1/s\"\n", "limits = [\"login\"]\n")
		}
	}
	r, blue, dir := started(t, limited("3/h"))
	if m := r.call(http.StatusOK, "GET", "/metrics", ""); !strings.Contains(m, `weir_limit_decisions_total{decision="limited",limit="login"} 0`) {
		t.Error("the series is not there before the first request")
	}
	for i, want := range []int{200, 200, 200, 429, 429} {
		if status, _ := r.client.get(t); status != want {
			t.Fatalf("request %d: %d, want %d", i, status, want)
		}
	}
	r.write(limited("4/h")(dir, blue.address))
	warnings := reloadWarnings(t, r)
	if status, _ := r.client.get(t); status != 429 {
		t.Errorf("after a reload: %d, want 429", status)
	}
	for _, want := range []string{"limit idle is named by no route", "limit login counts by client_ip, listener http is on a private address"} {
		if !slices.ContainsFunc(warnings, func(w string) bool { return strings.Contains(w, want) }) {
			t.Errorf("no warning %q in %q", want, warnings)
		}
	}
	m := r.call(http.StatusOK, "GET", "/metrics", "")
	for _, want := range []string{`weir_limit_decisions_total{decision="allowed",limit="login"} 3`, `weir_limit_decisions_total{decision="limited",limit="login"} 3`,
		`weir_limit_keys{limit="login"} 1`, `weir_limit_evictions_total{limit="login"} 0`} {
		if !strings.Contains(m, want) {
			t.Errorf("the scrape lacks %s", want)
		}
	}
	r.write(protectText(dir, blue.address, "", ""))
	if w := reloadWarnings(t, r); len(w) != 0 {
		t.Errorf("warnings %q", w)
	}
	if status, _ := r.client.get(t); status != 200 {
		t.Errorf("without the limit: %d", status)
	}
	if m := r.call(http.StatusOK, "GET", "/metrics", ""); strings.Contains(m, `limit="login"`) {
		t.Error("a limit that is gone is still exported")
	}
}

// TestExplainTellsClientAndLimits: explain finds the client as the data path does, and names the limits without taking a token.
func TestExplainTellsClientAndLimits(t *testing.T) {
	r, _, _ := started(t, func(dir, upstream string) string {
		return protectText(dir, upstream, "[client_ip]\ntrusted_proxies = [\"10.0.0.0/8\"]\n[limit.one]\nrate = \"1/h\"\nkey = \"client_ip+route\"\n", "limits = [\"one\"]\n")
	})
	for range 3 {
		for body, want := range map[string]string{
			`{"url":"http://x/","client_ip":"10.0.0.1","headers":[{"name":"X-Forwarded-For","value":"6.6.6.6, 192.0.2.1"}]}`:  "client 192.0.2.1",
			`{"url":"http://x/","client_ip":"192.0.2.7","headers":[{"name":"X-Forwarded-For","value":"6.6.6.6, 192.0.2.1"}]}`: "client 192.0.2.7",
		} {
			got := r.call(http.StatusOK, "POST", "/v1/explain", body)
			if !strings.Contains(got, `"`+want+`"`) || !strings.Contains(got, "1/h and 1 at once for each client_ip+route") ||
				!strings.Contains(got, "headers of listener http, on every answer: X-Content-Type-Options: nosniff | Referrer-Policy") {
				t.Errorf("%s: %s", body, got)
			}
		}
	}
	if status, _ := r.client.get(t); status != 200 {
		t.Errorf("explaining took a token: %d", status)
	}
}

// TestSuspectedProxy: a peer on a private address that states clients of its own, where nobody is trusted, is a warning of status until a proxy is named.
func TestSuspectedProxy(t *testing.T) {
	r, blue, dir := started(t, func(dir, upstream string) string { return protectText(dir, upstream, "", "") })
	suspicious := func() bool {
		return slices.ContainsFunc(r.status().Warnings, func(w string) bool { return strings.HasPrefix(w, "127.0.0.1 sends X-Forwarded-For") })
	}
	_, _ = r.client.get(t)
	if suspicious() {
		t.Error("a client that states nothing is suspected")
	}
	say(t, r.address, "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.1\r\nConnection: close\r\n\r\n")
	if !suspicious() {
		t.Errorf("no warning in %q", r.status().Warnings)
	}
	r.write(protectText(dir, blue.address, "[client_ip]\ntrusted_proxies = [\"127.0.0.1\"]\n", ""))
	r.call(http.StatusOK, "POST", "/v1/reload", "")
	if suspicious() {
		t.Error("suspected although it is trusted")
	}
}

// TestCheckWarnsOfLimits: what a reload warns of, check prints.
func TestCheckWarnsOfLimits(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "weir.toml")
	limits := "[limit.a]\nrate = \"1/s\"\n[limit.b]\nrate = \"1/s\"\nkey = \"route\"\n"
	for name, c := range map[string]struct {
		top  string
		want []string // limits warned of
	}{
		"nobody trusted": {limits, []string{"a"}},
		"trusted":        {limits + "[client_ip]\ntrusted_proxies = [\"127.0.0.1\"]\n", nil},
		"unused":         {limits + "[limit.c]\nrate = \"1/s\"\n", []string{"a", "c"}},
	} {
		if err := os.WriteFile(path, []byte(protectText(dir, "127.0.0.1:5002", c.top, "limits = [\"b\", \"a\"]\n")), 0o600); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if !server.Check(path, &out) {
			t.Errorf("%s: %s", name, out.String())
		}
		var got []string
		for line := range strings.Lines(out.String()) {
			if _, rest, ok := strings.Cut(line, "warning: limit "); ok {
				got = append(got, rest[:1])
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: warned of %q, want %q: %s", name, got, c.want, out.String())
		}
	}
}
