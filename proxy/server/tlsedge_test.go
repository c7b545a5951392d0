package server_test

import (
	"bufio"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valor-ivx/weir/proxy/porttest"
)

// issuer is a CA of one test, for servers and for clients.
type issuer struct {
	t      *testing.T
	dir    string
	name   string
	cert   *x509.Certificate
	key    crypto.Signer
	serial int64
}

func newIssuer(t *testing.T, dir, name string) *issuer {
	t.Helper()
	i := &issuer{t: t, dir: dir, name: name, key: newKey(t), serial: 1}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	i.cert = i.sign(template, template, i.key.Public())
	return i
}

func newKey(t *testing.T) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (i *issuer) sign(template, parent *x509.Certificate, public crypto.PublicKey) *x509.Certificate {
	i.t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, i.key)
	if err != nil {
		i.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		i.t.Fatal(err)
	}
	return cert
}

func (i *issuer) write(name, kind string, der []byte) string {
	i.t.Helper()
	path := filepath.Join(i.dir, name)
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		i.t.Fatal(err)
	}
	return path
}

// root is the file of the CA's own certificate.
func (i *issuer) root() string { return i.write(i.name+".pem", "CERTIFICATE", i.cert.Raw) }

func (i *issuer) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(i.cert)
	return pool
}

// server gives the [[tls.certificate]] of a certificate for names.
func (i *issuer) server(names ...string) string {
	i.t.Helper()
	key := newKey(i.t)
	i.serial++
	template := &x509.Certificate{
		SerialNumber: big.NewInt(i.serial), Subject: pkix.Name{CommonName: names[0]}, DNSNames: names,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		i.t.Fatal(err)
	}
	file := fmt.Sprintf("%s-%d", i.name, i.serial)
	return fmt.Sprintf("[[tls.certificate]]\ncert = %q\nkey = %q\n",
		i.write(file+".pem", "CERTIFICATE", i.sign(template, i.cert, key.Public()).Raw), i.write(file+".key", "PRIVATE KEY", der))
}

// client is a certificate for a client.
func (i *issuer) client(name string) tls.Certificate {
	i.t.Helper()
	key := newKey(i.t)
	i.serial++
	template := &x509.Certificate{
		SerialNumber: big.NewInt(i.serial), Subject: pkix.Name{CommonName: name, Organization: []string{"Örg\r\nX-Evil: 1"}}, DNSNames: []string{"client.test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	leaf := i.sign(template, i.cert, key.Public())
	return tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key, Leaf: leaf}
}

// secureEdge is a server in this process with a plain listener and one with TLS.
type secureEdge struct {
	*running
	plain, secure string
	hits          atomic.Int64 // requests that reached the upstream
	upstream      string
}

// newSecureEdge runs text behind what every test here has: admin, log, the two listeners and a service "api" whose upstream is h.
// more is added to both listeners.
func newSecureEdge(t *testing.T, dir, more, text string, h http.HandlerFunc) *secureEdge {
	t.Helper()
	e := &secureEdge{secure: porttest.Reserve(t)}
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e.hits.Add(1)
		h(w, r)
	}))
	t.Cleanup(up.Close)
	e.upstream = up.Listener.Addr().String()
	e.running = run(t, dir, e.text(dir, more, text))
	e.plain = e.address
	t.Cleanup(e.stop)
	return e
}

func (e *secureEdge) text(dir, more, text string) string {
	return fmt.Sprintf("[admin]\naddress = \"unix://%s/admin.sock\"\nstate_dir = \"state\"\n[log]\noutput = \"log\"\n"+
		"[[listener]]\nname = \"plain\"\naddress = \"127.0.0.1:0\"\n%[2]s[[listener]]\nname = \"secure\"\naddress = %[3]q\ntls = true\n"+
		"[service.api.group.blue]\ntargets = [%[4]q]\n%[5]s", dir, more, e.secure, e.upstream, text)
}

// tempDir is a short one that is removed after everything that a later Cleanup does.
func tempDir(t *testing.T) string {
	dir := shortDir(t)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// metrics is a scrape.
func (e *secureEdge) metrics() string {
	e.t.Helper()
	return e.call(http.StatusOK, "GET", "/metrics", "")
}

// expectMetrics holds a scrape to lines.
func (e *secureEdge) expectMetrics(lines ...string) {
	e.t.Helper()
	text := ""
	for _, line := range lines {
		ok := func() bool { text = e.metrics(); return strings.Contains(text, "\n"+line+"\n") }
		if !ok() { // what a connection does last may follow what its client sees
			eventually(e.t, line, ok)
		}
	}
}

// sayHTTP1 sends raw requests on one connection and reads as many answers, with their bodies.
func sayHTTP1(t *testing.T, conn net.Conn, raws ...string) (answers []*http.Response, bodies []string) {
	t.Helper()
	_ = conn.SetDeadline(time.Now().Add(60 * time.Second))
	r := bufio.NewReader(conn)
	for _, raw := range raws {
		if _, err := io.WriteString(conn, raw); err != nil {
			t.Fatal(err)
		}
		method, _, _ := strings.Cut(raw, " ")
		resp, err := http.ReadResponse(r, &http.Request{Method: method})
		if err != nil {
			t.Fatalf("%q: %v", raw, err)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatalf("%q: %v", raw, err)
		}
		answers, bodies = append(answers, resp), append(bodies, string(body))
	}
	return answers, bodies
}

func pemText(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// writeFile replaces a file as a whole.
func writeFile(path, text string) error {
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
