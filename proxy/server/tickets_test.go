package server_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	edgetls "github.com/valor-ivx/weir/tls"
)

// TestSessionsResume: after a reload that opens the listener's configuration anew, and after a restart of the whole edge; not when the state folder
// was lost in between.
func TestSessionsResume(t *testing.T) {
	dir := shortDir(t)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	ca, err := edgetls.OpenLocalCA(filepath.Join(dir, "ca"), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	pair, err := ca.Leaf([]string{"a.test"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	root, err := os.ReadFile(ca.RootFile())
	if err != nil {
		t.Fatal(err)
	}
	client := &tls.Config{ServerName: "a.test", RootCAs: x509.NewCertPool(), ClientSessionCache: tls.NewLRUClientSessionCache(4)}
	client.RootCAs.AppendCertsFromPEM(root)
	blue := newColour(t, "blue")
	defer blue.kill()
	text := func(name, rotation string) string {
		return fmt.Sprintf("[admin]\naddress = \"unix://%s/admin.sock\"\nstate_dir = \"state\"\n[log]\naccess = \"off\"\n"+
			"[tls]\nsession_ticket_rotation = %q\n[[tls.certificate]]\ncert = %q\nkey = %q\n"+
			"[[listener]]\nname = %q\naddress = \"127.0.0.1:0\"\ntls = true\nprotocols = [\"http/1.1\"]\n"+
			"[[route]]\nservice = \"api\"\n[service.api.group.blue]\ntargets = [%q]\n", dir, rotation, pair.Cert, pair.Key, name, blue.address)
	}
	resumed := func(address string) bool {
		t.Helper()
		conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 60 * time.Second}, "tcp", address, client)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		// The answer comes after the tickets.
		_ = conn.SetDeadline(time.Now().Add(60 * time.Second))
		if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if answer, err := io.ReadAll(conn); err != nil || len(answer) == 0 {
			t.Fatalf("%q %v", answer, err)
		}
		return conn.ConnectionState().DidResume
	}

	r := run(t, dir, text("one", "12h"))
	if resumed(r.address) || !resumed(r.address) {
		t.Error("the first handshake resumed, or the second did not")
	}
	r.write(text("two", "24h"))
	r.call(http.StatusOK, "POST", "/v1/reload", "")
	listeners := r.status().Listeners
	if !resumed(listeners[0].Address) {
		t.Error("not resumed after a reload that made another listener")
	}
	r.stop()
	r = run(t, dir, text("two", "24h"))
	if !resumed(r.address) {
		t.Error("not resumed after a restart")
	}
	r.stop()
	if err := os.Remove(filepath.Join(dir, "state", "tickets.json")); err != nil {
		t.Fatal(err)
	}
	r = run(t, dir, text("two", "24h"))
	if resumed(r.address) || !resumed(r.address) {
		t.Error("after the secrets were lost: resumed an old session, or did not resume a new one")
	}
	r.stop()
}
