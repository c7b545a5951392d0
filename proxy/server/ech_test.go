package server_test

import (
	"crypto/tls"
	"encoding/base64"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/valor-ivx/weir/proxy/admin"
)

// TestECHEndToEnd: a public name is all it takes: its certificate is obtained, the admin API tells what to publish, and a client that has it hides its host; after a restart
// the key is the same.
func TestECHEndToEnd(t *testing.T) {
	i := newInstance(t)
	i.extra = "[tls.ech]\npublic_name = \"cover.example.test\"\n"
	i.write("", "secret.example.test")
	i.run()
	i.await("valid", "secret.example.test", "cover.example.test")
	var e admin.ECH
	i.ask("GET", "/v1/ech", &e)
	list, err := base64.StdEncoding.DecodeString(e.ConfigList)
	if err != nil || e.PublicName != "cover.example.test" {
		t.Fatalf("%+v %v", e, err)
	}
	connect := func() {
		t.Helper()
		conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 60 * time.Second}, "tcp", i.https,
			&tls.Config{ServerName: "secret.example.test", RootCAs: i.ca.Issued, EncryptedClientHelloConfigList: list})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		if !conn.ConnectionState().ECHAccepted {
			t.Error("not accepted")
		}
	}
	connect()
	i.stop()
	i.run()
	connect()
	i.extra = ""
	i.write("", "secret.example.test")
	var result map[string]any
	if status := i.ask("POST", "/v1/reload", &result); status != http.StatusOK {
		t.Fatalf("reload: %d %v", status, result)
	}
	if i.ask("GET", "/v1/ech", &e); e.ConfigList != "" {
		t.Errorf("told though it is off: %+v", e)
	}
}
