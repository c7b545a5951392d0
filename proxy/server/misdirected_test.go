package server_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func dialTLS(t *testing.T, address string, config *tls.Config) *tls.Conn {
	t.Helper()
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 60 * time.Second}, "tcp", address, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// TestMisdirected: RFC 9110 §15.5.20, for which hosts a connection is good: those of the certificate that was served on it, never by mere difference from the
// server name, and those for which another connection would be served no better one.
func TestMisdirected(t *testing.T) {
	dir := tempDir(t)
	ca := newIssuer(t, dir, "ca")
	e := newSecureEdge(t, dir, "", ca.server("a.test", "b.test", "*.w.test")+ca.server("other.test")+anyHost, hello)
	for _, c := range []struct {
		sni, host string
		status    int
	}{
		{"a.test", "a.test", 200},
		{"a.test", "A.Test:443", 200},
		{"a.test", "a.test.", 200},
		{"a.test", "b.test", 200}, // same certificate: coalescing
		{"a.test", "x.w.test", 200},
		{"a.test", "x.y.w.test", 200},   // no certificate has it: as it would be served by any other connection
		{"a.test", "nowhere.test", 200}, // the same
		{"a.test", "127.0.0.1", 200},
		{"a.test", "[::1]:8443", 200},
		{"a.test", "other.test", 421}, // another certificate has it
		{"a.test", "OTHER.test:8443", 421},
		{"a.test", "other.test.", 421},
		{"other.test", "other.test", 200},
		{"other.test", "a.test", 421},
		{"other.test", "q.w.test", 421},
		{"", "127.0.0.1", 200}, // curl -k https://127.0.0.1
		{"", "a.test", 200},    // the first certificate has it
		{"", "other.test", 421},
		{"unknown.test", "unknown.test", 200}, // curl -k: the first certificate is served, it was asked for by this name
		{"unknown.test", "a.test", 200},
		{"unknown.test", "other.test", 421},
	} {
		for _, proto := range []string{"http/1.1", "h2"} {
			config := &tls.Config{ServerName: c.sni, InsecureSkipVerify: true, NextProtos: []string{proto}}
			if status := askOver(t, e.secure, config, c.host); status != c.status {
				t.Errorf("%s, server name %q, host %q: %d, want %d", proto, c.sni, c.host, status, c.status)
			}
		}
	}
	e.expectMetrics(`weir_http_requests_total{code="421",listener="secure",method="GET",proto="HTTP/2.0",route="-"} 7`)
	expectLog(t, dir, `"weir.reason":"misdirected_request"`, `"tls.client.server_name":"a.test"`)
}

// expectLog waits for texts in the access log.
func expectLog(t *testing.T, dir string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		eventually(t, "log with "+text, func() bool {
			b, err := os.ReadFile(filepath.Join(dir, "log"))
			if err != nil {
				t.Fatal(err)
			}
			return strings.Contains(string(b), text)
		})
	}
}

// askOver is one GET for host on a connection of its own, by the protocol of the configuration.
func askOver(t *testing.T, address string, config *tls.Config, host string) int {
	t.Helper()
	conn := dialTLS(t, address, config)
	defer conn.Close()
	if conn.ConnectionState().NegotiatedProtocol != "h2" {
		answers, _ := sayHTTP1(t, conn, "GET / HTTP/1.1\r\nHost: "+host+"\r\n\r\n")
		return answers[0].StatusCode
	}
	tr := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: config, DialTLSContext: func(context.Context, string, string) (net.Conn, error) { return conn, nil }}
	defer tr.CloseIdleConnections()
	req, err := http.NewRequest(http.MethodGet, "https://"+address+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = host
	resp, err := (&http.Client{Transport: tr, Timeout: 60 * time.Second}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	if resp.ProtoMajor != 2 {
		t.Fatalf("spoke %s", resp.Proto)
	}
	return resp.StatusCode
}

// TestMisdirectedOnOneConnection: the verdict is each request's, not the connection's; and it follows certificates that a reload changes.
func TestMisdirectedOnOneConnection(t *testing.T) {
	dir := tempDir(t)
	ca := newIssuer(t, dir, "ca")
	both := ca.server("a.test") + ca.server("other.test")
	e := newSecureEdge(t, dir, "", both+anyHost, hello)
	conn := dialTLS(t, e.secure, &tls.Config{ServerName: "a.test", RootCAs: ca.pool()})
	say := func(hosts ...string) (statuses string) {
		var raws []string
		for _, h := range hosts {
			raws = append(raws, "GET / HTTP/1.1\r\nHost: "+h+"\r\n\r\n")
		}
		answers, _ := sayHTTP1(t, conn, raws...)
		for _, a := range answers {
			statuses += fmt.Sprint(a.StatusCode, " ")
		}
		return statuses
	}
	if got := say("a.test", "other.test", "other.test", "a.test", "A.TEST", "other.test"); got != "200 421 421 200 200 421 " {
		t.Error(got)
	}
	e.write(e.text(dir, "", ca.server("a.test")+anyHost))
	e.call(http.StatusOK, "POST", "/v1/reload", "")
	if got := say("other.test", "a.test"); got != "200 200 " {
		t.Errorf("after the other certificate has gone: %s", got)
	}
	e.write(e.text(dir, "", both+anyHost))
	e.call(http.StatusOK, "POST", "/v1/reload", "")
	if got := say("other.test", "a.test"); got != "421 200 " {
		t.Errorf("after it came back: %s", got)
	}
}
