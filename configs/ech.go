package configs

import (
	"slices"
	"strings"
	"time"
)

// ECH hides the host that a client asks for (Encrypted Client Hello, RFC 9849) from everybody on the way. Clients
// learn the key from the hosts' HTTPS records, whose parameter ech is what `weir certs ech` prints.
type ECH struct {
	// The name that is seen instead. A client with an old key is told the new one under it, so it needs a
	// certificate: from [[tls.certificate]], or from [tls.acme], which obtains one.
	PublicName string `toml:"public_name" required:"true"`
	// How often there is a new key; the last two are accepted beside it. They are kept in state_dir/ech.json.
	// Looked at when weir starts and reloads, so that records can be published right after.
	Rotation time.Duration `toml:"rotation" default:"720h" min:"1h" max:"8760h"`
}

// ech checks [tls.ech] and has the public name's certificate obtained.
func (c checker) ech() {
	const at = "tls.ech.public_name"
	e := c.cfg.TLS.ECH
	if e == nil || c.bad(at) {
		return
	}
	e.PublicName = strings.ToLower(strings.TrimSuffix(e.PublicName, "."))
	if !isPublicName(e.PublicName) {
		c.value(at, "public_name %s is not a host name, as cover.example.com", c.quote(at, e.PublicName))
		return
	}
	if c.bad("tls.certificate") || covers(c.staticNames(), e.PublicName) {
		return
	}
	a := c.cfg.TLS.ACME
	switch {
	case a == nil:
		c.value(at, "public_name %s has no certificate: add a [[tls.certificate]] for it, or [tls.acme]", c.quote(at, e.PublicName))
	case !covers(a.Hosts, e.PublicName):
		a.Hosts = append(a.Hosts, e.PublicName)
	}
}

// isPublicName holds a name to what may be one (RFC 9849 §4): labels of letters, digits and hyphens, and no IPv4 address.
func isPublicName(name string) bool {
	labels := strings.Split(name, ".")
	if len(name) > 253 || len(labels) < 2 || strings.Trim(labels[len(labels)-1], "0123456789") == "" {
		return false
	}
	return !slices.ContainsFunc(labels, func(l string) bool {
		return l == "" || len(l) > 63 || strings.HasPrefix(l, "-") || strings.HasSuffix(l, "-") ||
			strings.Trim(l, "abcdefghijklmnopqrstuvwxyz0123456789-") != ""
	})
}
