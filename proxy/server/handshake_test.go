package server_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

const anyHost = "[[route]]\nservice = \"api\"\n"

func hello(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "hello "+r.Host) }

// TestHandshakesAreCounted: every way in which a handshake ends, as a client sees it and as a scrape tells it; what is no TLS reaches nobody.
func TestHandshakesAreCounted(t *testing.T) {
	dir := tempDir(t)
	ca := newIssuer(t, dir, "ca")
	e := newSecureEdge(t, dir, "", ca.server("a.test")+anyHost, hello)
	for _, line := range []string{`result="ok",version="1.2"`, `result="ok",version="1.3"`, `result="overload",version="none"`, `result="client_certificate",version="none"`} {
		e.expectMetrics(`weir_tls_handshakes_total{listener="secure",` + line + `} 0`)
	}
	good := func(change func(*tls.Config)) *tls.Config {
		c := &tls.Config{RootCAs: ca.pool(), ServerName: "a.test"}
		change(c)
		return c
	}
	sessions := tls.NewLRUClientSessionCache(1)
	for _, c := range []struct {
		name   string
		config *tls.Config
		counts []string // with what they count to
	}{
		{"1.3", good(func(*tls.Config) {}), []string{`handshakes_total{listener="secure",result="ok",version="1.3"} 1`,
			`key_exchanges_total{group="X25519MLKEM768",listener="secure"} 1`}},
		{"1.2", good(func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }), []string{`handshakes_total{listener="secure",result="ok",version="1.2"} 1`,
			`key_exchanges_total{group="X25519",listener="secure"} 1`}},
		{"P-256, to be resumed", good(func(c *tls.Config) { c.CurvePreferences, c.ClientSessionCache = []tls.CurveID{tls.CurveP256}, sessions }),
			[]string{`key_exchanges_total{group="P-256",listener="secure"} 1`, `resumed_total{listener="secure"} 0`}},
		{"resumed", good(func(c *tls.Config) { c.ClientSessionCache = sessions }), []string{`resumed_total{listener="secure"} 1`}},
		{"a CA that the client does not know", &tls.Config{ServerName: "a.test"}, []string{`handshakes_total{listener="secure",result="refused",version="none"} 1`}},
		{"too old", good(func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }),
			[]string{`handshakes_total{listener="secure",result="protocol",version="none"} 1`}},
		{"no common protocol", good(func(c *tls.Config) { c.NextProtos = []string{"spdy/3"} }), []string{`handshakes_total{listener="secure",result="protocol",version="none"} 2`}},
	} {
		conn, err := net.Dial("tcp", e.secure)
		if err != nil {
			t.Fatal(err)
		}
		secure := tls.Client(conn, c.config)
		_ = secure.SetDeadline(time.Now().Add(60 * time.Second))
		if secure.Handshake() == nil {
			sayHTTP1(t, secure, "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
		}
		_ = conn.Close()
		for _, line := range c.counts {
			e.expectMetrics("weir_tls_" + line)
		}
	}
	if n := e.hits.Load(); n != 4 {
		t.Errorf("%d requests reached the upstream, want those of the 4 good handshakes", n)
	}
}

// TestBadClientHellos: raw bytes on the TLS port. What is HTTP is told so, everything else is closed; nothing is forwarded, everything is counted.
func TestBadClientHellos(t *testing.T) {
	dir := tempDir(t)
	ca := newIssuer(t, dir, "ca")
	e := newSecureEdge(t, dir, "", ca.server("a.test")+anyHost, hello)
	record := func(kind byte, body string) string {
		return string([]byte{kind, 3, 1, byte(len(body) >> 8), byte(len(body))}) + body
	}
	hello := captureHello(t)
	counts := map[string]int{}
	for _, c := range []struct{ name, raw, result, answer string }{
		{"GET", "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n", "plain_http", "HTTP/1.1 400 Bad Request\r\n"},
		{"POST with a body", "POST /x HTTP/1.1\r\nHost: a.test\r\nContent-Length: 100000\r\n\r\n" + strings.Repeat("x", 100000), "plain_http", "HTTP/1.1 400 Bad Request\r\n"},
		{"HTTP/2 without TLS", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00", "plain_http", "HTTP/1.1 400 Bad Request\r\n"},
		{"SSH", "SSH-2.0-OpenSSH_9.2\r\n", "protocol", ""},
		{"nothing", "", "gone", ""},
		{"half a header", "\x16\x03", "gone", ""},
		{"half a hello", hello[:len(hello)/2], "gone", ""},
		{"a record too large", "\x16\x03\x01\xff\xff" + strings.Repeat("x", 70000), "protocol", "\x15\x03\x01"},
		{"no hello", record(22, "\x02\x00\x00\x02xx"), "protocol", "\x15\x03\x01"},
		{"a hello of nothing", record(22, "\x01\x00\x00\x00"), "protocol", "\x15\x03\x01"},
		{"a hello with a wrong length inside", record(22, "\x01\x00\x00\x30"+strings.Repeat("\xff", 48)), "protocol", "\x15\x03\x01"},
		{"data before a hello", record(23, "GET / HTTP/1.1\r\n\r\n"), "protocol", ""},
		{"an alert", record(21, "\x02\x28"), "refused", ""},
		{"SSL 2", "\x80\x2e\x01\x03\x01\x00\x15\x00\x00\x00\x10", "protocol", "\x15\x03\x01"},
	} {
		answer := exchangeRaw(t, e.secure, c.raw)
		if (c.answer == "") != (answer == "") || !strings.HasPrefix(answer, c.answer) {
			t.Errorf("%s: answered %q, want %q", c.name, answer, c.answer)
		}
		if c.result == "plain_http" && !strings.HasSuffix(answer, "\r\n\r\nThis port speaks HTTPS: the request came without TLS.\n") {
			t.Errorf("%s: %q", c.name, answer)
		}
		counts[c.result]++
		e.expectMetrics(fmt.Sprintf(`weir_tls_handshakes_total{listener="secure",result=%q,version="none"} %d`, c.result, counts[c.result]))
	}
	if n := e.hits.Load(); n != 0 {
		t.Errorf("%d requests reached the upstream", n)
	}
	secure := &tls.Config{RootCAs: ca.pool(), ServerName: "a.test"}
	conn, err := tls.Dial("tcp", e.secure, secure)
	if err != nil {
		t.Fatalf("a good client after all of them: %v", err)
	}
	_ = conn.Close()
}

// exchangeRaw sends bytes, half-closes and reads to the end.
func exchangeRaw(t *testing.T, address, raw string) string {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(60 * time.Second))
	_, _ = io.WriteString(conn, raw) // may be cut short by a server that has seen enough
	_ = conn.(*net.TCPConn).CloseWrite()
	answer, _ := io.ReadAll(conn) // a reset ends it too
	return string(answer)
}

// captureHello is the first flight of crypto/tls's own client.
func captureHello(t *testing.T) string {
	t.Helper()
	client, server := net.Pipe()
	defer client.Close()
	defer server.Close()
	go func() { _ = tls.Client(client, &tls.Config{ServerName: "a.test"}).Handshake() }() // ends with the pipe
	buf := make([]byte, 16<<10)
	n, err := server.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	return string(buf[:n])
}
