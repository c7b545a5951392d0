package edgetls_test

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	edgetls "github.com/valor-ivx/weir/tls"
)

// revocations is a list signed by a, good until next.
func (a *authority) revocations(next time.Time) []byte {
	a.t.Helper()
	der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: now, NextUpdate: next}, a.cert, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der})
}

// What the files of a policy may be, and what is taken with a warning.
func TestNewClientAuth(t *testing.T) {
	a, b := newAuthority(t), newAuthority(t)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
	later := now.AddDate(10, 0, 0)
	for _, c := range []struct {
		name    string
		ca, crl []byte
		at      time.Time
		err     string
		warning string
	}{
		{"CA alone", ca, nil, now, "", ""},
		{"with a list", ca, a.revocations(now.Add(time.Hour)), now, "", ""},
		{"a list past its date", ca, a.revocations(now.Add(time.Hour)), now.Add(2 * time.Hour), "", "should have been replaced"},
		{"an expired CA", ca, nil, later, "", "expired on"},
		{"no CA", nil, nil, now, "no PEM certificate", ""},
		{"a broken CA", []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), nil, now, "read client CA", ""},
		{"an empty list", ca, []byte{}, now, "no PEM block X509 CRL", ""},
		{"a broken list", ca, []byte("-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n"), now, "read CRL", ""},
		{"somebody else's list", ca, b.revocations(later), now, "did not sign it", ""},
	} {
		_, warnings, err := edgetls.NewClientAuth(edgetls.ClientAuthOptions{CA: c.ca, CRL: c.crl, Required: true}, c.at)
		if (c.err == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %v, want %q", c.name, err, c.err)
		}
		if got := strings.Join(warnings, "\n"); (c.warning == "") != (got == "") || !strings.Contains(got, c.warning) {
			t.Errorf("%s: warned %q, want %q", c.name, got, c.warning)
		}
	}
}
