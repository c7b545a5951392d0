package peer

import (
	"fmt"
	"path/filepath"
	"strings"
)

// weir is an ordinary configuration file as docs/reference.md describes it: no key exists for the
// bench alone. Everything that is not written here is at its default, the policy included.
func (j Job) weir(dir string) string {
	var b strings.Builder
	access := "off"
	if j.Log {
		access = "json"
	}
	fmt.Fprintf(&b, `[admin]
address = %q
state_dir = %q

[log]
access = %q
output = %q

[[listener]]
name = "edge"
address = %q
`, j.Admin, filepath.Join(dir, "state"), access, filepath.Join(dir, "access.log"), j.Listen)
	if j.TLS != nil {
		b.WriteString("tls = true\n")
		switch {
		case j.H3:
			b.WriteString("protocols = [\"http/1.1\", \"h2\", \"h3\"]\n")
		case !j.H2: // with tls, h2 is on by default
			b.WriteString("protocols = [\"http/1.1\"]\n")
		}
		fmt.Fprintf(&b, "\n[tls]\nmin_version = \"1.3\"\n\n"+
			"[[tls.certificate]]\ncert = %q\nkey = %q\n", j.TLS.Cert, j.TLS.Key)
	}
	if j.Web != "" {
		fmt.Fprintf(&b, "\n[[route]]\nfiles = { root = %q }\n", j.Web)
		return b.String()
	}
	targets := make([]string, len(j.Origins))
	for i, o := range j.Origins {
		targets[i] = fmt.Sprintf("%q", o)
	}
	if j.Guarded { // a limit that every request is counted by and none meets
		fmt.Fprintf(&b, "\n[limit.all]\nrate = \"1000000/s\"\nburst = 1000000\nkey = \"client_ip\"\n\n"+
			"[[route]]\nname = \"guarded\"\nhost = [%q]\nservice = \"origin\"\nlimits = [\"all\"]\nheaders = \"strict\"\n", GuardedHost)
	}
	if j.Rollout {
		fmt.Fprintf(&b, "\n[[route]]\nname = \"trial\"\nhost = [%q]\nservice = \"trial\"\n\n[[route]]\nservice = \"origin\"\n", RolloutHost)
		for _, s := range []struct {
			name        string
			blue, green int
		}{{"origin", 95, 5}, {"trial", 100, 0}} {
			fmt.Fprintf(&b, "\n[service.%s.group.blue]\nweight = %d\ntargets = [%s]\n[service.%s.group.green]\nweight = %d\ntargets = [%s]\n",
				s.name, s.blue, strings.Join(targets, ", "), s.name, s.green, strings.Join(targets, ", "))
		}
		return b.String()
	}
	protocol := ""
	if j.H2C {
		protocol = "[service.origin]\nprotocol = \"h2c\"\n\n"
	}
	fmt.Fprintf(&b, `
[[route]]
service = "origin"

%s[service.origin.group.main]
targets = [%s]
`, protocol, strings.Join(targets, ", "))
	if j.Most > 0 {
		fmt.Fprintf(&b, "[service.origin.breaker]\nmax_requests = %d\nmax_queue = %d\nqueue_timeout = \"1s\"\n", j.Most, queuePlaces)
	}
	return b.String()
}
