package configs_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/valor-ivx/weir/configs"
)

// Names stand for networks that contain the owners' well-known addresses and nobody else's; none is given twice or with bits behind its length.
func TestProxiesByName(t *testing.T) {
	path := filepath.Join(t.TempDir(), "weir.toml")
	text := "[[listener]]\naddress = \"127.0.0.1:8080\"\n[[route]]\nservice = \"api\"\n[service.api.group.blue]\ntargets = [\"127.0.0.1:5002\"]\n" +
		"[client_ip]\ntrusted_proxies = [\"cloudflare\", \"fastly\", \"private\"]\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := configs.Load(path, func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	owner := func(ip string) (names []string) {
		for _, p := range cfg.ClientIP.TrustedProxies {
			for _, n := range p.Networks {
				if n.Contains(netip.MustParseAddr(ip)) {
					names = append(names, p.Name)
				}
			}
		}
		return names
	}
	for ip, want := range map[string]string{
		"104.16.132.229": "cloudflare", "172.67.1.1": "cloudflare", "2606:4700::6810:84e5": "cloudflare",
		"151.101.1.1": "fastly", "2a04:4e42::1": "fastly",
		"172.31.255.1": "private", "127.0.0.1": "private", "fd00::1": "private",
		"8.8.8.8": "", "172.32.0.1": "", "2001:4860:4860::8888": "", "104.32.0.1": "",
	} {
		names := owner(ip)
		if want == "" && len(names) > 0 || want != "" && (len(names) != 1 || names[0] != want) {
			t.Errorf("%s: %q, want %q", ip, names, want)
		}
	}
	for _, p := range cfg.ClientIP.TrustedProxies {
		for _, n := range p.Networks {
			if n != n.Masked() {
				t.Errorf("%s: %s has bits behind its length", p.Name, n)
			}
		}
	}
}
