package app

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// TestCertificateIsReplaced: a new pair is in force when it is looked for; one that is none, or half there, leaves the old one and is complained of once.
func TestCertificateIsReplaced(t *testing.T) {
	dir := t.TempDir()
	c := Config{TLSCert: filepath.Join(dir, "c.pem"), TLSKey: filepath.Join(dir, "k.pem")}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	stamped := now
	save := func(path string, data []byte) {
		t.Helper()
		stamped = stamped.Add(time.Second) // not the file system's clock, which may be coarse
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, stamped, stamped); err != nil {
			t.Fatal(err)
		}
	}
	cert, key := selfSigned(t, 1)
	save(c.TLSCert, cert)
	save(c.TLSKey, key)
	core, logs := observer.New(zap.InfoLevel)
	p := &certificate{certFile: c.TLSCert, keyFile: c.TLSKey, log: zap.New(core), now: func() time.Time { return now }}
	serial := func(want int64, wait time.Duration) {
		t.Helper()
		now = now.Add(wait)
		got, err := p.get(nil)
		if err != nil || got.Leaf.SerialNumber.Int64() != want {
			t.Fatalf("serial %v, %v, want %d", got.Leaf.SerialNumber, err, want)
		}
	}
	serial(1, 0)
	cert, key = selfSigned(t, 2)
	save(c.TLSCert, cert)
	serial(1, recheck-1)
	serial(1, 1) // its key is not there yet
	serial(1, recheck)
	save(c.TLSKey, key)
	serial(1, recheck-1)
	serial(2, 1)
	save(c.TLSCert, bytes.Repeat([]byte("x"), len(cert)))
	serial(2, recheck)
	serial(2, recheck)
	if err := os.Remove(c.TLSKey); err != nil {
		t.Fatal(err)
	}
	serial(2, recheck)
	cert, key = selfSigned(t, 3)
	save(c.TLSCert, cert)
	save(c.TLSKey, key)
	serial(3, recheck)
	if bad, good := logs.FilterLevelExact(zap.ErrorLevel).Len(), logs.FilterMessage("certificate replaced").Len(); bad != 3 || good != 3 {
		t.Errorf("%d complaints, %d replacements: %v", bad, good, logs.All())
	}
	if _, err := loadCertificate(Config{TLSCert: "/nonexistent", TLSKey: "/nonexistent"}, zap.NewNop()); err == nil {
		t.Error("no certificate at the start is no certificate")
	}
}

func selfSigned(t *testing.T, serial int64) (cert, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), DNSNames: []string{"valor.test"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
}
