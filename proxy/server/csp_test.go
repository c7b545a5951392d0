package server_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/valor-ivx/weir/proxy/admin"
)

const (
	reportTwo   = `{"csp-report":{"blocked-uri":"https://evil.example/x.js?key=secret","document-uri":"https://a.test/page?token=secret","effective-directive":"script-src-elem","disposition":"enforce"}}`
	reportThree = `[{"type":"csp-violation","body":{"blockedURL":"inline","documentURL":"https://a.test/","effectiveDirective":"style-src","disposition":"report"}},{"type":"crash","body":{}}]`
)

// reportingEdge serves a.test by a policy that collects, b.test by one that does not, and speaks both protocols.
func reportingEdge(t *testing.T, path string) (*running, *seen, string) {
	t.Helper()
	dir := shortDir(t)
	s := &seen{}
	blue := &colour{name: "blue", address: "127.0.0.1:0", handler: s}
	blue.start(t)
	text := reportingText(dir, blue.address, path)
	r := run(t, dir, text)
	t.Cleanup(func() {
		blue.kill()
		_ = os.RemoveAll(dir)
	})
	return r, s, text
}

func reportingText(dir, upstream, path string) string {
	return "[admin]\naddress = \"unix://" + dir + "/admin.sock\"\nstate_dir = \"state\"\n[log]\noutput = \"log\"\n" +
		"[[listener]]\nname = \"http\"\naddress = \"127.0.0.1:0\"\nprotocols = [\"http/1.1\", \"h2\"]\n[headers.app]\ncontent_security_policy = \"default-src 'self'\"\n" +
		"content_security_policy_report_only = \"script-src 'nonce-{nonce}'\"\ncsp_report = " + path + "\n" +
		"[[route]]\nhost = [\"a.test\"]\nheaders = \"app\"\nservice = \"api\"\n[[route]]\nhost = [\"b.test\"]\nservice = \"api\"\n[service.api.group.blue]\ntargets = [\"" + upstream + "\"]\n"
}

func (r *running) reports() (list []admin.CSPReport) {
	r.t.Helper()
	if err := json.Unmarshal([]byte(r.call(http.StatusOK, "GET", "/v1/csp-reports", "")), &list); err != nil {
		r.t.Fatalf("%v", err)
	}
	return list
}

// sendReport POSTs by HTTP/1 in one write.
func sendReport(t *testing.T, r *running, host, path, kind, body string, fields ...string) string {
	t.Helper()
	return say(t, r.address, fmt.Sprintf("POST %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\nContent-Type: %s\r\nContent-Length: %d\r\n%s\r\n%s",
		path, host, kind, len(body), strings.Join(append(fields, ""), "\r\n"), body))
}

