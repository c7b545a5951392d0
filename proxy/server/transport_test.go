package server_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/valor-ivx/weir/proxy/server"
	"github.com/valor-ivx/weir/tls/certtest"
)

// authority is a CA of a test's own.
type authority struct {
	ca  *certtest.Certificate
	pem []byte
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	ca := certtest.CA(t)
	return &authority{ca, ca.PEM}
}

// pair is a certificate for a name or an address, and its key, in PEM.
func (a *authority) pair(t testing.TB, name string, until time.Time) (cert, key []byte) {
	t.Helper()
	template := certtest.For(name)
	template.NotAfter = until
	c := certtest.New(t, template, a.ca)
	return c.PEM, c.KeyPEM
}

// secureUpstream is an HTTPS server that counts what it is asked, and asks for client certificates if it has a CA for them.
type secureUpstream struct {
	address string
	served  atomic.Int64
	conns   atomic.Int64
}

func newSecureUpstream(t testing.TB, a *authority, name string, until time.Time, clients *authority) *secureUpstream {
	t.Helper()
	pair, err := tls.X509KeyPair(a.pair(t, name, until))
	if err != nil {
		t.Fatal(err)
	}
	c := &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{"http/1.1"}}
	if clients != nil {
		c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, clients.ca.Pool()
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	u := &secureUpstream{address: l.Addr().String()}
	srv := &http.Server{
		Handler:  http.HandlerFunc(u.serve),
		ErrorLog: log.New(io.Discard, "", 0), // handshakes fail here on purpose
		ConnState: func(_ net.Conn, s http.ConnState) {
			if s == http.StateNew {
				u.conns.Add(1)
			}
		},
	}
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(tls.NewListener(l, c)) }()
	t.Cleanup(func() {
		_ = srv.Close()
		<-ended
	})
	return u
}

func (u *secureUpstream) serve(w http.ResponseWriter, r *http.Request) {
	u.served.Add(1)
	switch r.URL.Path {
	case "/ws":
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		kind, b, err := c.Read(r.Context())
		if err == nil && c.Write(r.Context(), kind, append([]byte("echo "), b...)) == nil {
			_ = c.Close(websocket.StatusNormalClosure, "")
		}
	case "/large":
		_, _ = w.Write(bytes.Repeat([]byte("0123456789abcdef"), 1<<16))
	default:
		b, _ := io.ReadAll(r.Body)
		client := ""
		if len(r.TLS.PeerCertificates) > 0 {
			client = r.TLS.PeerCertificates[0].DNSNames[0]
		}
		fmt.Fprintf(w, "%s %s client=%s body=%d %x", r.TLS.ServerName, r.TLS.NegotiatedProtocol, client, len(b), b[:min(len(b), 4)])
	}
}

// secureText is a configuration of one service by https; the JSON access log goes to the file log.
func secureText(dir, upstream, tlsTable string) string {
	return "[admin]\naddress = \"unix://" + dir + "/admin.sock\"\nstate_dir = \"state\"\n[log]\noutput = \"log\"\n[[listener]]\nname = \"http\"\naddress = \"127.0.0.1:0\"\n" +
		"[[route]]\nname = \"all\"\nservice = \"api\"\n[service.api]\nprotocol = \"https\"\n" + tlsTable + "[service.api.group.blue]\ntargets = [\"" + upstream + "\"]\n"
}

// secureRun starts a server on secureText with files beside it.
func secureRun(t *testing.T, upstream, tlsTable string, files map[string][]byte) *running {
	t.Helper()
	dir := shortDir(t)
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r := run(t, dir, secureText(dir, upstream, tlsTable))
	t.Cleanup(func() {
		r.stop()
		_ = os.RemoveAll(dir)
	})
	return r
}

