// Package pebbletest is Let's Encrypt's own test CA in the process of a test, with the DNS that it and the code under test ask. It serves the tests of several
// packages; nothing but tests imports it (layers_test.go holds that), so that no program of ours links it.
package pebbletest

import (
	"crypto"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/letsencrypt/challtestsrv"
	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"

	"github.com/valor-ivx/weir/proxy/porttest"
)

// Options are where validations arrive, and what the CA is like.
type Options struct {
	HTTPPort, TLSPort int               // on 127.0.0.1, or wherever the DNS says
	ExternalAccounts  map[string]string // key id → key in base64url: accounts must be bound to one of them; nil: need not
	OCSP              string            // address of the responder that certificates name; "": none
}

// CA is a certificate authority of one test. It rejects every twentieth nonce or so (each costs a client a quarter of a second). Every name resolves to 127.0.0.1 unless the test says otherwise.
// Profiles: "default" (90 days) and "brief" (30 seconds, see Hurry). An order that names none gets either, by chance.
type CA struct {
	Directory string
	Own       *x509.Certificate // the directory's
	Trust     *x509.CertPool    // for the directory
	Issued    *x509.CertPool    // for what it issues
	Resolver  string            // address of the DNS
	DNS       *challtestsrv.ChallSrv

	Requests atomic.Int64 // to anything
	Orders   atomic.Int64 // to newOrder, without those it sent back for their nonce

	authority *ca.CAImpl
	answer    atomic.Pointer[http.HandlerFunc]
	refused   sync.Map // path → func(http.ResponseWriter)
	hurry     atomic.Bool
}

// New starts one, which ends with the test.
func New(t *testing.T, o Options) *CA {
	t.Helper()
	t.Setenv("PEBBLE_VA_NOSLEEP", "1")
	t.Setenv("PEBBLE_WFE_NONCEREJECT", "5")
	t.Setenv("PEBBLE_AUTHZREUSE", "0")
	c := &CA{Resolver: porttest.Reserve(t), Issued: x509.NewCertPool(), Trust: x509.NewCertPool()}
	out := io.Discard
	if os.Getenv("PEBBLE_LOG") != "" {
		out = os.Stderr
	}
	logger := log.New(out, "pebble ", log.Lmicroseconds)
	c.startDNS(t, logger)
	store := db.NewMemoryStore()
	for id, key := range o.ExternalAccounts {
		if err := store.AddExternalAccountKeyByID(id, key); err != nil {
			t.Fatal(err)
		}
	}
	algorithm := "ecdsa"
	if o.OCSP != "" {
		algorithm = "rsa" // the only key that the CA gives out
	}
	c.authority = ca.New(logger, store, o.OCSP, algorithm, 0, 1, map[string]ca.Profile{
		"default": {ValidityPeriod: 90 * 86400}, "brief": {ValidityPeriod: 30},
	})
	validation := va.New(logger, o.HTTPPort, o.TLSPort, false, c.Resolver, store)
	front := wfe.New(logger, store, validation, c.authority, []string{"pebble.test"}, false, o.ExternalAccounts != nil, 0, 0)
	server := httptest.NewUnstartedServer(c.serve(front.Handler()))
	server.Config.ErrorLog = logger
	server.StartTLS()
	t.Cleanup(server.Close)
	// Its own: acmez keeps directories by their address for the life of the process, and the port of a CA that has ended may be the next one's.
	c.Directory = fmt.Sprint(server.URL, wfe.DirectoryPath, "-", time.Now().UnixNano())
	c.Own = server.Certificate()
	c.Trust.AddCert(c.Own)
	c.Issued.AddCert(c.authority.GetRootCert(0).Cert)
	return c
}

func (c *CA) startDNS(t *testing.T, logger *log.Logger) {
	t.Helper()
	var err error
	if c.DNS, err = challtestsrv.New(challtestsrv.Config{DNSAddrs: []string{c.Resolver}, Log: logger}); err != nil {
		t.Fatal(err)
	}
	c.DNS.SetDefaultDNSIPv6("")
	go c.DNS.Run()
	t.Cleanup(c.DNS.Shutdown)
	for end := time.Now().Add(60 * time.Second); ; { // it does not tell when it is ready
		conn, err := net.DialTimeout("tcp", c.Resolver, time.Second)
		if err == nil {
			_ = conn.Close()
			return
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

// Issuer is the certificate and key that leaves are signed with, of a CA with a responder.
func (c *CA) Issuer() (*x509.Certificate, crypto.Signer) {
	return c.authority.GetIntermediateCert(0).Cert, c.authority.GetIntermediateKey(0)
}

// Instead makes the CA answer by h; nil: by itself.
func (c *CA) Instead(h http.HandlerFunc) {
	if h == nil {
		c.answer.Store(nil)
		return
	}
	c.answer.Store(&h)
}

// Down makes the CA answer everything with 503, or stop doing so.
func (c *CA) Down(down bool) {
	if !down {
		c.Instead(nil)
		return
	}
	c.Instead(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "maintenance", http.StatusServiceUnavailable)
	})
}

// Refuse makes the CA answer requests to path by h, and all others by itself.
func (c *CA) Refuse(path string, h func(http.ResponseWriter)) { c.refused.Store(path, h) }

// Hurry makes the CA's renewal information (RFC 9773) say that every certificate is to be renewed at once, which is at the next check of a client: a second for one of
// the profile "brief", with 29 left for a busy machine. Otherwise it draws the time from the certificate's whole life.
func (c *CA) Hurry() { c.hurry.Store(true) }

// due is renewal information of a certificate whose time has come.
func due(w http.ResponseWriter) {
	at := func(ago time.Duration) string { return time.Now().Add(-ago).UTC().Format(time.RFC3339) }
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Retry-After", "21600")
	_, _ = io.WriteString(w, `{"suggestedWindow":{"start":"`+at(2*time.Hour)+`","end":"`+at(time.Hour)+`"}}`)
}

// serve counts; the CA itself is behind it.
func (c *CA) serve(real http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.Requests.Add(1)
		isOrder := strings.HasPrefix(r.URL.Path, "/order-plz")
		if h := c.answer.Load(); h != nil {
			if isOrder {
				c.Orders.Add(1)
			}
			(*h)(w, r)
			return
		}
		if strings.HasPrefix(r.URL.Path, wfe.DirectoryPath+"-") {
			r.URL.Path = wfe.DirectoryPath
		}
		if c.hurry.Load() && strings.Contains(r.URL.Path, "/renewalInfo/") {
			due(w)
			return
		}
		if h, ok := c.refused.Load(r.URL.Path); ok {
			if isOrder {
				c.Orders.Add(1)
			}
			w.Header().Set("Replay-Nonce", "n")
			h.(func(http.ResponseWriter))(w)
			return
		}
		status := &statusWriter{ResponseWriter: w}
		real.ServeHTTP(status, r)
		if isOrder && status.code == http.StatusCreated {
			c.Orders.Add(1)
		}
	})
}

// statusWriter remembers the status.
type statusWriter struct {
	http.ResponseWriter
	code int
}

// WriteHeader implements http.ResponseWriter.
func (w *statusWriter) WriteHeader(code int) {
	w.code = code
	w.ResponseWriter.WriteHeader(code)
}

// FreeAddress is a loopback address that is the test's alone.
func FreeAddress(t *testing.T) string { return porttest.Reserve(t) }
