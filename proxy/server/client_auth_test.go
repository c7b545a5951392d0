package server_test

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go/http3"

	"github.com/valor-ivx/weir/proxy/porttest"
)

// tellCert is an upstream that answers what it was told of the client's certificate.
func tellCert(w http.ResponseWriter, r *http.Request) {
	for _, name := range []string{"Client-Cert", "Client-Cert-Chain", "X-Client-Cert-Subject", "X-Client-Cert-Fingerprint", "X_client_cert_subject"} {
		for _, v := range r.Header.Values(name) {
			_, _ = fmt.Fprintf(w, "%s=%s\n", name, v)
		}
	}
	if len(r.Header.Values("X-Evil")) > 0 {
		_, _ = io.WriteString(w, "X-Evil came through\n")
	}
}

// forged are the fields as a client would like an upstream to see them.
const forged = "Client-Cert: :Zm9yZ2Vk:\r\nclient-cert-chain: :Zm9yZ2Vk:\r\nX-Client-Cert-Subject: CN=admin\r\nX-Client-Cert-Fingerprint: 00\r\nX_Client_Cert_Subject: CN=admin\r\n"

// policies is a configuration with hosts of three policies and one of none.
func policies(server string, one, two *issuer) string {
	return server + fmt.Sprintf("[[tls.client_auth]]\nhosts = [\"admin.test\", \"*.corp.test\"]\nca = %q\n"+
		"[[tls.client_auth]]\nhosts = [\"maybe.test\"]\nca = %[1]q\nmode = \"optional\"\nforward_chain = true\n"+
		"[[tls.client_auth]]\nhosts = [\"two.corp.test\"]\nca = %q\n", one.root(), two.root()) + anyHost
}

// TestClientAuth: who is let in under which policy, what the upstream is told, and that no connection made under one policy serves a host of another.
func TestClientAuth(t *testing.T) {
	dir := tempDir(t)
	ca, one, two := newIssuer(t, dir, "ca"), newIssuer(t, dir, "one"), newIssuer(t, dir, "two")
	e := newSecureEdge(t, dir, "", policies(ca.server("open.test", "admin.test", "maybe.test", "*.corp.test"), one, two), tellCert)
	good, other := one.client("alice"), two.client("bob")
	sum := sha256.Sum256(good.Certificate[0])
	told := "Client-Cert=:" + base64.StdEncoding.EncodeToString(good.Certificate[0]) + ":\nX-Client-Cert-Subject=CN=alice,O=\\c3\\96rg\\0d\\0aX-Evil: 1\n" +
		"X-Client-Cert-Fingerprint=" + hex.EncodeToString(sum[:]) + "\n"
	for _, c := range []struct {
		sni, host string
		cert      *tls.Certificate
		status    int // 0: no handshake
		body      string
	}{
		{"open.test", "open.test", nil, 200, ""},
		{"open.test", "open.test", &good, 200, ""}, // was not asked for
		{"admin.test", "admin.test", nil, 0, ""},
		{"admin.test", "admin.test", &other, 0, ""},
		{"admin.test", "admin.test", &good, 200, told},
		{"ADMIN.test", "Admin.Test:443", &good, 200, told},
		{"admin.test", "x.corp.test", &good, 200, told}, // the same policy
		{"x.y.corp.test", "x.y.corp.test", nil, 0, ""},  // a route's wildcard takes any depth, so does the policy's
		{"maybe.test", "maybe.test", nil, 200, ""},
		{"maybe.test", "maybe.test", &good, 200, told},
		{"two.corp.test", "two.corp.test", &good, 0, ""},
		{"two.corp.test", "two.corp.test", &other, 200, "X-Client-Cert-Subject=CN=bob"},
		// Requests for hosts of other policies.
		{"open.test", "admin.test", nil, 421, ""},
		{"open.test", "admin.test.", nil, 421, ""},
		{"open.test", "ADMIN.test:8443", &good, 421, ""},
		{"open.test", "x.corp.test", nil, 421, ""},
		{"", "admin.test", nil, 421, ""},
		{"unknown.test", "admin.test", nil, 421, ""},
		{"maybe.test", "admin.test", &good, 421, ""}, // a certificate that was optional is another handshake's
		{"admin.test", "maybe.test", &good, 421, ""},
		{"admin.test", "open.test", &good, 421, ""},
		{"x.corp.test", "two.corp.test", &good, 421, ""}, // wildcard and exact name overlap
		{"two.corp.test", "x.corp.test", &other, 421, ""},
	} {
		name := fmt.Sprintf("server name %q, host %q, certificate %v", c.sni, c.host, c.cert != nil)
		config := &tls.Config{ServerName: c.sni, InsecureSkipVerify: true}
		if c.cert != nil { // also where the server does not name its CA among those it takes
			config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return c.cert, nil }
		}
		before := e.hits.Load()
		conn := dialTLS(t, e.secure, config)
		if c.status == 0 {
			// In TLS 1.3 the client has finished before the server refuses it.
			_ = conn.SetDeadline(time.Now().Add(60 * time.Second))
			_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: "+c.host+"\r\n\r\n")
			if b, err := io.ReadAll(conn); len(b) > 0 || err == nil || !strings.Contains(err.Error(), "tls: ") {
				t.Errorf("%s: %q %v, want an alert", name, b, err)
			}
			if e.hits.Load() != before {
				t.Errorf("%s: the upstream heard of it", name)
			}
			continue
		}
		answers, bodies := sayHTTP1(t, conn, "GET / HTTP/1.1\r\nHost: "+c.host+"\r\n"+forged+"\r\n", "GET / HTTP/1.1\r\nHost: "+c.host+"\r\n\r\n")
		for i, a := range answers {
			if a.StatusCode != c.status || c.status == 200 && (!strings.Contains(bodies[i], c.body) || c.body == "" && bodies[i] != "") {
				t.Errorf("%s: %d %q, want %d %q", name, a.StatusCode, bodies[i], c.status, c.body)
			}
		}
		if c.status != 200 && e.hits.Load() != before {
			t.Errorf("%s: the upstream heard of it", name)
		}
	}
	e.expectMetrics(`weir_tls_handshakes_total{listener="secure",result="client_certificate",version="none"} 4`)
	expectLog(t, dir, `"tls.client.subject":"CN=alice,O=\\c3\\96rg\\0d\\0aX-Evil: 1"`, `"weir.reason":"misdirected_request"`)
}

