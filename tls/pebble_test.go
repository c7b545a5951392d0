package edgetls_test

import (
	"crypto/x509"
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
)

// pebble is a CA of one test, with the DNS that it and the preflight ask. Every name resolves to 127.0.0.1 unless the test says otherwise.
type pebble struct {
	directory string
	own       *x509.Certificate // the directory's
	trust     *x509.CertPool    // for the directory
	issued    *x509.CertPool    // for what it issues
	resolver  string
	dns       *challtestsrv.ChallSrv

	requests atomic.Int64 // to anything
	orders   atomic.Int64 // to newOrder, without those it sent back for their nonce
	answer   atomic.Pointer[http.HandlerFunc]
	refused  sync.Map // path → func(http.ResponseWriter)
}

// instead makes the CA answer by h; nil: by itself.
func (p *pebble) instead(h http.HandlerFunc) {
	if h == nil {
		p.answer.Store(nil)
		return
	}
	p.answer.Store(&h)
}

// refuse makes the CA answer requests to path by h, and all others by itself.
func (p *pebble) refuse(path string, h func(http.ResponseWriter)) {
	p.refused.Store(path, h)
}

// serve counts; the CA itself is behind it.
func (p *pebble) serve(real http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.requests.Add(1)
		isOrder := strings.HasPrefix(r.URL.Path, "/order-plz")
		if h := p.answer.Load(); h != nil {
			if isOrder {
				p.orders.Add(1)
			}
			(*h)(w, r)
			return
		}
		if h, ok := p.refused.Load(r.URL.Path); ok {
			if isOrder {
				p.orders.Add(1)
			}
			w.Header().Set("Replay-Nonce", "n")
			h.(func(http.ResponseWriter))(w)
			return
		}
		status := &statusWriter{ResponseWriter: w}
		real.ServeHTTP(status, r)
		if isOrder && status.code == http.StatusCreated {
			p.orders.Add(1)
		}
	})
}

// statusWriter remembers the status.
type statusWriter struct {
	http.ResponseWriter
	code int
}

func (w *statusWriter) WriteHeader(code int) {
	w.code = code
	w.ResponseWriter.WriteHeader(code)
}

func newPebble(t *testing.T, httpPort, tlsPort int) *pebble {
	t.Helper()
	t.Setenv("PEBBLE_VA_NOSLEEP", "1")
	t.Setenv("PEBBLE_WFE_NONCEREJECT", "15")
	t.Setenv("PEBBLE_AUTHZREUSE", "0")
	p := &pebble{resolver: freeAddress(t), issued: x509.NewCertPool(), trust: x509.NewCertPool()}
	out := io.Discard
	if os.Getenv("PEBBLE_LOG") != "" {
		out = os.Stderr
	}
	logger := log.New(out, "pebble ", log.Lmicroseconds)
	var err error
	if p.dns, err = challtestsrv.New(challtestsrv.Config{DNSAddrs: []string{p.resolver}, Log: logger}); err != nil {
		t.Fatal(err)
	}
	p.dns.SetDefaultDNSIPv6("")
	go p.dns.Run()
	t.Cleanup(p.dns.Shutdown)
	awaitPort(t, p.resolver)
	store := db.NewMemoryStore()
	authority := ca.New(logger, store, "", "ecdsa", 0, 1, map[string]ca.Profile{
		"default": {ValidityPeriod: 90 * 86400}, "brief": {ValidityPeriod: 8},
	})
	validation := va.New(logger, httpPort, tlsPort, false, p.resolver, store)
	front := wfe.New(logger, store, validation, authority, []string{"pebble.test"}, false, false, 0, 0)
	server := httptest.NewUnstartedServer(p.serve(front.Handler()))
	server.Config.ErrorLog = logger
	server.StartTLS()
	t.Cleanup(server.Close)
	p.directory = server.URL + wfe.DirectoryPath
	p.own = server.Certificate()
	p.trust.AddCert(p.own)
	p.issued.AddCert(authority.GetRootCert(0).Cert)
	return p
}

// freeAddress is a loopback address nobody listens on, by UDP nor TCP.
func freeAddress(t *testing.T) string {
	t.Helper()
	for range 50 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		u, err := net.ListenPacket("udp", l.Addr().String())
		l.Close()
		if err == nil {
			u.Close()
			return l.Addr().String()
		}
	}
	t.Fatal("no free port")
	return ""
}

// awaitPort returns when somebody accepts on address: challtestsrv does not tell when it is ready.
func awaitPort(t *testing.T, address string) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); ; {
		c, err := net.DialTimeout("tcp", address, time.Second)
		if err == nil {
			c.Close()
			return
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}
