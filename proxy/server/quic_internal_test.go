package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/valor-ivx/weir/proxy/porttest"
	edgetls "github.com/valor-ivx/weir/tls"
)

// The gate lets a burst and then a rate through, and fills again.
func TestGate(t *testing.T) {
	var g gate
	now := int64(1e12)
	through := func() (n int) {
		for range 2 * handshakesAtOnce {
			if !g.closed(now) {
				n++
			}
		}
		return n
	}
	if n := through(); n != handshakesAtOnce {
		t.Errorf("%d at once", n)
	}
	now += int64(time.Second)
	if n := through(); n != handshakesPerSecond {
		t.Errorf("%d a second later", n)
	}
	now += int64(time.Hour)
	if n := through(); n != handshakesAtOnce {
		t.Errorf("%d after an hour", n)
	}
}

// TestRetryWhenFlooded: where too many handshakes have begun, the next client proves its address, gets in all the same, and is counted; a client that comes back
// with the token of its last visit need not.
func TestRetryWhenFlooded(t *testing.T) {
	dir, err := os.MkdirTemp("", "ws")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	ca, err := edgetls.OpenLocalCA(filepath.Join(dir, "ca"), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	pair, err := ca.Leaf([]string{"localhost"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	root, err := os.ReadFile(ca.RootFile())
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(root)
	text := fmt.Sprintf("[admin]\naddress = \"unix://%s/admin.sock\"\nstate_dir = \"state\"\n[log]\naccess = \"off\"\n[[tls.certificate]]\ncert = %q\nkey = %q\n"+
		"[[listener]]\nname = \"https\"\naddress = %q\ntls = true\nprotocols = [\"h2\", \"h3\"]\n[[route]]\nservice = \"api\"\n[service.api.group.blue]\ntargets = [\"127.0.0.1:1\"]\n",
		dir, pair.Cert, pair.Key, porttest.Reserve(t))
	if err := os.WriteFile(filepath.Join(dir, "weir.toml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	ready, ended, signals := make(chan *Server, 1), make(chan int, 1), make(chan os.Signal, 1)
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		ended <- Run(ctx, Options{ConfigPath: filepath.Join(dir, "weir.toml"), DrainTimeout: 60 * time.Second, Stdout: io.Discard, Stderr: os.Stderr, Ready: func(s *Server) { ready <- s }}, signals)
	}()
	s := <-ready
	e := s.current.Load().sockets[0].quic
	tokens := quic.NewLRUTokenStore(1, 4)
	dial := func() {
		t.Helper()
		limit, stop := context.WithTimeout(ctx, 60*time.Second)
		defer stop()
		conn, err := quic.DialAddr(limit, s.Address(0), &tls.Config{RootCAs: roots, ServerName: "localhost", NextProtos: []string{"h3"}}, &quic.Config{TokenStore: tokens})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.AcceptUniStream(limit); err != nil { // it comes behind the token
			t.Error(err)
		}
		_ = conn.CloseWithError(0x100, "")
	}
	retries := func() string {
		families, err := s.metrics.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			if f.GetName() == "weir_quic_retries_total" {
				return strings.TrimSpace(fmt.Sprint(f.GetMetric()[0].GetCounter().GetValue()))
			}
		}
		return ""
	}
	e.gate.full.Store(s.registry.Now() + int64(time.Hour))
	dial()
	first := retries() // a ClientHello may need two packets, each of which is asked
	if first == "0" {
		t.Error("no retry")
	}
	dial()
	if n := retries(); n != first {
		t.Errorf("%s retries, %s without a token", n, first)
	}
	cancel()
	if code := <-ended; code != 0 {
		t.Errorf("exit %d", code)
	}
}