func (r *running) fetch(method, path string, body []byte) (int, string) {
	r.t.Helper()
	req, err := http.NewRequest(method, "http://"+r.address+path, bytes.NewReader(body))
	if err != nil {
		r.t.Fatalf("%v", err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatalf("%s %s: %v", method, path, err)
	}
	return res.StatusCode, string(b)
}

// fetch is one request on the connection, which goes on after it.
func (c *connection) fetch(t *testing.T, method, path string, body []byte) (status int, answer string) {
	t.Helper()
	_ = c.conn.SetDeadline(time.Now().Add(60 * time.Second))
	sent := make(chan error, 1)
	go func() {
		_, err := fmt.Fprintf(c.conn, "%s %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", method, path, len(body), body)
		sent <- err
	}()
	res, err := http.ReadResponse(c.r, nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(res.Body)
	if err := errors.Join(err, <-sent); err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

// TestTLSToUpstream: bodies of all kinds and an upgrade, on connections that are kept.
func TestTLSToUpstream(t *testing.T) {
	ca := newAuthority(t)
	up := newSecureUpstream(t, ca, "api.internal", time.Now().Add(time.Hour), ca)
	cert, key := ca.pair(t, "weir", time.Now().Add(time.Hour))
	r := secureRun(t, up.address, "[service.api.tls]\nca = \"ca.pem\"\nserver_name = \"api.internal\"\ncert = \"c.pem\"\nkey = \"k.pem\"\n",
		map[string][]byte{"ca.pem": ca.pem, "c.pem": cert, "k.pem": key})
	// One client connection: the edge takes the next request off it when the upstream's connection is back in its pool, which a client with two cannot know.
	for _, size := range []int{0, 100, 100 << 10, 3 << 20} {
		want := fmt.Sprintf("api.internal http/1.1 client=weir body=%d", size)
		for range 3 {
			if status, body := r.client.fetch(t, "POST", "/", bytes.Repeat([]byte("x"), size)); status != http.StatusOK || !strings.HasPrefix(body, want) {
				t.Errorf("%d bytes: %d %q", size, status, body)
			}
		}
	}
	for range 3 {
		if status, body := r.client.fetch(t, "GET", "/large", nil); status != http.StatusOK || len(body) != 1<<20 {
			t.Errorf("large answer: %d, %d bytes", status, len(body))
		}
	}
	if n := up.conns.Load(); n != 1 {
		t.Errorf("%d connections for 15 requests, one after the other", n)
	}
	c, res, err := websocket.Dial(t.Context(), "ws://"+r.address+"/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	if res.Body != nil {
		_ = res.Body.Close()
	}
	if err := c.Write(t.Context(), websocket.MessageText, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if _, b, err := c.Read(t.Context()); err != nil || string(b) != "echo hello" {
		t.Errorf("through the tunnel: %q, %v", b, err)
	}
	_, _, _ = c.Read(t.Context()) // the close
	_ = c.CloseNow()
}

// TestUntrustedUpstream: no request reaches a target that is not who it should be, or that does not take us for who we are; the log says which it was.
func TestUntrustedUpstream(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	later := time.Now().Add(time.Hour)
	trust := "[service.api.tls]\nca = \"ca.pem\"\n"
	for _, c := range []struct {
		name, table    string
		up             *secureUpstream
		reason, detail string
	}{
		{"expired", trust, newSecureUpstream(t, ca, "127.0.0.1", time.Now().Add(-time.Minute), nil), "tls_certificate_error", "expired"},
		{"wrong name", trust, newSecureUpstream(t, ca, "elsewhere", later, nil), "tls_certificate_error", "127.0.0.1"},
		{"unknown CA", trust, newSecureUpstream(t, other, "127.0.0.1", later, nil), "tls_certificate_error", "unknown authority"},
		{"not of the system's", "", newSecureUpstream(t, ca, "127.0.0.1", later, nil), "tls_certificate_error", "unknown authority"},
		{"no client certificate", trust, newSecureUpstream(t, ca, "127.0.0.1", later, ca), "tls_alert_received", "certificate required"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := secureRun(t, c.up.address, c.table, map[string][]byte{"ca.pem": ca.pem})
			for _, method := range []string{"GET", "POST"} {
				status, body := r.fetch(method, "/", []byte("secret"))
				if status != http.StatusBadGateway || !strings.Contains(body, `"reason":"`+c.reason+`"`) || strings.Contains(body, c.detail) {
					t.Errorf("%s: %d %s", method, status, body)
				}
			}
			if n := c.up.served.Load(); n != 0 {
				t.Errorf("%d requests were forwarded", n)
			}
			eventually(t, "two lines in the access log", func() bool {
				b, err := os.ReadFile(filepath.Join(r.dir, "log"))
				if err != nil {
					t.Fatal(err)
				}
				n := 0
				for line := range strings.Lines(string(b)) {
					if strings.Contains(line, `"weir.reason":"`+c.reason+`"`) && strings.Contains(line, c.detail) {
						n++
					}
				}
				return n == 2
			})
		})
	}
}

// TestUntrustedTargetIsPassedOver: like one that refuses connections, for every method, since it has seen nothing of the request.
func TestUntrustedTargetIsPassedOver(t *testing.T) {
	ca := newAuthority(t)
	later := time.Now().Add(time.Hour)
	good, bad := newSecureUpstream(t, ca, "127.0.0.1", later, nil), newSecureUpstream(t, newAuthority(t), "127.0.0.1", later, nil)
	r := secureRun(t, good.address+`", "`+bad.address, "balance = \"round_robin\"\nejection = { max_ejected = 0.0 }\n[service.api.tls]\nca = \"ca.pem\"\n", map[string][]byte{"ca.pem": ca.pem})
	for i := range 6 {
		if status, body := r.fetch("POST", "/", []byte("once")); status != http.StatusOK {
			t.Errorf("request %d: %d %s", i, status, body)
		}
	}
	if n := bad.served.Load(); n != 0 {
		t.Errorf("%d requests reached the untrusted target", n)
	}
	if n := good.served.Load(); n != 6 {
		t.Errorf("%d requests were served, want 6", n)
	}
	m := r.call(http.StatusOK, "GET", "/metrics", "")
	if !regexp.MustCompile(`weir_upstream_retries_total\{reason="tls_certificate_error",service="api"\} [1-9]`).MatchString(m) {
		t.Error("no retry for the certificate was counted")
	}
}

// TestUpstreamTLSFilesAreWatched: a CA that is replaced on disk is the one that new connections trust, while requests under way go on with the old.
func TestUpstreamTLSFilesAreWatched(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	up := newSecureUpstream(t, ca, "127.0.0.1", time.Now().Add(time.Hour), nil)
	r := secureRun(t, up.address, "[service.api.tls]\nca = \"ca.pem\"\n", map[string][]byte{"ca.pem": ca.pem})
	if status, body := r.fetch("GET", "/", nil); status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	// A request whose body is still coming when the CA changes.
	slow, err := net.Dial("tcp", r.address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = slow.Close() }()
	before := up.served.Load()
	_, _ = io.WriteString(slow, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nab")
	eventually(t, "the slow request is at the upstream", func() bool { return up.served.Load() > before })
	replace := func(data []byte) {
		path := filepath.Join(r.dir, "ca.pem")
		if err := os.WriteFile(path+".new", data, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	replace(other.pem)
	eventually(t, "the other CA", func() bool { status, _ := r.fetch("GET", "/", nil); return status == http.StatusBadGateway })
	_, _ = io.WriteString(slow, "cd")
	_ = slow.SetReadDeadline(time.Now().Add(60 * time.Second))
	res, err := http.ReadResponse(bufio.NewReader(slow), nil)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Errorf("the request under way: %v %v", res, err)
	}
	if err == nil {
		_ = res.Body.Close()
	}
	replace([]byte("broken")) // refused: what was in force stays
	eventually(t, "the refused reload", func() bool {
		return strings.Contains(r.call(http.StatusOK, "GET", "/metrics", ""), "weir_config_last_reload_successful 0")
	})
	if status, _ := r.fetch("GET", "/", nil); status != http.StatusBadGateway {
		t.Errorf("after a refused reload: %d", status)
	}
	replace(ca.pem)
	eventually(t, "the first CA again", func() bool { status, _ := r.fetch("GET", "/", nil); return status == http.StatusOK })
}

// TestInsecureUpstreamIsWarnedOf in check, at reload and in status, for as long as it is on.
func TestInsecureUpstreamIsWarnedOf(t *testing.T) {
	up := newSecureUpstream(t, newAuthority(t), "elsewhere", time.Now().Add(time.Hour), nil)
	r := secureRun(t, up.address, "[service.api.tls]\ninsecure_skip_verify = true\n", nil)
	if status, body := r.fetch("GET", "/", nil); status != http.StatusOK {
		t.Errorf("%d %s", status, body)
	}
	const want = "service api: insecure_skip_verify"
	if !slices.ContainsFunc(r.status().Warnings, func(w string) bool { return strings.HasPrefix(w, want) }) {
		t.Errorf("status: %q", r.status().Warnings)
	}
	var out bytes.Buffer
	if !server.Check(filepath.Join(r.dir, "weir.toml"), &out) || !strings.Contains(out.String(), "warning: "+want) {
		t.Errorf("check: %s", out.String())
	}
	cert, key := newAuthority(t).pair(t, "weir", time.Now().Add(-time.Minute))
	if err := os.WriteFile(filepath.Join(r.dir, "pair.pem"), slices.Concat(cert, key), 0o600); err != nil {
		t.Fatal(err)
	}
	r.write(secureText(r.dir, up.address, "[service.api.tls]\ncert = \"pair.pem\"\nkey = \"pair.pem\"\n"))
	if w := reloadWarnings(t, r); len(w) != 1 || !strings.Contains(w[0], "pair.pem expired on") {
		t.Errorf("a client certificate that has expired: %q", w)
	}
	r.write(secureText(r.dir, up.address, ""))
	if w := reloadWarnings(t, r); len(w) != 0 {
		t.Errorf("still warned: %q", w)
	}
}
