package edgetls

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// preflight finds what would make an order fail before it is made: a failed validation counts against the host for an hour.
// What it cannot know (a DNS server that does not answer) it leaves to the CA.
type preflight struct {
	ca      CA
	client  *http.Client
	servers resolvers // none: the system's
}

func newPreflight(ca CA, servers resolvers) preflight {
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{RootCAs: ca.Roots, MinVersion: tls.VersionTLS12},
		DisableKeepAlives: true} // one request a day
	return preflight{ca: ca, client: &http.Client{Transport: transport, Timeout: 20 * time.Second}, servers: servers}
}

// directory is what interests here of a CA's directory (RFC 8555 §7.1.1, profiles: draft-ietf-acme-profiles).
type directory struct {
	NewOrder    string `json:"newOrder"`
	RenewalInfo string `json:"renewalInfo"` // RFC 9773 §4.1
	Meta        struct {
		CAA      []string          `json:"caaIdentities"`
		EAB      bool              `json:"externalAccountRequired"`
		Profiles map[string]string `json:"profiles"`
	} `json:"meta"`
}

// order refuses an order for name that cannot end well. d is what read gave; byDNS: the name is proven by a record, not by who answers for it.
func (p preflight) order(ctx context.Context, d directory, name string, byDNS bool) error {
	who := authorityName(p.ca.Directory)
	if d.Meta.EAB && p.ca.KeyID == "" {
		return &refusal{words: who + " gives certificates to accounts that are known to it only: name it in a [[tls.acme.ca]] with eab_kid and eab_hmac, " +
			"which it shows on its site, or use another CA"}
	}
	if _, offered := d.Meta.Profiles[p.ca.Profile]; p.ca.Profile != "" && !offered {
		return &refusal{words: fmt.Sprintf("%s has no profile %q", who, p.ca.Profile)}
	}
	addresses := []netip.Addr{}
	if ip, err := netip.ParseAddr(name); err == nil {
		addresses = append(addresses, ip)
	} else {
		if !byDNS {
			if addresses, err = p.addresses(ctx, name); err != nil {
				return err
			}
		}
		if err := p.caa(ctx, name, who, d.Meta.CAA); err != nil {
			return err
		}
	}
	if slices.ContainsFunc(addresses, netip.Addr.IsLoopback) && !isLocal(p.ca.Directory) {
		return &refusal{words: fmt.Sprintf("%s is a loopback address here, which %s cannot reach: is the host in /etc/hosts?", name, who)}
	}
	return nil
}

// read fetches the directory. A CA that is down is found out here, once, without the client library's retries.
func (p preflight) read(ctx context.Context) (directory, error) {
	var d directory
	address := p.ca.Directory
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return d, fmt.Errorf("the CA's directory %s: %w", address, err)
	}
	resp, err := p.client.Do(req)
	if err != nil {
		return d, fmt.Errorf("the CA cannot be reached: %w", err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = errors.New(resp.Status)
		if until := retryAfterField(resp.Header, time.Now()); !until.IsZero() {
			err = &refusal{words: fmt.Sprintf("%s answers %s and asks to come again at %s", authorityName(address), resp.Status,
				until.UTC().Format(time.RFC3339)), until: until}
		}
	}
	if err == nil {
		d, err = readDirectory(data)
	}
	if err != nil {
		return d, fmt.Errorf("%s is no ACME directory: %w", address, err)
	}
	return d, nil
}

func readDirectory(data []byte) (directory, error) {
	var d directory
	if err := json.Unmarshal(data, &d); err != nil {
		return d, err
	}
	if d.NewOrder == "" {
		return d, errors.New("it names no newOrder address")
	}
	return d, nil
}

// isLocal reports a CA on this machine: a private one, or a test's.
func isLocal(directory string) bool {
	u, err := url.Parse(directory)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(u.Hostname())
	return u.Hostname() == "localhost" || err == nil && ip.IsLoopback()
}

// addresses are those of a name, none when nobody could be asked.
func (p preflight) addresses(ctx context.Context, name string) ([]netip.Addr, error) {
	none := &refusal{words: name + " has no address in DNS, so that no CA can reach it: publish an A or AAAA record that leads to this machine"}
	if len(p.servers) == 0 { // as the system does it, /etc/hosts included
		list, err := net.DefaultResolver.LookupNetIP(ctx, "ip", name)
		var lookup *net.DNSError
		if errors.As(err, &lookup) && lookup.IsNotFound {
			return nil, none
		}
		return list, nil
	}
	var list []netip.Addr
	for _, kind := range []uint16{dns.TypeA, dns.TypeAAAA} {
		records, err := p.servers.ask(ctx, name, kind)
		if err != nil {
			return nil, nil // not known is not no
		}
		for _, r := range records {
			switch r := r.(type) {
			case *dns.A:
				list = append(list, addrOf(r.A))
			case *dns.AAAA:
				list = append(list, addrOf(r.AAAA))
			}
		}
	}
	if len(list) == 0 {
		return nil, none
	}
	return list, nil
}

func addrOf(ip net.IP) netip.Addr {
	addr, _ := netip.AddrFromSlice(ip) // the zero address is no loopback
	return addr.Unmap()
}

// caa holds the closest CAA records (RFC 8659 §3) against the names by which the CA goes.
func (p preflight) caa(ctx context.Context, name, who string, identities []string) error {
	if len(identities) == 0 {
		return nil
	}
	domain, wildcard := strings.CutPrefix(name, "*.")
	for ; domain != ""; _, domain, _ = strings.Cut(domain, ".") {
		records, err := p.servers.ask(ctx, domain, dns.TypeCAA)
		if err != nil {
			return nil // not known is not no
		}
		if len(records) == 0 {
			continue
		}
		allowed := issuers(records, wildcard)
		if len(allowed) > 0 && !slices.ContainsFunc(identities, func(id string) bool { return slices.Contains(allowed, strings.ToLower(id)) }) {
			return &refusal{words: fmt.Sprintf("the CAA record of %s lets only %s issue certificates, not %s: add it there, or use another tls.acme.directory",
				domain, quotedList(allowed), who)}
		}
		return nil
	}
	return nil
}

// issuers are those that a CAA record set allows; none: it says nothing of it. For wildcards "issuewild" goes before "issue" (RFC 8659 §4.3).
func issuers(records []dns.RR, wildcard bool) (allowed []string) {
	for _, tag := range []string{"issuewild", "issue"} {
		if tag == "issuewild" && !wildcard {
			continue
		}
		for _, r := range records {
			if c, ok := r.(*dns.CAA); ok && strings.EqualFold(c.Tag, tag) {
				issuer, _, _ := strings.Cut(c.Value, ";")
				allowed = append(allowed, strings.ToLower(strings.TrimSpace(issuer)))
			}
		}
		if len(allowed) > 0 {
			return allowed
		}
	}
	return nil
}

func quotedList(names []string) string {
	out := make([]string, len(names))
	for i, n := range names {
		if out[i] = n; n == "" {
			out[i] = "nobody"
		}
	}
	return strings.Join(out, ", ")
}
