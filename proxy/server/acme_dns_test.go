package server_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// TestACMEWildcard: a file with a wildcard host and a provider is all it takes; the provider's password, named by a file, is shown nowhere, and another one is
// another source.
func TestACMEWildcard(t *testing.T) {
	i := newInstance(t)
	var refused atomic.Int64
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var m struct{ FQDN, Value string }
		_, password, _ := r.BasicAuth()
		if err := json.NewDecoder(r.Body).Decode(&m); err != nil || password != "hunter2" {
			refused.Add(1)
			http.Error(w, "who are you", http.StatusForbidden)
			return
		}
		if r.URL.Path == "/present" {
			i.ca.DNS.AddDNSTXTRecord(m.FQDN, m.Value)
		} else {
			i.ca.DNS.DeleteDNSTXTRecord(m.FQDN)
		}
	}))
	defer hook.Close()
	secret := filepath.Join(filepath.Dir(i.file), "password")
	tell := func(password string) {
		if err := os.WriteFile(secret, []byte(password), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	acme := "challenges = [\"tls-alpn-01\", \"dns-01\"]\n[tls.acme.dns]\nprovider = \"httpreq\"\nendpoint = \"" + hook.URL + "\"\nusername = \"u\"\n" +
		"password = \"${file:password}\"\nresolvers = [\"" + i.ca.Resolver + "\"]\npropagation_timeout = \"60s\"\n"
	tell("wrong")
	i.write(acme, "*.example.test", "one.other.test")
	i.run()
	failed := i.await("failed", "*.example.test")["*.example.test"]
	if !strings.Contains(failed.Error, "who are you") || refused.Load() == 0 {
		t.Errorf("tells %+v", failed)
	}
	i.await("valid", "one.other.test")
	tell("hunter2")
	var result map[string]any
	if status := i.ask("POST", "/v1/reload", &result); status != http.StatusOK {
		t.Fatalf("reload: %d %v", status, result)
	}
	i.await("valid", "*.example.test", "one.other.test")
	if i.serial("a.example.test") != i.serial("b.example.test") || i.serial("a.example.test") == i.serial("one.other.test") {
		t.Error("not one certificate for the wildcard's hosts and another for the other host")
	}
	var shown string
	i.ask("GET", "/v1/config", &shown)
	log, err := os.ReadFile(filepath.Join(filepath.Dir(i.file), "log"))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(shown+string(log), "hunter2") {
		t.Error("the password is shown")
	}
}
