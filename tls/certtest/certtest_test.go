package certtest_test

import (
	"crypto/tls"
	"crypto/x509"
	"testing"
	"time"

	"github.com/valor-ivx/weir/tls/certtest"
)

// TestNew: what a CA has signed is good for its hosts by that CA's pool, and by no other; the PEM is that certificate and its key.
func TestNew(t *testing.T) {
	ca := certtest.CA(t)
	c := certtest.New(t, certtest.For("a.test", "127.0.0.1"), ca)
	for host, pool := range map[string]*x509.CertPool{"a.test": ca.Pool(), "127.0.0.1": ca.Pool()} {
		if _, err := c.Verify(x509.VerifyOptions{DNSName: host, Roots: pool}); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
	if _, err := c.Verify(x509.VerifyOptions{Roots: certtest.CA(t).Pool()}); err == nil {
		t.Error("good by another CA")
	}
	pair, err := tls.X509KeyPair(c.PEM, c.KeyPEM)
	if err != nil || !pair.Leaf.Equal(c.TLS().Leaf) {
		t.Errorf("PEM: %v", err)
	}
	template := certtest.For("a.test")
	template.NotAfter = time.Now().Add(-time.Minute)
	if late := certtest.New(t, template, nil); late.NotAfter.After(time.Now()) {
		t.Errorf("valid until %v", late.NotAfter)
	}
}
