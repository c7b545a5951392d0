package edgetls

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"
)

// LocalCA is a certificate authority of this machine's own, for demos and development. It is a value over a folder:
//
//	ca.pem           certificate and P-256 key, 0600: one file, so that no start can see the one without the other
//	root.pem         the certificate alone, for browsers and curl --cacert
//	leaf-HASH.pem    chain and key of a leaf, 0600; the hash is that of its hosts
//	local.pem        the leaf that was exported last, under a name that a configuration can have
//
// Any number of processes may open one folder at the same time: whoever comes first makes the CA and the others take it.
type LocalCA struct {
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

const (
	caLife   = 10 * 365 * 24 * time.Hour
	leafLife = 90 * 24 * time.Hour // browsers refuse more than 398 days; short, because renewing costs nothing
	backdate = time.Hour           // clients whose clocks are slow
)

// OpenLocalCA loads the CA in dir, or makes it (and dir, 0700). A CA that does not parse or cannot outlive a new leaf is an error and
// never overwritten: somebody may have told a browser to trust it, and must know when that trust has to be given again.
func OpenLocalCA(dir string, now time.Time) (*LocalCA, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open local CA: %w", err)
	}
	ca, err := loadCA(dir)
	if errors.Is(err, fs.ErrNotExist) {
		if err = createCA(dir, now); err == nil {
			ca, err = loadCA(dir)
		}
	}
	if err == nil && now.Add(leafLife).After(ca.cert.NotAfter) {
		err = fmt.Errorf("%s is valid until %s only: remove it to get a new one", caFile(dir), ca.cert.NotAfter.UTC().Format(time.DateOnly))
	}
	if err != nil {
		return nil, fmt.Errorf("open local CA: %w", err)
	}
	root := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.cert.Raw})
	if old, err := os.ReadFile(ca.RootFile()); err != nil || !bytes.Equal(old, root) {
		if err := writeAtomic(ca.RootFile(), root, 0o644, os.Rename); err != nil {
			return nil, fmt.Errorf("write local CA root: %w", err)
		}
	}
	return ca, nil
}

// RootFile is the PEM file that clients must trust.
func (ca *LocalCA) RootFile() string { return filepath.Join(ca.dir, "root.pem") }

// Leaf is a certificate for hosts, names and addresses ("localhost", "*.localhost", "127.0.0.1", "::1"). The one on disk is taken
// as long as this CA issued it and a third of its life is left; else a new one replaces it. Call it again to renew.
func (ca *LocalCA) Leaf(hosts []string, now time.Time) (Pair, error) {
	hosts = append([]string(nil), hosts...)
	sort.Strings(hosts)
	sum := sha256.Sum256([]byte(strings.Join(hosts, "\n")))
	file := filepath.Join(ca.dir, "leaf-"+hex.EncodeToString(sum[:6])+".pem")
	pair := Pair{Cert: file, Key: file}
	if c, err := pair.load(); err == nil && ca.usable(c.tls.Leaf, now) {
		return pair, nil
	}
	if err := ca.issue(file, hosts, now); err != nil {
		return Pair{}, fmt.Errorf("issue local certificate: %w", err)
	}
	return pair, nil
}

// Export is Leaf under the name local.pem, for configurations that a person writes. What is there is replaced only by another leaf, so that nobody who
// watches the file is told of nothing.
func (ca *LocalCA) Export(hosts []string, now time.Time) (Pair, error) {
	leaf, err := ca.Leaf(hosts, now)
	if err != nil {
		return Pair{}, err
	}
	b, err := os.ReadFile(leaf.Cert)
	if err != nil {
		return Pair{}, fmt.Errorf("export local certificate: %w", err)
	}
	file := filepath.Join(ca.dir, "local.pem")
	if old, err := os.ReadFile(file); err != nil || !bytes.Equal(old, b) {
		if err := writeAtomic(file, b, 0o600, os.Rename); err != nil {
			return Pair{}, fmt.Errorf("export local certificate: %w", err)
		}
	}
	return Pair{Cert: file, Key: file}, nil
}

func (ca *LocalCA) usable(leaf *x509.Certificate, now time.Time) bool {
	left := leaf.NotAfter.Sub(now)
	return leaf.CheckSignatureFrom(ca.cert) == nil && !now.Before(leaf.NotBefore) && left >= leaf.NotAfter.Sub(leaf.NotBefore)/3
}

func (ca *LocalCA) issue(file string, hosts []string, now time.Time) error {
	template := x509.Certificate{
		Subject:     pkix.Name{Organization: []string{"Weir local certificate"}},
		NotBefore:   now.Add(-backdate),
		NotAfter:    now.Add(leafLife),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else if host != "" {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	if len(template.IPAddresses)+len(template.DNSNames) == 0 {
		return errors.New("no hosts given")
	}
	return sign(file, &template, ca, os.Rename)
}

func caFile(dir string) string { return filepath.Join(dir, "ca.pem") }

func loadCA(dir string) (*LocalCA, error) {
	file := caFile(dir)
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o077 != 0 { // copied or restored by somebody who lost the mode
		if err := os.Chmod(file, 0o600); err != nil {
			return nil, fmt.Errorf("close key to others: %w", err)
		}
	}
	c, err := Pair{Cert: file, Key: file}.load()
	if err != nil {
		return nil, err
	}
	key, ok := c.tls.PrivateKey.(*ecdsa.PrivateKey)
	if !ok || !c.tls.Leaf.IsCA {
		return nil, fmt.Errorf("%s is not a CA with an ECDSA key", file)
	}
	return &LocalCA{dir: dir, cert: c.tls.Leaf, key: key}, nil
}

// createCA makes the CA unless another process has been faster: a hard link, unlike a rename, never replaces.
func createCA(dir string, now time.Time) error {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown host"
	}
	template := x509.Certificate{
		Subject:               pkix.Name{Organization: []string{"Weir local CA"}, CommonName: "Weir local CA on " + host},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(caLife),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLenZero:        true, // it issues leaves only
	}
	err = sign(caFile(dir), &template, nil, os.Link)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

// sign makes a P-256 key and a certificate by issuer (nil: by itself) and puts both into file.
func sign(file string, template *x509.Certificate, issuer *LocalCA, commit func(temp, file string) error) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make key: %w", err)
	}
	// 127 random bits: RFC 5280 §4.1.2.2 wants a positive number of at most 20 octets, the CA/B Forum at least 64 random bits.
	if template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127)); err != nil {
		return fmt.Errorf("make serial number: %w", err)
	}
	parent, signer := template, key
	if issuer != nil {
		parent, signer = issuer.cert, issuer.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		return fmt.Errorf("sign certificate: %w", err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("encode key: %w", err)
	}
	data := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	data = append(data, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})...)
	return writeAtomic(file, data, 0o600, commit)
}
