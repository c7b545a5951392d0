package edgetls

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// Pair names the PEM files of one certificate: the chain, leaf first, and the key. Both may be the same file,
// which alone lets a pair be replaced atomically.
type Pair struct {
	Cert, Key string
}

// maxFile bounds a PEM file. A chain of ten RSA-4096 certificates is about 30 KiB; what is larger was named by mistake.
const maxFile = 1 << 20

// certificate is one loaded pair.
type certificate struct {
	tls   tls.Certificate // Leaf is set
	pair  Pair
	names []string // DNS names in lower case

	addresses []string // IP addresses, by which only managed certificates are found
}

func (p Pair) load() (*certificate, error) {
	chain, err := readFile(p.Cert)
	if err != nil {
		return nil, fmt.Errorf("read certificate: %w", err)
	}
	key := chain // one file is read once: it may be replaced between two reads
	if p.Key != p.Cert {
		if key, err = readFile(p.Key); err != nil {
			return nil, fmt.Errorf("read key: %w", err)
		}
	}
	pair, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return nil, fmt.Errorf("load certificate %s with key %s: %w", p.Cert, p.Key, err)
	}
	c := &certificate{tls: pair, pair: p}
	for _, name := range pair.Leaf.DNSNames {
		c.names = append(c.names, strings.ToLower(strings.TrimSuffix(name, ".")))
	}
	return c, nil
}

// readFile reads a regular file only: a FIFO or terminal named by mistake would block the reload.
func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = errors.New("larger than 1 MiB")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return data, nil
}

// warnings are what is served all the same: an expired certificate is better than no listener, and says so in the browser too.
func (c *certificate) warnings(now time.Time) []string {
	var out []string
	warn := func(format string, args ...any) {
		out = append(out, fmt.Sprintf("certificate %s: ", c.pair.Cert)+fmt.Sprintf(format, args...))
	}
	leaf := c.tls.Leaf
	switch {
	case now.After(leaf.NotAfter):
		warn("expired on %s", leaf.NotAfter.UTC().Format(time.RFC3339))
	case now.Before(leaf.NotBefore):
		warn("is not valid before %s", leaf.NotBefore.UTC().Format(time.RFC3339))
	}
	if len(leaf.DNSNames)+len(leaf.IPAddresses) == 0 {
		warn("has no subject alternative name: clients trust it for no host (RFC 9110 §4.3.4)")
	}
	if key, ok := leaf.PublicKey.(*rsa.PublicKey); ok && key.N.BitLen() < 2048 {
		warn("has an RSA key of %d bits: clients ask for 2048", key.N.BitLen())
	}
	if demandsStaple(leaf) && (len(leaf.OCSPServer) == 0 || len(c.tls.Certificate) < 2) {
		warn("demands OCSP staples, which there cannot be: %s", "it names no responder, or the chain lacks its issuer")
	}
	if err := checkChain(leaf, c.tls.Certificate[1:]); err != nil {
		warn("%v", err)
	}
	return out
}

// checkChain holds that each certificate of the file was issued by the next (RFC 5246 §7.4.2). TLS 1.3 lets clients sort them out;
// those that do not would fail where a browser with a full cache works.
func checkChain(leaf *x509.Certificate, rest [][]byte) error {
	child := leaf
	for i, der := range rest {
		issuer, err := x509.ParseCertificate(der)
		if err != nil {
			return fmt.Errorf("certificate %d of the chain does not parse: %w", i+2, err)
		}
		if !bytes.Equal(child.RawIssuer, issuer.RawSubject) || child.CheckSignatureFrom(issuer) != nil {
			return fmt.Errorf("certificate %d of the chain did not issue number %d: the order must be leaf, intermediates", i+2, i+1)
		}
		child = issuer
	}
	return nil
}

// keyType is the algorithm as List shows it.
func keyType(leaf *x509.Certificate) string {
	switch key := leaf.PublicKey.(type) {
	case *ecdsa.PublicKey:
		return "ECDSA " + key.Curve.Params().Name
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA %d", key.N.BitLen())
	case ed25519.PublicKey:
		return "Ed25519"
	}
	return leaf.PublicKeyAlgorithm.String()
}

// subject is what metrics and lists call a certificate: its first name or address, else its common name.
func (c *certificate) subject() string {
	switch leaf := c.tls.Leaf; {
	case len(c.names) > 0:
		return c.names[0]
	case len(leaf.IPAddresses) > 0:
		return leaf.IPAddresses[0].String()
	default:
		return leaf.Subject.CommonName
	}
}

// rank orders the certificates of one name, lower first: one that is valid now, then the key whose signature costs the edge
// least (P-256 about 20 µs, RSA-2048 about 1 ms). A client that cannot use the first gets the next.
func (c *certificate) rank(now time.Time) int {
	rank := 0
	if leaf := c.tls.Leaf; now.After(leaf.NotAfter) || now.Before(leaf.NotBefore) {
		rank += 2
	}
	if _, isRSA := c.tls.Leaf.PublicKey.(*rsa.PublicKey); isRSA {
		rank++
	}
	return rank
}
