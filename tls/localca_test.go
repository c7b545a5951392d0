package edgetls_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	edgetls "github.com/valor-ivx/weir/tls"
)

var demoHosts = []string{"localhost", "127.0.0.1", "::1"}

func openCA(t *testing.T, dir string) *edgetls.LocalCA {
	t.Helper()
	ca, err := edgetls.OpenLocalCA(dir, now)
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func leafOf(t *testing.T, ca *edgetls.LocalCA, at time.Time) edgetls.Info {
	t.Helper()
	pair, err := ca.Leaf(demoHosts, at)
	if err != nil {
		t.Fatal(err)
	}
	return load(t, pair).List(now)[0]
}

func TestLocalCAHandshake(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state", "ca")
	ca := openCA(t, dir)
	pair, err := ca.Leaf(demoHosts, now)
	if err != nil {
		t.Fatal(err)
	}
	s := load(t, pair)
	if w := s.Warnings(); len(w) > 0 {
		t.Errorf("warnings for the demo: %q", w)
	}
	m := edgetls.NewManager()
	m.Commit(s)
	address := serve(t, m.Config([]string{"http/1.1"}, 0))
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(read(t, ca.RootFile())) {
		t.Fatal("root.pem has no certificate")
	}
	for _, host := range demoHosts {
		c, err := dial(t, address, &tls.Config{ServerName: host, RootCAs: roots, Time: func() time.Time { return now }})
		if err != nil {
			t.Errorf("https://%s: %v", net.JoinHostPort(host, "443"), err)
			continue
		}
		leaf := c.ConnectionState().PeerCertificates[0]
		if leaf.IsCA || !leaf.NotAfter.Equal(now.AddDate(0, 0, 90)) {
			t.Errorf("leaf is a CA or valid until %v", leaf.NotAfter)
		}
	}
	_, err = dial(t, address, &tls.Config{ServerName: "example.com", RootCAs: roots, Time: func() time.Time { return now }})
	if err == nil {
		t.Error("the demo certificate is good for example.com")
	}
}

func TestLocalCAFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ca")
	ca := openCA(t, dir)
	leafOf(t, ca, now)
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 3 {
		t.Fatalf("files %v, %v; want CA, root and leaf", entries, err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		want := fs.FileMode(0o600)
		if e.Name() == "root.pem" {
			want = 0o644
		}
		if info.Mode() != want {
			t.Errorf("%s has mode %v", e.Name(), info.Mode())
		}
		if bytes.Contains(read(t, filepath.Join(dir, e.Name())), []byte("PRIVATE KEY")) == (e.Name() == "root.pem") {
			t.Errorf("%s: a key where none belongs, or none where one does", e.Name())
		}
	}
	block := read(t, filepath.Join(dir, "root.pem"))
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(block)
	if info, _ := os.Stat(dir); info.Mode().Perm() != 0o700 {
		t.Errorf("folder has mode %v", info.Mode())
	}

	// Opened again it is the same, with what was lost or loosened put right.
	caPEM := read(t, filepath.Join(dir, "ca.pem"))
	if err := os.Chmod(filepath.Join(dir, "ca.pem"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(ca.RootFile()); err != nil {
		t.Fatal(err)
	}
	again := openCA(t, dir)
	if info, _ := os.Stat(filepath.Join(dir, "ca.pem")); info.Mode().Perm() != 0o600 {
		t.Errorf("ca.pem stayed open to others: %v", info.Mode())
	}
	if !bytes.Equal(read(t, filepath.Join(dir, "ca.pem")), caPEM) || !bytes.Equal(read(t, again.RootFile()), block) {
		t.Error("the CA changed")
	}
}

func TestLocalCALeafRenewal(t *testing.T) {
	dir := t.TempDir()
	ca := openCA(t, dir)
	first := leafOf(t, ca, now)
	if first.NotBefore.After(now) {
		t.Errorf("valid only from %v", first.NotBefore)
	}
	// 90 days and the hour before: a third is left until just under 60 days from now.
	if kept := leafOf(t, ca, now.AddDate(0, 0, 59)); kept.Serial != first.Serial {
		t.Error("renewed with more than a third of its life left")
	}
	renewed := leafOf(t, ca, now.AddDate(0, 0, 60))
	if renewed.Serial == first.Serial || !renewed.NotAfter.Equal(now.AddDate(0, 0, 150)) {
		t.Errorf("not renewed: %+v", renewed)
	}

	if err := os.WriteFile(renewed.File, []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	if fixed := leafOf(t, ca, now); fixed.Serial == renewed.Serial {
		t.Error("a broken leaf was kept")
	}
	foreign := leafOf(t, openCA(t, t.TempDir()), now)
	if err := os.WriteFile(renewed.File, read(t, foreign.File), 0o600); err != nil {
		t.Fatal(err)
	}
	if own := leafOf(t, ca, now); own.Serial == foreign.Serial {
		t.Error("a leaf of another CA was kept")
	}

	other, err := ca.Leaf([]string{"valor.test"}, now)
	if err != nil || other.Cert == renewed.File {
		t.Errorf("other hosts share a file: %v, %v", other, err)
	}
	same, err := ca.Leaf([]string{"::1", "localhost", "127.0.0.1"}, now)
	if err != nil || same.Cert != renewed.File {
		t.Errorf("the order of hosts matters: %v, %v", same, err)
	}
	for _, none := range [][]string{nil, {""}} {
		if _, err := ca.Leaf(none, now); err == nil {
			t.Errorf("a certificate for %q", none)
		}
	}
}

func TestLocalCAConcurrentStart(t *testing.T) {
	for range 10 {
		dir := filepath.Join(t.TempDir(), "ca")
		roots, pairs := make([][]byte, 8), make([]edgetls.Pair, 8)
		var starts sync.WaitGroup
		for i := range roots {
			starts.Go(func() {
				ca, err := edgetls.OpenLocalCA(dir, now)
				if err != nil {
					t.Error(err)
					return
				}
				if pairs[i], err = ca.Leaf(demoHosts, now); err != nil {
					t.Error(err)
					return
				}
				if roots[i], err = os.ReadFile(ca.RootFile()); err != nil {
					t.Error(err)
				}
				if _, err := edgetls.Load(pairs[i:i+1], now); err != nil {
					t.Errorf("leaf while others write theirs: %v", err)
				}
			})
		}
		starts.Wait()
		for i := range roots {
			if !bytes.Equal(roots[i], roots[0]) || len(roots[i]) == 0 {
				t.Fatal("two starts trust different roots")
			}
		}
		if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) > 0 {
			t.Errorf("temporary files left: %v", left)
		}
	}
}

func TestLocalCARefuses(t *testing.T) {
	dir := t.TempDir()
	openCA(t, dir)
	file := filepath.Join(dir, "ca.pem")
	whole := read(t, file)

	if _, err := edgetls.OpenLocalCA(dir, now.AddDate(10, 0, -60)); err == nil || !strings.Contains(err.Error(), "remove it to get a new one") {
		t.Errorf("a CA near its end: %v", err)
	}
	for name, data := range map[string][]byte{"cut": whole[:len(whole)/2], "empty": {}, "leaf": read(t, leafOf(t, openCA(t, t.TempDir()), now).File)} {
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := edgetls.OpenLocalCA(dir, now); err == nil {
			t.Errorf("%s CA file was taken", name)
		}
		if !bytes.Equal(read(t, file), data) {
			t.Errorf("%s CA file was overwritten", name)
		}
	}
	if _, err := edgetls.OpenLocalCA(filepath.Join(file, "below"), now); err == nil {
		t.Error("a folder inside a file")
	}
}
