package server_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/quic-go/quic-go/http3"
)

// tellUser is an upstream that answers whom it was told of.
func tellUser(w http.ResponseWriter, r *http.Request) {
	for field, values := range r.Header {
		if strings.EqualFold(strings.ReplaceAll(field, "_", "-"), "X-Forwarded-User") {
			_, _ = fmt.Fprint(w, values)
		}
	}
}

// speakers are clients of one listener by the protocol that they speak, with a certificate or without.
func speakers(t *testing.T, ca *issuer, name string, certs ...tls.Certificate) map[string]http.RoundTripper {
	t.Helper()
	config := func() *tls.Config {
		return &tls.Config{ServerName: name, RootCAs: ca.pool(), Certificates: certs}
	}
	h1 := &http.Transport{TLSClientConfig: config(), TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{}}
	h2 := &http.Transport{TLSClientConfig: config(), ForceAttemptHTTP2: true}
	h3 := &http3.Transport{TLSClientConfig: config()}
	t.Cleanup(func() {
		h1.CloseIdleConnections()
		h2.CloseIdleConnections()
		_ = h3.Close()
	})
	return map[string]http.RoundTripper{"HTTP/1.1": h1, "HTTP/2.0": h2, "HTTP/3.0": h3}
}

// TestMTLS: the certificate that the connection's handshake verified decides, over every protocol; what a client says of itself in fields does not. Each refusal has
// its reason in the answer, the log and the metric, with the name of who was refused.
func TestMTLS(t *testing.T) {
	dir := tempDir(t)
	ca, one := newIssuer(t, dir, "ca"), newIssuer(t, dir, "one")
	address := deadPort(t)
	e := newSecureEdge(t, dir, "", "[[listener]]\nname = \"quic\"\naddress = \""+address+"\"\ntls = true\nprotocols = [\"http/1.1\", \"h2\", \"h3\"]\n"+ca.server("a.test")+
		fmt.Sprintf("[[tls.client_auth]]\nhosts = [\"a.test\"]\nca = %q\nmode = \"optional\"\n", one.root())+
		"[auth.machines]\ntype = \"mtls\"\nallow = { subject = ['CN=al*,O=\\c3\\96rg\\0d\\0aX-Evil: 1', \"CN=*,O=*\"], dns = \"nobody.test\" }\n[auth.any]\ntype = \"mtls\"\n"+
		"[[route]]\nhost = [\"a.test\"]\nservice = \"api\"\nauth = \"machines\"\n[[route]]\nhost = [\"a.test\"]\npath = \"/dns\"\nservice = \"api\"\nauth = \"any\"\n", tellUser)
	alice, bob := one.client("alice"), one.client("bob")
	for _, c := range []struct {
		name, path string
		certs      []tls.Certificate
		status     int
		says       string
	}{
		{"none", "/", nil, http.StatusForbidden, `"reason":"certificate_missing"`},
		{"one that may not", "/", []tls.Certificate{bob}, http.StatusForbidden, `"reason":"certificate_refused"`},
		{"one that may", "/", []tls.Certificate{alice}, http.StatusOK, "[alice]"},
		{"any verified one", "/dns", []tls.Certificate{bob}, http.StatusOK, "[bob]"},
		{"none where any will do", "/dns", nil, http.StatusForbidden, `"reason":"certificate_missing"`},
	} {
		for proto, client := range speakers(t, ca, "a.test", c.certs...) {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+address+c.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Host = "a.test"
			req.Header = http.Header{"X-Forwarded-User": {"root"}, "X_forwarded_user": {"root"}, "X-Client-Cert-Subject": {"CN=alice,O=x"}, "Client-Cert": {":Zm9yZ2Vk:"}}
			before := e.hits.Load()
			resp, err := client.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if err != nil || resp.Proto != proto || resp.StatusCode != c.status || !strings.Contains(string(body), c.says) {
				t.Errorf("%s, %s: %s %d %s %v", proto, c.name, resp.Proto, resp.StatusCode, body, err)
			}
			if asked := e.hits.Load() > before; asked != (c.status == http.StatusOK) {
				t.Errorf("%s, %s: the upstream was asked: %t", proto, c.name, asked)
			}
			if c.status != http.StatusOK && resp.Header.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("%s, %s: %v", proto, c.name, resp.Header)
			}
		}
	}
	e.expectMetrics(`weir_http_errors_total{listener="quic",reason="certificate_refused"} 3`, `weir_http_errors_total{listener="quic",reason="certificate_missing"} 6`)
	expectLog(t, dir, `"user.name":"bob"`, `"weir.reason":"certificate_refused"`, `"weir.reason":"certificate_missing"`)
	if said := e.call(http.StatusOK, "POST", "/v1/explain", `{"url":"https://a.test/"}`); !strings.Contains(said, "without a certificate that may come in 403") {
		t.Errorf("explain: %s", said)
	}
}