// TestClientAuthPlain: without TLS a host that requires a certificate is nobody's, and forged fields go nowhere; a trusted proxy's word of a certificate counts.
func TestClientAuthPlain(t *testing.T) {
	for _, c := range []struct {
		name, top, listener string
		admin, open         int
		body                string
	}{
		{"plain", "", "", 421, 200, ""},
		{"behind a trusted proxy", "[client_ip]\ntrusted_proxies = [\"127.0.0.0/8\"]\n", "", 421, 200,
			"Client-Cert=:Zm9yZ2Vk:\nClient-Cert-Chain=:Zm9yZ2Vk:\nX-Client-Cert-Subject=CN=admin\nX-Client-Cert-Fingerprint=00\n"},
		{"redirect", "", "redirect = \"https\"\n", 308, 308, ""},
	} {
		dir := tempDir(t)
		ca, one, two := newIssuer(t, dir, "ca"), newIssuer(t, dir, "one"), newIssuer(t, dir, "two")
		e := newSecureEdge(t, dir, c.listener, c.top+policies(ca.server("admin.test"), one, two), tellCert)
		conn, err := net.Dial("tcp", e.plain)
		if err != nil {
			t.Fatal(err)
		}
		const https = "X-Forwarded-Proto: https\r\n" // not to be believed in any of these
		answers, bodies := sayHTTP1(t, conn, "GET / HTTP/1.1\r\nHost: admin.test\r\n"+forged+"\r\n", "GET / HTTP/1.1\r\nHost: open.test\r\n"+forged+"\r\n",
			"GET / HTTP/1.1\r\nHost: maybe.test\r\n"+forged+"\r\n", "GET / HTTP/1.1\r\nHost: x.corp.test:80\r\n"+https+forged+"\r\n")
		_ = conn.Close()
		for i, want := range []int{c.admin, c.open, c.open, c.admin} {
			if answers[i].StatusCode != want || want == 200 && bodies[i] != c.body {
				t.Errorf("%s, request %d: %d %q, want %d %q", c.name, i, answers[i].StatusCode, bodies[i], want, c.body)
			}
		}
		// Behind TLS nobody's word counts.
		if c.top != "" {
			_, bodies := sayHTTP1(t, dialTLS(t, e.secure, &tls.Config{InsecureSkipVerify: true, ServerName: "open.test"}), "GET / HTTP/1.1\r\nHost: open.test\r\n"+forged+"\r\n")
			if bodies[0] != "" {
				t.Errorf("over TLS the upstream was told %q", bodies[0])
			}
		}
	}
}

