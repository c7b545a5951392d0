package proxy_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/valor-ivx/weir/proxy"
	"github.com/valor-ivx/weir/proxy/auth"
)

// guardedBy is an access list that lets 192.0.2.0/24 pass, and a password file in which bob's is "password".
func guardedBy(t *testing.T) ([]*auth.AccessList, *proxy.Guard) {
	t.Helper()
	users := filepath.Join(t.TempDir(), "users")
	if err := os.WriteFile(users, []byte("bob:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	list, err := auth.OpenAccessList(auth.AccessOptions{Allow: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, Deny: []netip.Prefix{netip.MustParsePrefix("192.0.2.66/32")}})
	if err != nil {
		t.Fatal(err)
	}
	basic, err := auth.OpenBasic(auth.BasicOptions{Realm: "x", UsersFile: users, Work: auth.NewWork(1)})
	if err != nil {
		t.Fatal(err)
	}
	return []*auth.AccessList{list}, &proxy.Guard{Authenticator: basic}
}
