package edgetls

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// propagation waits until those whom the CA will ask have a record: the authoritative servers of its zone, or the resolvers that were named instead.
type propagation struct {
	resolvers resolvers
	only      bool // ask nobody but the resolvers
	timeout   time.Duration
	port      string // of authoritative servers
}

const (
	defaultPropagation = 2 * time.Minute // what the slowest of the big providers say of their own servers
	mostCNAMEs         = 8
)

func newPropagation(o DNSOptions) propagation {
	p := propagation{resolvers: o.Resolvers, only: len(o.Resolvers) > 0, timeout: o.Timeout, port: "53"}
	if p.timeout <= 0 {
		p.timeout = defaultPropagation
	}
	return p
}

// target is the name that name leads to by CNAME, name itself where nobody knows: the CA follows them too (RFC 8555 §8.4).
func (p propagation) target(ctx context.Context, name string) string {
	for range mostCNAMEs {
		records, err := p.resolvers.ask(ctx, name, dns.TypeCNAME)
		if err != nil || len(records) == 0 {
			return name
		}
		if c, ok := records[0].(*dns.CNAME); ok {
			name = dns.Fqdn(c.Target)
		}
	}
	return name
}

// wait returns when every server has the record, or says after the timeout what was seen where.
func (p propagation) wait(ctx context.Context, r record) error {
	end := time.Now().Add(p.timeout)
	ctx, cancel := context.WithDeadline(ctx, end)
	defer cancel()
	var servers, missing []string
	seen := map[string]string{}
	for pause := time.Second; ; pause = min(2*pause, 10*time.Second) {
		if len(servers) == 0 {
			servers = p.servers(ctx, r.name)
			missing = servers
		}
		missing = slices.DeleteFunc(slices.Clone(missing), func(server string) bool {
			found, has := p.look(ctx, server, r)
			// A question that the end of the time cut off tells nothing of the server; by the clock, because that question may end before ctx does.
			if !has && time.Now().Before(end) || seen[server] == "" {
				seen[server] = found
			}
			return has
		})
		if len(servers) > 0 && len(missing) == 0 {
			return nil
		}
		if !rest(ctx, pause, nil) {
			return p.unseen(r, missing, seen)
		}
	}
}

func (p propagation) unseen(r record, missing []string, seen map[string]string) error {
	var parts []string
	for _, server := range missing {
		parts = append(parts, server+" has "+seen[server])
	}
	if len(parts) == 0 {
		parts = append(parts, "no server that is responsible for it could be found")
	}
	return &refusal{words: fmt.Sprintf("the record %s with %q was published, but not everywhere within %v: %s",
		r.name, r.value, p.timeout, strings.Join(parts, ", "))}
}

// look asks one server and words what it has.
func (p propagation) look(ctx context.Context, server string, r record) (found string, has bool) {
	records, err := askOne(ctx, server, r.name, dns.TypeTXT, p.only)
	if err != nil {
		return "not answered (" + err.Error() + ")", false
	}
	var values []string
	for _, rr := range records {
		if txt, ok := rr.(*dns.TXT); ok {
			values = append(values, strings.Join(txt.Txt, ""))
		}
	}
	switch {
	case slices.Contains(values, r.value):
		return "", true
	case len(values) == 0:
		return "no such record", false
	}
	return fmt.Sprintf("other values (%q)", values), false
}

// servers are those to ask, IP:PORT; none while they cannot be found.
func (p propagation) servers(ctx context.Context, name string) []string {
	if p.only {
		return p.resolvers
	}
	for domain := name; domain != "" && domain != "."; _, domain, _ = strings.Cut(domain, ".") {
		records, err := p.resolvers.ask(ctx, domain, dns.TypeNS)
		if err != nil {
			return nil
		}
		if len(records) == 0 {
			continue // no zone begins here
		}
		var list []string
		for _, r := range records {
			if ns, ok := r.(*dns.NS); ok {
				list = append(list, p.addresses(ctx, ns.Ns)...)
			}
		}
		return list
	}
	return nil
}

// addresses gives one address of a name server: IPv4 first, which more machines have a way to.
func (p propagation) addresses(ctx context.Context, host string) []string {
	for _, kind := range []uint16{dns.TypeA, dns.TypeAAAA} {
		records, _ := p.resolvers.ask(ctx, host, kind)
		for _, r := range records {
			switch r := r.(type) {
			case *dns.A:
				return []string{net.JoinHostPort(r.A.String(), p.port)}
			case *dns.AAAA:
				return []string{net.JoinHostPort(r.AAAA.String(), p.port)}
			}
		}
	}
	return nil
}
