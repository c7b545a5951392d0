package edgetls

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// dnsUpdate is the provider "rfc2136": dynamic updates (RFC 2136), signed by TSIG (RFC 8945) when there is a key. It adds and removes its own record only, so that
// a wildcard's and its domain's stand side by side.
type dnsUpdate struct {
	server, zone   string // zone "": the server is asked
	key, algorithm string // fully qualified; key "": unsigned
	secret         string // base64
}

// updateTTL is short, so that the next challenge is not hidden by this one in anybody's cache.
const updateTTL = 60

func newDNSUpdate(s DNSSettings) (*dnsUpdate, error) {
	u := &dnsUpdate{server: s.Nameserver, secret: s.TSIGSecret, algorithm: dns.HmacSHA256}
	if _, _, err := net.SplitHostPort(u.server); err != nil {
		u.server = net.JoinHostPort(strings.Trim(u.server, "[]"), "53")
	}
	if s.Zone != "" {
		u.zone = dns.Fqdn(s.Zone)
	}
	if s.TSIGKey != "" {
		u.key = dns.CanonicalName(s.TSIGKey)
	}
	if s.TSIGAlgorithm != "" {
		u.algorithm = dns.CanonicalName(s.TSIGAlgorithm)
	}
	if (u.key == "") != (u.secret == "") {
		return nil, errors.New("a TSIG key needs its secret, and the secret its key")
	}
	return u, nil
}

func (u *dnsUpdate) publish(ctx context.Context, r record) error {
	return u.update(ctx, r, (*dns.Msg).Insert)
}

func (u *dnsUpdate) withdraw(ctx context.Context, r record) error {
	return u.update(ctx, r, (*dns.Msg).Remove)
}

func (u *dnsUpdate) update(ctx context.Context, r record, change func(*dns.Msg, []dns.RR)) error {
	zone := u.zone
	if zone == "" {
		var err error
		if zone, err = u.findZone(ctx, r.name); err != nil {
			return err
		}
	}
	message := new(dns.Msg).SetUpdate(zone)
	change(message, []dns.RR{&dns.TXT{Hdr: dns.RR_Header{Name: r.name, Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: updateTTL}, Txt: []string{r.value}}})
	answer, err := u.send(ctx, message)
	if err != nil {
		return fmt.Errorf("update of zone %s at %s: %w", zone, u.server, err)
	}
	if answer.Rcode != dns.RcodeSuccess {
		return fmt.Errorf("update of zone %s: %s answers %s", zone, u.server, dns.RcodeToString[answer.Rcode])
	}
	return nil
}

// send goes by TCP: an update is not repeated when its answer is lost, and signatures make it long.
func (u *dnsUpdate) send(ctx context.Context, m *dns.Msg) (*dns.Msg, error) {
	client := &dns.Client{Net: "tcp", Timeout: 10 * time.Second}
	if u.key != "" {
		m.SetTsig(u.key, u.algorithm, 300, time.Now().Unix()) // RFC 8945 §10: the fudge it recommends
		client.TsigSecret = map[string]string{u.key: u.secret}
	}
	answer, _, err := client.ExchangeContext(ctx, m, u.server)
	return answer, err
}

// findZone asks the server itself for the zone that a name is in: the closest that has an SOA record there.
func (u *dnsUpdate) findZone(ctx context.Context, name string) (string, error) {
	for domain := name; domain != "" && domain != "."; _, domain, _ = strings.Cut(domain, ".") {
		records, err := askOne(ctx, u.server, domain, dns.TypeSOA, false)
		if err != nil {
			return "", fmt.Errorf("find zone of %s at %s: %w", name, u.server, err)
		}
		if len(records) > 0 {
			return dns.Fqdn(records[0].Header().Name), nil
		}
	}
	return "", fmt.Errorf("%s has no zone that %s is in", u.server, name)
}