// TestForgedTrailers: what a client says of itself behind its body reaches nobody either.
func TestForgedTrailers(t *testing.T) {
	dir := tempDir(t)
	ca := newIssuer(t, dir, "ca")
	e := newSecureEdge(t, dir, "", ca.server("a.test")+anyHost, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = fmt.Fprint(w, r.Trailer)
	})
	for _, h2 := range []bool{false, true} {
		tr := &http.Transport{ForceAttemptHTTP2: h2, TLSClientConfig: &tls.Config{ServerName: "a.test", RootCAs: ca.pool()}}
		req, err := http.NewRequest(http.MethodPost, "https://"+e.secure+"/", io.NopCloser(strings.NewReader("body")))
		if err != nil {
			t.Fatal(err)
		}
		req.Trailer = http.Header{"X-Ok": {"1"}, "X-Client-Cert-Subject": {"CN=admin"}, "Client-Cert": {":Zm9yZ2Vk:"}, "X-Forwarded-For": {"192.0.2.1"}, "X-Real-Ip": {"192.0.2.1"}}
		resp, err := tr.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		tr.CloseIdleConnections()
		if (resp.ProtoMajor == 2) != h2 || strings.Contains(string(body), "CN=admin") || strings.Contains(string(body), "Zm9yZ2Vk") || strings.Contains(string(body), "192.0.2.1") ||
			!strings.Contains(string(body), "X-Ok:[1]") {
			t.Errorf("%s: the upstream was sent trailers %s", resp.Proto, body)
		}
	}
}

// crl is the [[tls.client_auth]] line of a revocation list.
func (i *issuer) crl(next time.Time, revoked ...tls.Certificate) string {
	i.t.Helper()
	list := &x509.RevocationList{Number: big.NewInt(time.Now().UnixNano()), ThisUpdate: time.Now().Add(-time.Hour), NextUpdate: next}
	for _, c := range revoked {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: c.Leaf.SerialNumber, RevocationTime: time.Now()})
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, i.cert, i.key)
	if err != nil {
		i.t.Fatal(err)
	}
	return fmt.Sprintf("crl = %q\n", i.write(i.name+".crl", "X509 CRL", der))
}

