package app_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/valor-ivx/weir/app"
	"github.com/valor-ivx/weir/proxy/leaktest"
)

func demo(t *testing.T, pairs ...string) app.Config {
	t.Helper()
	c, err := load(append([]string{"VALOR_ENV=demo", "VALOR_ADDRESS=127.0.0.1:0",
		"VALOR_DATABASE=file:" + filepath.Join(t.TempDir(), "x.db")}, pairs...)...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// serve runs a service until the returned stop, which returns what Serve returned.
func serve(t *testing.T, c app.Config) (address string, stop func() error) {
	t.Helper()
	s, err := app.Open(t.Context(), c, "test", zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx) }()
	t.Cleanup(cancel)
	return s.Addr().String(), func() error { cancel(); return <-served }
}

func TestServeAndStop(t *testing.T) {
	ignore := goleak.IgnoreCurrent()
	defer func() { leaktest.None(t, ignore) }()
	address, stop := serve(t, demo(t))
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	res, err := (&http.Client{Transport: transport}).Get("http://" + address + "/api/readiness")
	if err != nil || res.StatusCode != 200 {
		t.Fatal(res, err)
	}
	res.Body.Close()
	if err := stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
	if conn, err := net.Dial("tcp", address); err == nil {
		conn.Close()
		t.Error("a stopped service accepts")
	}
}

// One connection carries many requests: an edge that reuses it must not be told to close.
func TestKeepAlive(t *testing.T) {
	address, _ := serve(t, demo(t))
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return conn, nil }}
	defer transport.CloseIdleConnections()
	for i := range 50 {
		method, path := "GET", "/api/health"
		if i%2 == 1 {
			method, path = "POST", "/api/dcf"
		}
		r, err := http.NewRequestWithContext(t.Context(), method, "http://x"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := transport.RoundTrip(r)
		if err != nil {
			t.Fatalf("request %d: %v", i, err)
		}
		if _, err := io.Copy(io.Discard, res.Body); err != nil || res.Close || res.StatusCode != 200 {
			t.Fatalf("request %d: %v, close %v, %v", i, res.Status, res.Close, err)
		}
		res.Body.Close()
	}
}

// TestCacheIsCounted: what is asked twice is answered from the cache and shows in the metrics; a Redis that is away costs nothing but a count.
func TestCacheIsCounted(t *testing.T) {
	for cache, want := range map[string][]string{
		"memory":                     {"valor_cache_hits_total 2", "valor_cache_misses_total 1", "valor_cache_errors_total 0", "valor_cache_evictions_total 0", "valor_cache_hit_ratio 0.6666666666666666"},
		"off":                        {"valor_cache_hits_total 0", "valor_cache_misses_total 0", "valor_cache_hit_ratio 0"},
		"unix:///nonexistent/r.sock": {"valor_cache_hits_total 0", "valor_cache_misses_total 3", "valor_cache_hit_ratio 0"},
	} {
		address, stop := serve(t, demo(t, "VALOR_CACHE="+cache))
		for range 3 {
			res, err := http.Post("http://"+address+"/api/dcf/sensitivity", "application/json", strings.NewReader("{}"))
			if err != nil || res.StatusCode != http.StatusOK {
				t.Fatal(cache, res, err)
			}
			res.Body.Close()
		}
		res, err := http.Get("http://" + address + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range want {
			if !strings.Contains(string(text), "\n"+line+"\n") {
				t.Errorf("%s: the metrics lack %s", cache, line)
			}
		}
		if strings.HasPrefix(cache, "unix") && strings.Contains(string(text), "\nvalor_cache_errors_total 0\n") {
			t.Error("lookups that failed are not counted")
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	}
}

func TestTLS(t *testing.T) {
	cert, key, roots := certificate(t)
	address, stop := serve(t, demo(t, "VALOR_TLS_CERT="+cert, "VALOR_TLS_KEY="+key))
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "valor.test"}}}
	res, err := client.Get("https://" + address + "/api/health")
	if err != nil || res.StatusCode != 200 {
		t.Fatal(res, err)
	}
	res.Body.Close()
	old := &tls.Config{RootCAs: roots, ServerName: "valor.test", MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}
	if conn, err := tls.Dial("tcp", address, old); err == nil {
		conn.Close()
		t.Error("TLS 1.1 was accepted")
	}
	client.CloseIdleConnections()
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestOpenFailsBeforeItListens(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for name, pairs := range map[string][]string{
		"port in use":    {"VALOR_ADDRESS=" + taken.Addr().String()},
		"no certificate": {"VALOR_TLS_CERT=/nonexistent", "VALOR_TLS_KEY=/nonexistent"},
		"no folder":      {"VALOR_DATABASE=file:/nonexistent/x.db"},
	} {
		if s, err := app.Open(t.Context(), demo(t, pairs...), "test", zap.NewNop()); err == nil {
			t.Errorf("%s: opened on %v", name, s.Addr())
		}
	}
}

func certificate(t *testing.T) (certFile, keyFile string, roots *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"valor.test"},
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	certFile, keyFile = filepath.Join(t.TempDir(), "c.pem"), filepath.Join(t.TempDir(), "k.pem")
	for path, data := range map[string][]byte{certFile: certPEM,
		keyFile: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	roots = x509.NewCertPool()
	roots.AppendCertsFromPEM(certPEM)
	return certFile, keyFile, roots
}
