package nginx

import (
	"slices"
	"time"
)

// document is the configuration that comes out, before it is text. Everything in it is a key that Weir has.
type document struct {
	log       logging
	trusted   []string
	trustedBy *directive
	tls       tlsTable
	listeners []*listener
	limits    []*limit
	headers   []*headerTable
	access    []*accessList
	auths     []*auth
	services  []*service
	routes    []*route
}

type logging struct {
	level, access, accessOutput string
	from                        []*directive
}

type tlsTable struct {
	minVersion string
	from       *directive
	certs      []certificate
	clientAuth []clientAuth
}

type certificate struct {
	cert, key string
	from      *directive
}

type clientAuth struct {
	hosts         []string
	ca, crl, mode string
	from          *directive
}

type listener struct {
	address       string // as written in the result
	tls           bool
	redirect      bool
	protocols     []string
	proxyProtocol []string
	timeouts      []timeout
	maxHeader     string
	maxURI        string
	from          []*directive
}

// prune takes out what no route came to name, because its location was refused after all.
func (doc *document) prune() {
	used := map[string]bool{}
	for _, r := range doc.routes {
		used["headers "+r.headers], used["auth "+r.auth] = true, true
		if r.service != nil {
			used["service "+r.service.name] = true
		}
		for _, l := range r.limits {
			used["limit "+l] = true
		}
		for _, a := range r.access {
			used["access "+a] = true
		}
	}
	doc.services = slices.DeleteFunc(doc.services, func(s *service) bool { return !used["service "+s.name] })
	doc.headers = slices.DeleteFunc(doc.headers, func(h *headerTable) bool { return !used["headers "+h.name] })
	doc.auths = slices.DeleteFunc(doc.auths, func(a *auth) bool { return !used["auth "+a.name] })
	doc.limits = slices.DeleteFunc(doc.limits, func(l *limit) bool { return !used["limit "+l.name] })
	doc.access = slices.DeleteFunc(doc.access, func(a *accessList) bool { return !used["access "+a.name] })
}

// timeout is a key whose value is a duration.
type timeout struct {
	key   string
	value time.Duration
}

type limit struct {
	name        string
	rate, key   string
	burst       int
	concurrency int
	dryRun      bool
	from        *directive
}

type headerTable struct {
	name   string
	set    [][2]string
	remove []string
	from   []*directive
}

// id is equal for tables that do the same.
func (h *headerTable) id() string { return strings2(h.set) + "|" + quoteList(h.remove) }

func strings2(pairs [][2]string) string {
	s := ""
	for _, p := range pairs {
		s += quote(p[0]) + "=" + quote(p[1]) + ";"
	}
	return s
}

type accessList struct {
	name        string
	allow, deny []string
	from        []*directive
	why         string
}

type auth struct {
	name, kind       string
	realm, usersFile string
	url              string
	responseHeaders  []string
	from             []*directive
}

type service struct {
	name     string
	id       string // what services are told apart by: upstream and settings
	balance  string
	sticky   string
	protocol string
	proxy    string // proxy_protocol
	timeouts []timeout
	attempts int // 0: not said
	ejection *ejection
	tls      upstreamTLS
	groups   []*group
	from     []*directive
}

type ejection struct {
	consecutive int
	base        time.Duration
	off         bool
}

type upstreamTLS struct {
	ca, serverName, cert, key string
	insecure                  bool
}

type group struct {
	name    string
	weight  string // "" for a lone group
	targets []target
	from    *directive
}

type target struct {
	address, dns, srv string
	weight            int
}

type route struct {
	hosts    []string // nil: any
	path     string
	service  *service
	files    *files
	limits   []string
	access   []string
	auth     string
	headers  string
	maxBody  string
	compress string // a table
	from     []*directive
	remarks  []string
}

type files struct {
	root, index, fallback string
}
