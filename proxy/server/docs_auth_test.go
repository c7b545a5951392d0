package server_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/valor-ivx/weir/configs"
)

// TestAuthPageConfigurationsCheck: every configuration of docs/auth.md is one that weir would start with, without a warning, and what it prints of it reads back as
// the same.
func TestAuthPageConfigurationsCheck(t *testing.T) {
	dir := t.TempDir()
	ca := newIssuer(t, dir, "clients")
	ca.root()
	_ = ca.server("wiki.example.com", "api.example.com", "admin.example.com", "app.example.com") // clients-2.pem and .key
	for from, to := range map[string]string{"clients-2.pem": "cert.pem", "clients-2.key": "key.pem"} {
		if err := os.Rename(filepath.Join(dir, from), filepath.Join(dir, to)); err != nil {
			t.Fatal(err)
		}
	}
	put(t, dir, "staff.htpasswd", "ann:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n")
	types := map[configs.AuthType]bool{}
	for i, block := range strings.Split(read(t, "docs/auth.md"), "```toml\n")[1:] {
		text, _, _ := strings.Cut(block, "```")
		name := fmt.Sprintf("%d.toml", i)
		put(t, dir, name, text)
		if ok, said := checked(filepath.Join(dir, name)); !ok || strings.Contains(said, "warning") {
			t.Errorf("%s\n%s", text, said)
			continue
		}
		cfg, err := configs.Load(filepath.Join(dir, name), os.LookupEnv)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range cfg.Auths {
			types[a.Type] = true
		}
		for _, a := range cfg.Auths { // it is not printed
			text = strings.ReplaceAll(string(cfg.TOML()), "[redacted]", a.ClientSecret.Reveal())
		}
		put(t, dir, name, text)
		again, err := configs.Load(filepath.Join(dir, name), os.LookupEnv)
		if err != nil {
			t.Fatalf("%v\n%s", err, cfg.TOML())
		}
		if again.Digest() != cfg.Digest() {
			t.Errorf("read back it is another\n%s\n%s", cfg.TOML(), again.TOML())
		}
	}
	for _, typ := range []configs.AuthType{configs.AuthBasic, configs.AuthJWT, configs.AuthMTLS, configs.AuthForward, configs.AuthOIDC} {
		if !types[typ] {
			t.Errorf("no example of type %q", typ)
		}
	}
}