// TestCSPReports: a page says where to report to; what a browser POSTs there, in either form and protocol, is counted, listed and logged once without what was
// secret in it, and no upstream hears of it.
func TestCSPReports(t *testing.T) {
	r, up, text := reportingEdge(t, "true")
	const path, level2, level3 = "/.well-known/csp-reports/app", "application/csp-report", "application/reports+json"
	page := say(t, r.address, "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n")
	for _, want := range []string{"\r\nContent-Security-Policy: default-src 'self'; report-uri " + path + "; report-to csp\r\n", "\r\nReporting-Endpoints: csp=\"" + path + "\"\r\n",
		"'; report-uri " + path + "; report-to csp\r\n"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q:\n%s", want, page)
		}
	}
	h2 := h2cClient(t)
	if head := up.since(t, func() {
		for range 3 {
			if a := sendReport(t, r, "a.test", path, level2, reportTwo); !strings.HasPrefix(a, "HTTP/1.1 204 No Content\r\n") || strings.Contains(a, "Content-Length") {
				t.Errorf("answer %q", a)
			}
		}
		chunked := "POST " + path + " HTTP/1.1\r\nHost: A.test\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Type: " + level3 + "\r\nTransfer-Encoding: chunked\r\n\r\n"
		if a := say(t, r.address, chunked+fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(reportThree), reportThree)); !strings.HasPrefix(a, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 ") {
			t.Errorf("chunked: %q", a)
		}
		res, err := h2.Do(hostedPost(t, "http://"+r.address+path, "a.test", level3, reportThree))
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusNoContent || res.ProtoMajor != 2 {
			t.Errorf("HTTP/2: %s %s", res.Proto, res.Status)
		}
	}); head != nil {
		t.Errorf("the upstream heard of a report: %v", head)
	}
	// Counted before the answer is written, so there is nothing to wait for.
	m := r.call(http.StatusOK, "GET", "/metrics", "")
	for _, want := range []string{`weir_csp_reports_total{directive="script-src-elem",headers="app"} 3`, `weir_csp_reports_total{directive="style-src",headers="app"} 2`,
		`weir_csp_reports_total{directive="img-src",headers="app"} 0`} {
		if !strings.Contains(m, want+"\n") {
			t.Errorf("the scrape lacks %s", want)
		}
	}
	list := r.reports()
	if len(list) != 2 || list[0].Directive != "style-src" || list[0].Count != 2 || list[0].Enforced || list[1].Blocked != "https://evil.example/x.js" || list[1].Document != "https://a.test/page" || list[1].Count != 3 {
		t.Errorf("listed %+v", list)
	}
	e := r.call(http.StatusOK, "POST", "/v1/explain", `{"method":"POST","url":"http://a.test`+path+`"}`)
	if !strings.Contains(e, "204 report on headers app") {
		t.Errorf("explain: %s", e)
	}
	r.write(strings.ReplaceAll(text, "csp_report = true\n", ""))
	_ = r.call(http.StatusOK, "POST", "/v1/reload", "")
	if m := r.call(http.StatusOK, "GET", "/metrics", ""); strings.Contains(m, "weir_csp_reports_total{") || len(r.reports()) != 0 {
		t.Error("a collector that is gone is still exported")
	}
	if up.since(t, func() { _ = sendReport(t, r, "a.test", path, level2, reportTwo) }) == nil {
		t.Error("without a collector the path is not the upstream's")
	}
	r.stop()
	log, err := os.ReadFile(filepath.Join(r.dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(log), "content security policy violated"); n != 2 || strings.Contains(string(log), "secret") {
		t.Errorf("%d lines:\n%s", n, log)
	}
}

func hostedPost(t *testing.T, url, host, kind, body string) *http.Request {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Host = host
	req.Header.Set("Content-Type", kind)
	return req
}

