package configs_test

import (
	"slices"
	"testing"

	"github.com/valor-ivx/weir/configs"
)

// TestRootCAContents: other contents under the same name are another configuration, and the difference is told.
func TestRootCAContents(t *testing.T) {
	text := `[tls.acme]
root_ca = "cert.pem"
[[listener]]
address = ":8443"
tls = true
[[route]]
host = ["a.example"]
service = "api"
[service.api.group.blue]
targets = ["127.0.0.1:5002"]
`
	parse := func() *configs.Config {
		pems := newPEMs(t) // new ones every time
		cfg, err := configs.Parse("weir.toml", []byte(text), configs.Options{ReadFile: func(path string) ([]byte, error) { return pems[path], nil }})
		if err != nil {
			t.Fatal(err)
		}
		return cfg
	}
	old, now := parse(), parse()
	if old.Digest() == now.Digest() {
		t.Error("the digest is the same")
	}
	if diff := configs.Diff(old, now); !slices.Equal(diff, []string{"tls.acme.root_ca: contents changed"}) {
		t.Errorf("Diff tells %q", diff)
	}
	if !slices.Equal(old.Files, []string{"cert.pem"}) || !slices.Equal(old.TLS.ACME.Hosts, []string{"a.example"}) {
		t.Errorf("files %q, hosts %q", old.Files, old.TLS.ACME.Hosts)
	}
}
