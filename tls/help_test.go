package edgetls_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	edgetls "github.com/valor-ivx/weir/tls"
)

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// authority issues the certificates of one test.
type authority struct {
	t      testing.TB
	dir    string
	cert   *x509.Certificate
	key    crypto.Signer
	serial int64

	// Of leaves made from now on.
	responder  string
	mustStaple bool
}

func ecKey(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func rsaKey(t testing.TB, bits int) crypto.Signer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir(), key: ecKey(t), serial: 1}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: now.AddDate(-5, 0, 0), NotAfter: now.AddDate(5, 0, 0), KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	a.cert = a.sign(template, template, a.key.Public())
	return a
}

func (a *authority) sign(template, parent *x509.Certificate, public crypto.PublicKey) *x509.Certificate {
	a.t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// leaf writes NAME.crt (leaf and CA) and NAME.key.
func (a *authority) leaf(name string, key crypto.Signer, expires time.Time, hosts ...string) edgetls.Pair {
	a.t.Helper()
	a.serial++
	template := &x509.Certificate{
		SerialNumber: big.NewInt(a.serial), Subject: pkix.Name{CommonName: name}, NotBefore: expires.AddDate(0, 0, -90), NotAfter: expires,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, h)
		}
	}
	if a.responder != "" {
		template.OCSPServer = []string{a.responder}
	}
	if a.mustStaple {
		template.ExtraExtensions = append(template.ExtraExtensions, pkix.Extension{ // RFC 7633: features, status_request
			Id: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 24}, Value: []byte{0x30, 0x03, 0x02, 0x01, 0x05}})
	}
	cert := a.sign(template, a.cert, key.Public())
	return edgetls.Pair{Cert: a.write(name+".crt", chainPEM(cert, a.cert)), Key: a.write(name+".key", keyPEM(a.t, key))}
}

func (a *authority) write(name string, data []byte) string {
	a.t.Helper()
	file := filepath.Join(a.dir, name)
	if err := os.WriteFile(file, data, 0o600); err != nil {
		a.t.Fatal(err)
	}
	return file
}

func chainPEM(certs ...*x509.Certificate) []byte {
	var out []byte
	for _, c := range certs {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return out
}

func keyPEM(t testing.TB, key crypto.Signer) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func load(t testing.TB, pairs ...edgetls.Pair) *edgetls.Store {
	t.Helper()
	s, err := edgetls.Load(pairs, now)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func manager(t testing.TB, pairs ...edgetls.Pair) *edgetls.Manager {
	t.Helper()
	m := edgetls.NewManager()
	s, err := m.Prepare(pairs, now)
	if err != nil {
		t.Fatal(err)
	}
	m.Commit(s)
	return m
}

// serve echoes what TLS clients send on a listener of its own and returns its address. It ends with the test.
func serve(t testing.TB, config *tls.Config) string {
	t.Helper()
	config.Time = func() time.Time { return now } // tickets of a fixed clock
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conns.Go(func() {
				defer c.Close()
				_ = c.SetDeadline(time.Now().Add(60 * time.Second))
				s := tls.Server(c, config)
				if s.Handshake() == nil {
					_, _ = io.Copy(s, s)
				}
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		conns.Wait()
	})
	return l.Addr().String()
}

// dial makes a handshake and one echo, so that session tickets of TLS 1.3 have arrived. The connection ends with the test.
func dial(t testing.TB, address string, config *tls.Config) (*tls.Conn, error) {
	t.Helper()
	raw, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { raw.Close() })
	if err := raw.SetDeadline(time.Now().Add(60 * time.Second)); err != nil {
		return nil, err
	}
	c := tls.Client(raw, config)
	if err := c.Handshake(); err != nil {
		raw.Close()
		return nil, err
	}
	return c, echo(c)
}

func echo(c net.Conn) error {
	if _, err := c.Write([]byte("x")); err != nil {
		return err
	}
	_, err := io.ReadFull(c, make([]byte, 1))
	return err
}

// served is the common name of the certificate that a client gets, which the tests set to the name of its file.
func served(c *tls.Conn) string { return c.ConnectionState().PeerCertificates[0].Subject.CommonName }