// TestCSPReportsAttacked: what is no report, too large, too much or for somebody else is refused or goes its usual way, and is not counted.
func TestCSPReportsAttacked(t *testing.T) {
	r, up, _ := reportingEdge(t, `"/collect"`)
	const kind = "application/csp-report"
	for name, c := range map[string]struct{ answer, want, reason string }{
		"type":  {sendReport(t, r, "a.test", "/collect", "text/plain", reportTwo), "HTTP/1.1 415 ", "http_request_error"},
		"form":  {sendReport(t, r, "a.test", "/collect", kind, "a=b"), "HTTP/1.1 400 ", "http_request_error"},
		"empty": {sendReport(t, r, "a.test", "/collect", kind, ""), "HTTP/1.1 400 ", "http_request_error"},
		"said to be big": {say(t, r.address, "POST /collect HTTP/1.1\r\nHost: a.test\r\nContent-Type: "+kind+"\r\nContent-Length: 70000\r\n\r\n"),
			"HTTP/1.1 413 ", "body_too_large"},
		"chunked big": {say(t, r.address, "POST /collect HTTP/1.1\r\nHost: a.test\r\nContent-Type: "+kind+"\r\nTransfer-Encoding: chunked\r\n\r\n"+ // 64 KiB of it, and no end
			fmt.Sprintf("%x\r\n%s\r\n", 64<<10, strings.Repeat("x", 64<<10))), "HTTP/1.1 413 ", "body_too_large"},
	} {
		if !strings.HasPrefix(c.answer, c.want) || !strings.Contains(c.answer, `"reason":"`+c.reason+`"`) {
			t.Errorf("%s: %q", name, c.answer)
		}
	}
	for _, host := range []string{"b.test", "c.test"} {
		asked := up.since(t, func() { _ = sendReport(t, r, host, "/collect", kind, reportTwo) })
		if (asked != nil) != (host == "b.test") {
			t.Errorf("%s: the upstream was asked: %t", host, asked != nil)
		}
	}
	if up.since(t, func() { _ = say(t, r.address, "GET /collect HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n") }) == nil {
		t.Error("a GET of the path is not the upstream's")
	}
	if len(r.reports()) != 0 {
		t.Errorf("listed %+v", r.reports())
	}
	taken, limited := 0, false
	for !limited && taken < 600 { // a token comes back each second: only a machine that takes that long for a request would never get there
		switch a := sendReport(t, r, "a.test", "/collect", kind, reportTwo); {
		case strings.HasPrefix(a, "HTTP/1.1 204 "):
			taken++
		case strings.HasPrefix(a, "HTTP/1.1 429 ") && strings.Contains(a, "\r\nRetry-After: 1\r\n") && strings.Contains(a, "rate_limited"):
			limited = true
		default:
			t.Fatalf("answer %q", a)
		}
	}
	if list := r.reports(); !limited || taken < 40 || len(list) != 1 || list[0].Count != uint64(taken) {
		t.Errorf("limited: %t, %d taken, listed %+v", limited, taken, list)
	}
	r.stop()
}

// TestCSPReportOfSlowClient: a body in pieces is waited for, and the connection goes on after it; one that never comes costs what body_timeout says.
func TestCSPReportOfSlowClient(t *testing.T) {
	dir := shortDir(t)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	blue := newColour(t, "blue")
	t.Cleanup(blue.kill)
	text := strings.Replace(reportingText(dir, blue.address, "true"), "address = \"127.0.0.1:0\"\n", "address = \"127.0.0.1:0\"\nbody_timeout = \"3s\"\n", 1)
	r := run(t, dir, text)
	t.Cleanup(r.stop)
	c := connect(t, r.address)
	t.Cleanup(func() { _ = c.conn.Close() })
	_ = c.conn.SetDeadline(time.Now().Add(60 * time.Second))
	head := fmt.Sprintf("POST /.well-known/csp-reports/app HTTP/1.1\r\nHost: a.test\r\nContent-Type: application/csp-report\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", len(reportTwo))
	for range 2 {
		_, _ = io.WriteString(c.conn, head) // the answer tells
		if line, err := c.r.ReadString('\n'); err != nil || line != "HTTP/1.1 100 Continue\r\n" {
			t.Fatalf("%q %v", line, err)
		}
		_, _ = c.r.ReadString('\n')
		for piece := reportTwo; piece != ""; {
			n := min(50, len(piece))
			_, _ = io.WriteString(c.conn, piece[:n])
			piece = piece[n:]
		}
		res, err := http.ReadResponse(c.r, nil)
		if err != nil || res.StatusCode != http.StatusNoContent {
			t.Fatalf("%v %v", res, err)
		}
	}
	_, _ = io.WriteString(c.conn, head+"{")
	_, _ = c.r.ReadString('\n')
	_, _ = c.r.ReadString('\n')
	res, err := http.ReadResponse(c.r, nil)
	if err != nil || res.StatusCode != http.StatusRequestTimeout {
		t.Fatalf("%v %v", res, err)
	}
	if list := r.reports(); len(list) != 1 || list[0].Count != 2 {
		t.Errorf("listed %+v", list)
	}
}