// TestClientAuthChanges: a reload that changes a policy, or what is in its files, counts for open connections with their next request and for kept sessions with their
// next handshake; a broken file changes nothing.
func TestClientAuthChanges(t *testing.T) {
	dir := tempDir(t)
	ca, one, two := newIssuer(t, dir, "ca"), newIssuer(t, dir, "one"), newIssuer(t, dir, "two")
	server := ca.server("admin.test")
	alice, bob := one.client("alice"), one.client("bob")
	policy := func(root, more string) string {
		return server + fmt.Sprintf("[[tls.client_auth]]\nhosts = [\"admin.test\"]\nca = %q\n", root) + more + anyHost
	}
	e := newSecureEdge(t, dir, "", policy(one.root(), one.crl(time.Now().Add(time.Hour))), tellCert)
	sessions := map[string]tls.ClientSessionCache{"alice": tls.NewLRUClientSessionCache(1), "bob": tls.NewLRUClientSessionCache(1)}
	ask := func(name string, cert tls.Certificate, version uint16) (resumed bool, err error) {
		conn, err := tls.Dial("tcp", e.secure, &tls.Config{ServerName: "admin.test", RootCAs: ca.pool(), Certificates: []tls.Certificate{cert},
			ClientSessionCache: sessions[name], MaxVersion: version})
		if err != nil {
			return false, err
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(60 * time.Second))
		_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: admin.test\r\nConnection: close\r\n\r\n")
		b, err := io.ReadAll(conn)
		if err == nil && strings.HasPrefix(string(b), "HTTP/1.1 421 ") { // the policy changed between handshake and request
			return false, errors.New("misdirected")
		}
		if err == nil && (!strings.HasPrefix(string(b), "HTTP/1.1 200 ") || !strings.Contains(string(b), "CN="+name)) {
			t.Fatalf("%s: answered %q", name, b)
		}
		return conn.ConnectionState().DidResume, err
	}
	expect := func(when, name string, cert tls.Certificate, resumed, refused bool) {
		t.Helper()
		did, err := ask(name, cert, tls.VersionTLS13)
		if refused != (err != nil) || !refused && did != resumed {
			t.Errorf("%s, %s: resumed %v, %v; want resumed %v, refused %v", when, name, did, err, resumed, refused)
		}
	}
	open := dialTLS(t, e.secure, &tls.Config{ServerName: "admin.test", RootCAs: ca.pool(), Certificates: []tls.Certificate{alice}})
	status := func() int {
		answers, _ := sayHTTP1(t, open, "GET / HTTP/1.1\r\nHost: admin.test\r\n\r\n")
		return answers[0].StatusCode
	}
	reload := func(text string) {
		e.write(e.text(dir, "", text))
		e.call(http.StatusOK, "POST", "/v1/reload", "")
	}
	expect("first", "alice", alice, false, false)
	expect("again", "alice", alice, true, false)
	expect("first", "bob", bob, false, false)
	if got := status(); got != http.StatusOK {
		t.Errorf("open connection: %d", got)
	}

	reload(policy(one.root(), one.crl(time.Now().Add(time.Hour), alice)))
	expect("revoked", "alice", alice, false, true)
	expect("the other is revoked", "bob", bob, false, false)
	expect("the other is revoked, again", "bob", bob, true, false)
	if got := status(); got != http.StatusMisdirectedRequest {
		t.Errorf("open connection of the revoked: %d", got)
	}

	reload(policy(two.root(), ""))
	expect("another CA", "bob", bob, false, true)
	reload(policy(one.root(), ""))
	expect("the first CA without a list", "alice", alice, false, false)

	if err := writeFile(one.root(), "no certificate"); err != nil {
		t.Fatal(err)
	}
	answer := e.call(http.StatusUnprocessableEntity, "POST", "/v1/reload", "")
	if !strings.Contains(answer, "no PEM certificate in the file") || !strings.Contains(answer, `"line":`) {
		t.Errorf("broken CA file: %s", answer)
	}
	expect("after a refused reload", "alice", alice, true, false)

	// The watcher, not a reload, finds what is in the files.
	if err := writeFile(two.dir+"/one.pem", pemText("CERTIFICATE", two.cert.Raw)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the new CA file is in force", func() bool {
		_, err := ask("alice", alice, tls.VersionTLS12)
		return err != nil
	})
	expect("a session of the file before", "alice", alice, false, true)
}

// TestClientAuthOverHTTP3: the same policies for the handshakes of QUIC and for each request on them.
func TestClientAuthOverHTTP3(t *testing.T) {
	dir := tempDir(t)
	ca, one, two := newIssuer(t, dir, "ca"), newIssuer(t, dir, "one"), newIssuer(t, dir, "two")
	address := porttest.Reserve(t)
	text := policies(ca.server("open.test", "admin.test"), one, two)
	text = strings.Replace(text, "[[tls.certificate]]", "[[listener]]\nname = \"quic\"\naddress = \""+address+"\"\ntls = true\nprotocols = [\"http/1.1\", \"h2\", \"h3\"]\n[[tls.certificate]]", 1)
	newSecureEdge(t, dir, "", text, tellCert)
	good := one.client("alice")
	for _, c := range []struct {
		sni, host string
		certs     []tls.Certificate
		status    int // 0: no handshake
	}{
		{"open.test", "open.test", nil, http.StatusOK},
		{"admin.test", "admin.test", []tls.Certificate{good}, http.StatusOK},
		{"admin.test", "admin.test", nil, 0},
		{"open.test", "admin.test", []tls.Certificate{good}, http.StatusMisdirectedRequest},
		{"admin.test", "open.test", []tls.Certificate{good}, http.StatusMisdirectedRequest},
	} {
		tr := &http3.Transport{TLSClientConfig: &tls.Config{ServerName: c.sni, RootCAs: ca.pool(), Certificates: c.certs}}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+address+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = c.host
		resp, err := tr.RoundTrip(req)
		if c.status == 0 {
			if err == nil {
				t.Errorf("%s without a certificate: %s", c.host, resp.Status)
			}
			_ = tr.Close()
			continue
		}
		if err != nil {
			t.Fatalf("%s on a connection for %s: %v", c.host, c.sni, err)
		}
		body, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != c.status || strings.Contains(string(body), "CN=alice") != (c.status == http.StatusOK && c.certs != nil) {
			t.Errorf("%s on a connection for %s: %s %q, want %d", c.host, c.sni, resp.Status, body, c.status)
		}
		_ = tr.Close()
	}
}
