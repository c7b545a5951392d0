package server_test

import (
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/letsencrypt/challtestsrv"
	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
)

// pebble is a CA of one test with a DNS in which every name is 127.0.0.1.
type pebble struct {
	directory string
	own       *x509.Certificate // the directory's
	issued    *x509.CertPool
	resolver  string
	requests  atomic.Int64
	down      atomic.Bool
}

func newPebble(t *testing.T, httpPort, tlsPort int) *pebble {
	t.Helper()
	t.Setenv("PEBBLE_VA_NOSLEEP", "1")
	t.Setenv("PEBBLE_WFE_NONCEREJECT", "10")
	p := &pebble{resolver: freeAddress(t), issued: x509.NewCertPool()}
	logger := log.New(io.Discard, "", 0)
	dns, err := challtestsrv.New(challtestsrv.Config{DNSAddrs: []string{p.resolver}, Log: logger})
	if err != nil {
		t.Fatal(err)
	}
	dns.SetDefaultDNSIPv6("")
	go dns.Run()
	t.Cleanup(dns.Shutdown)
	for end := time.Now().Add(10 * time.Second); ; { // it does not tell when it is ready
		c, err := net.DialTimeout("tcp", p.resolver, time.Second)
		if err == nil {
			_ = c.Close()
			break
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
	store := db.NewMemoryStore()
	authority := ca.New(logger, store, "", "ecdsa", 0, 1, map[string]ca.Profile{"default": {ValidityPeriod: 90 * 86400}})
	front := wfe.New(logger, store, va.New(logger, httpPort, tlsPort, false, p.resolver, store), authority, []string{"pebble.test"}, false, false, 0, 0)
	real := front.Handler()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.requests.Add(1)
		if p.down.Load() {
			http.Error(w, "down", http.StatusServiceUnavailable)
			return
		}
		real.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	p.directory, p.own = server.URL+wfe.DirectoryPath, server.Certificate()
	p.issued.AddCert(authority.GetRootCert(0).Cert)
	return p
}

// freeAddress is a loopback address that nobody listens on, by UDP nor TCP.
func freeAddress(t *testing.T) string {
	t.Helper()
	for range 50 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		u, err := net.ListenPacket("udp", l.Addr().String())
		_ = l.Close()
		if err == nil {
			_ = u.Close()
			return l.Addr().String()
		}
	}
	t.Fatal("no free port")
	return ""
}
