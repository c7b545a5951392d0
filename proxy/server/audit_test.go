package server_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/valor-ivx/weir/proxy/server"
)

// auditedText has a route for each way in which a policy can come to it, and a limit for the 429.
func auditedText(dir, upstream, table string) string {
	text := protectText(dir, upstream, "[limit.one]\nrate = \"1/h\"\nkey = \"route\"\n[headers.own]\n"+table, "path = \"/basic\"\n")
	for _, name := range []string{"strict", "own", "off"} {
		text += fmt.Sprintf("[[route]]\nname = %q\npath = \"/%s\"\nheaders = %q\nservice = \"api\"\nlimits = [\"one\"]\n", name, name, name)
	}
	return text
}

const ownHeaders = "preset = \"strict\"\ncontent_security_policy = \"default-src 'none'\"\nset = { \"X-Own\" = \"1\" }\nremove = [\"X-Color\", \"Permissions-Policy\"]\n"

// TestAuditIsWhatClientsSee: on an upstream's answer, a refusal at the limit, a 404 and a 502 there are the fields that the audit lists, and none that it does not.
func TestAuditIsWhatClientsSee(t *testing.T) {
	r, blue, dir := started(t, func(dir, upstream string) string { return auditedText(dir, upstream, ownHeaders) })
	config := filepath.Join(dir, "weir.toml")
	audit, err := server.AuditHeaders(config)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	check := func(path string, want int) {
		t.Helper()
		status, live := headOf(t, r.address, path)
		u := &url.URL{Scheme: "http", Host: "x", Path: path}
		answer, err := audit.Find(u)
		if err != nil || status != want {
			t.Fatalf("%s: %d, want %d, %v", path, status, want, err)
		}
		seen[answer.Route] = true
		for _, f := range answer.Fields {
			if values := live.Values(f.Name); !slices.Equal(values, []string{f.Value}) {
				t.Errorf("%s %d: %s is %q, the audit says %q", path, status, f.Name, values, f.Value)
			}
			live.Del(f.Name)
		}
		for _, name := range securityFields {
			if live.Get(name) != "" {
				t.Errorf("%s %d has %s, of which the audit says nothing", path, status, name)
			}
		}
		_, live = headOf(t, r.address, path)
		if d := answer.Differs(live); len(d) != 0 {
			t.Errorf("%s: %q", path, d)
		}
	}
	check("/basic", http.StatusOK)
	for _, name := range []string{"strict", "own", "off"} {
		if status, _ := headOf(t, r.address, "/"+name); name == "strict" && status != http.StatusOK {
			t.Errorf("/%s: %d", name, status)
		}
		check("/"+name, http.StatusTooManyRequests)
	}
	check("/none", http.StatusNotFound)
	blue.kill()
	check("/basic", http.StatusBadGateway)
	if len(seen) != 5 || !seen["-"] || len(audit.Answers) != 5 {
		t.Errorf("seen %v of %d", seen, len(audit.Answers))
	}
	for route, want := range map[string]string{"all": "listener", "own": "route", "-": "listener"} {
		i := slices.IndexFunc(audit.Answers, func(a server.AuditedAnswer) bool { return a.Route == route })
		if a := audit.Answers[i]; a.Of != want || a.Listener != "http" || a.TLS || a.Score == 0 {
			t.Errorf("%+v", a)
		}
	}
	if _, err := audit.Find(&url.URL{Scheme: "https", Host: "x"}); err == nil {
		t.Error("an audit of a listener that is not there")
	}
}

// headOf is status and fields of one answer.
func headOf(t *testing.T, address, path string) (int, http.Header) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, _ = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", path) // the answer tells
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	return res.StatusCode, res.Header
}

// TestAuditFindsOtherAnswers: an edge that runs another configuration than the one audited is found out, field by field.
func TestAuditFindsOtherAnswers(t *testing.T) {
	r, _, dir := started(t, func(dir, upstream string) string { return auditedText(dir, upstream, "set = { \"X-Own\" = \"2\" }\n") })
	other := filepath.Join(dir, "other.toml")
	if err := os.WriteFile(other, []byte(auditedText(dir, "127.0.0.1:5002", ownHeaders+"")), 0o600); err != nil {
		t.Fatal(err)
	}
	audit, err := server.AuditHeaders(other)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := audit.Find(&url.URL{Scheme: "http", Host: "x", Path: "/own"})
	if err != nil {
		t.Fatal(err)
	}
	_, live := headOf(t, r.address, "/own")
	got := strings.Join(answer.Differs(live), "\n")
	for _, want := range []string{`X-Own is "2", should be: 1`, "X-Frame-Options is missing, should be: DENY", "X-Color is there, should not be",
		`Referrer-Policy is "strict-origin-when-cross-origin", should be: same-origin`} {
		if !strings.Contains(got, want) {
			t.Errorf("not found: %s in %s", want, got)
		}
	}
}
