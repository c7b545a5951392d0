package server_test

import (
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
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"
)

// TestStapleOfAPair: a pair of files whose certificate names a responder is stapled through the real listener, at the first handshake after a restart too,
// while the responder is down.
func TestStapleOfAPair(t *testing.T) {
	dir := shortDir(t)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	var down atomic.Bool
	var issuer *x509.Certificate
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	responder := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		q, bad := ocsp.ParseRequest(body)
		if err != nil || bad != nil || down.Load() {
			http.Error(w, "down", http.StatusServiceUnavailable)
			return
		}
		raw, err := ocsp.CreateResponse(issuer, issuer, ocsp.Response{SerialNumber: q.SerialNumber, Status: ocsp.Good,
			ThisUpdate: time.Now().Add(-time.Minute), NextUpdate: time.Now().Add(time.Hour)}, key)
		if err != nil {
			t.Error(err)
		}
		_, _ = w.Write(raw)
	}))
	defer responder.Close()
	sign := func(template, parent *x509.Certificate, public crypto.PublicKey) *x509.Certificate {
		template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
		der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
		if err != nil {
			t.Fatal(err)
		}
		c, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	root := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "root"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign}
	issuer = sign(root, root, key.Public())
	leaf := sign(&x509.Certificate{SerialNumber: big.NewInt(2), DNSNames: []string{"a.test"}, OCSPServer: []string{responder.URL},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}, issuer, key.Public())
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "pair.pem")
	var pair []byte
	for _, block := range []*pem.Block{{Type: "CERTIFICATE", Bytes: leaf.Raw}, {Type: "CERTIFICATE", Bytes: issuer.Raw}, {Type: "PRIVATE KEY", Bytes: der}} {
		pair = append(pair, pem.EncodeToMemory(block)...)
	}
	if err := os.WriteFile(file, pair, 0o600); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("[admin]\naddress = \"unix://%s/admin.sock\"\nstate_dir = \"state\"\n[log]\naccess = \"off\"\noutput = \"log\"\n"+
		"[[tls.certificate]]\ncert = %q\nkey = %q\n[[listener]]\naddress = \"127.0.0.1:0\"\ntls = true\n"+
		"[[route]]\nservice = \"api\"\n[service.api.group.blue]\ntargets = [\"127.0.0.1:1\"]\n", dir, file, file)
	client := &tls.Config{ServerName: "a.test", RootCAs: x509.NewCertPool()}
	client.RootCAs.AddCert(issuer)
	staple := func(address string) []byte {
		conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 60 * time.Second}, "tcp", address, client)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		return conn.OCSPResponse()
	}
	r := run(t, dir, text)
	eventually(t, "a staple", func() bool { return staple(r.address) != nil })
	r.stop()
	down.Store(true)
	r = run(t, dir, text)
	raw := staple(r.address)
	if answer, err := ocsp.ParseResponseForCert(raw, leaf, issuer); err != nil || answer.Status != ocsp.Good {
		t.Errorf("after a restart: %v %v", answer, err)
	}
	r.stop()
}
