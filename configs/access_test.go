package configs_test

import (
	"slices"
	"testing"

	"github.com/valor-ivx/weir/configs"
)

// TestAccessAndAuth: IPv4 in IPv6 is IPv4, everybody may be denied, a lone name needs no brackets, and files are those of the configuration, to be followed.
func TestAccessAndAuth(t *testing.T) {
	cfg, err := configs.Parse("weir.toml", []byte(`
[[listener]]
address = "127.0.0.1:8080"
[access.office]
allow = ["::ffff:10.0.0.0/104", "2001:db8::1"]
allow_file = "office.txt"
[access.closed]
deny = ["0.0.0.0/0", "::/0"]
deny_file = "/srv/bad.txt"
[auth.staff]
type = "basic"
users_file = "staff.htpasswd"
[[route]]
service = "api"
access = "office"
auth = "staff"
[service.api.group.blue]
targets = ["127.0.0.1:5002"]
`), configs.Options{Dir: "/etc/weir"})
	if err != nil {
		t.Fatal(err)
	}
	closed, office := cfg.AccessLists[0], cfg.AccessLists[1]
	if office.Allow[0].String() != "10.0.0.0/8" || office.Allow[1].String() != "2001:db8::1/128" || closed.Deny[0].Bits() != 0 {
		t.Errorf("networks %v %v", office.Allow, closed.Deny)
	}
	if r := cfg.Routes[0]; !slices.Equal(r.Access, []string{"office"}) || r.Auth != "staff" {
		t.Errorf("route %q %q", r.Access, r.Auth)
	}
	if want := []string{"/etc/weir/office.txt", "/etc/weir/staff.htpasswd", "/srv/bad.txt"}; !slices.Equal(cfg.Files, want) {
		t.Errorf("files %q, want %q", cfg.Files, want)
	}
	if a := cfg.Auths[0]; a.Realm != "restricted" || a.ForwardCredentials || a.UsersFile != "/etc/weir/staff.htpasswd" {
		t.Errorf("auth %+v", a)
	}
}
