package upstream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

const (
	// hostsTTL is how long an entry of the hosts file is good: the file is looked at again after that.
	hostsTTL = 5 * time.Second

	// maxServerTimeout bounds what resolv.conf may ask for, so that a dead first server leaves time for the second one within lookupTimeout.
	maxServerTimeout = 2 * time.Second

	// udpSize is what fits into one packet on any path (DNS flag day 2020); longer answers come by TCP.
	udpSize = 1232
)

// ErrNoSuchName is NXDOMAIN.
var ErrNoSuchName = errors.New("no such name")

// ResolverOptions say where answers come from.
type ResolverOptions struct {
	// ResolvConf and Hosts are files; "": /etc/resolv.conf and /etc/hosts. Both are read again when they change.
	ResolvConf, Hosts string
	// Servers are "IP:port" and take the place of those in ResolvConf.
	Servers []string
}

// SystemResolver asks the system's name servers, because the standard resolver hides TTLs. It honours resolv.conf (servers, search, ndots, timeout,
// attempts) and the hosts file; it does not know nsswitch.conf, mDNS or any other source. It holds no sockets and no goroutine.
type SystemResolver struct {
	options ResolverOptions

	mu     sync.Mutex // guards the files as last read
	config fileCache[*dns.ClientConfig]
	hosts  fileCache[map[string][]netip.Addr]
}

// NewResolver returns a resolver. It reads nothing yet.
func NewResolver(o ResolverOptions) *SystemResolver {
	orDefault(&o.ResolvConf, "/etc/resolv.conf")
	orDefault(&o.Hosts, "/etc/hosts")
	return &SystemResolver{options: o}
}

// LookupIP implements Resolver.
func (r *SystemResolver) LookupIP(ctx context.Context, family, host string) ([]netip.Addr, time.Duration, error) {
	if addrs, ok := r.inHosts(host); ok {
		return ofFamily(addrs, family), hostsTTL, nil
	}
	kind := dns.TypeA
	if family == "ip6" {
		kind = dns.TypeAAAA
	}
	records, err := r.query(ctx, host, kind)
	if err != nil {
		return nil, 0, err
	}
	ttl := maxTTL
	var addrs []netip.Addr
	for _, record := range records {
		// Aliases are followed by the server; their TTL bounds the answer as much as the address' own.
		ttl = min(ttl, time.Duration(record.Header().Ttl)*time.Second)
		var ip net.IP
		switch v := record.(type) {
		case *dns.A:
			ip = v.A
		case *dns.AAAA:
			ip = v.AAAA
		}
		if a, ok := netip.AddrFromSlice(ip); ok {
			addrs = append(addrs, a.Unmap())
		}
	}
	return ofFamily(addrs, family), ttl, nil
}

// LookupSRV implements Resolver.
func (r *SystemResolver) LookupSRV(ctx context.Context, name string) ([]SRV, time.Duration, error) {
	records, err := r.query(ctx, name, dns.TypeSRV)
	if err != nil {
		return nil, 0, err
	}
	ttl := maxTTL
	var list []SRV
	for _, record := range records {
		ttl = min(ttl, time.Duration(record.Header().Ttl)*time.Second)
		if v, ok := record.(*dns.SRV); ok {
			list = append(list, SRV{Host: v.Target, Port: v.Port, Priority: v.Priority, Weight: v.Weight})
		}
	}
	return list, ttl, nil
}

func ofFamily(addrs []netip.Addr, family string) []netip.Addr {
	var list []netip.Addr
	for _, a := range addrs {
		if a.Is4() == (family == "ip4") {
			list = append(list, a)
		}
	}
	return list
}

// query tries the names of the search list in order. A name that exists without such records ends the search only if no later one has any;
// a server that failed makes the whole answer a failure, because the name that it failed for might have been the one.
func (r *SystemResolver) query(ctx context.Context, name string, kind uint16) ([]dns.RR, error) {
	config := r.system()
	var failed error
	exists := false
	for _, full := range config.NameList(name) {
		records, err := r.ask(ctx, config, full, kind)
		switch {
		case err == nil && len(records) > 0:
			return records, nil
		case err == nil:
			exists = true
		case !errors.Is(err, ErrNoSuchName):
			failed = err
		}
		if ctx.Err() != nil {
			break
		}
	}
	switch {
	case failed != nil:
		return nil, failed
	case exists:
		return nil, nil
	default:
		return nil, fmt.Errorf("%s: %w", name, ErrNoSuchName)
	}
}

// ask puts one question to the servers in turn until one of them knows.
func (r *SystemResolver) ask(ctx context.Context, config *dns.ClientConfig, name string, kind uint16) ([]dns.RR, error) {
	servers := r.options.Servers
	if len(servers) == 0 {
		for _, s := range config.Servers {
			servers = append(servers, net.JoinHostPort(s, config.Port))
		}
	}
	var failed error
	for range max(1, config.Attempts) {
		for _, server := range servers {
			answer, err := exchange(ctx, server, name, kind, config)
			if ctx.Err() != nil {
				return nil, fmt.Errorf("ask %s for %s: %w", server, name, ctx.Err())
			}
			switch {
			case err != nil:
				failed = fmt.Errorf("ask %s for %s: %w", server, name, err)
			case answer.Rcode == dns.RcodeSuccess:
				return answer.Answer, nil
			case answer.Rcode == dns.RcodeNameError:
				return nil, fmt.Errorf("%s: %w", name, ErrNoSuchName)
			default:
				failed = fmt.Errorf("ask %s for %s: answer %s", server, name, dns.RcodeToString[answer.Rcode])
			}
		}
	}
	return nil, failed
}

// exchange asks one server: by UDP, by TCP if the answer did not fit, and without EDNS if the server is too old for it.
func exchange(ctx context.Context, server, name string, kind uint16, config *dns.ClientConfig) (*dns.Msg, error) {
	timeout := min(time.Duration(max(1, config.Timeout))*time.Second, maxServerTimeout)
	question := new(dns.Msg).SetQuestion(dns.Fqdn(name), kind)
	question.SetEdns0(udpSize, false)
	answer, err := exchangeBy(ctx, "udp", server, question, timeout)
	if err == nil && answer.Rcode == dns.RcodeFormatError {
		question.Extra = nil
		answer, err = exchangeBy(ctx, "udp", server, question, timeout)
	}
	if err == nil && answer.Truncated {
		return exchangeBy(ctx, "tcp", server, question, timeout)
	}
	return answer, err
}

func exchangeBy(ctx context.Context, network, server string, question *dns.Msg, timeout time.Duration) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	client := dns.Client{Net: network, Timeout: timeout, UDPSize: udpSize}
	conn, err := client.DialContext(ctx, server)
	if err != nil {
		return nil, fmt.Errorf("dial: %w", err)
	}
	defer conn.Close()
	// The library heeds deadlines but not cancellation: closing the socket is what ends a read at once.
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	answer, _, err := client.ExchangeWithConnContext(ctx, question, conn)
	if err != nil {
		return nil, fmt.Errorf("exchange: %w", err)
	}
	// The identifier alone is 16 bits: the question must come back too, in whatever case the server keeps names.
	asked := question.Question[0]
	if len(answer.Question) != 1 || answer.Question[0].Qtype != asked.Qtype || !strings.EqualFold(answer.Question[0].Name, asked.Name) {
		return nil, errors.New("exchange: the answer is to another question")
	}
	return answer, nil
}

// system is resolv.conf as it is now. Without the file the local server is asked, as resolv.conf(5) says.
func (r *SystemResolver) system() *dns.ClientConfig {
	r.mu.Lock()
	defer r.mu.Unlock()
	config := r.config.read(r.options.ResolvConf, func(f *os.File) *dns.ClientConfig {
		c, err := dns.ClientConfigFromReader(f)
		if err != nil {
			return nil
		}
		return c
	})
	if config == nil || len(config.Servers) == 0 && len(r.options.Servers) == 0 {
		return &dns.ClientConfig{Servers: []string{"127.0.0.1"}, Port: "53", Ndots: 1, Timeout: 2, Attempts: 2}
	}
	return config
}

// inHosts reports whether the hosts file names the host: then the file alone decides, for both families.
func (r *SystemResolver) inHosts(host string) ([]netip.Addr, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	table := r.hosts.read(r.options.Hosts, parseHosts)
	addrs, ok := table[plainName(host)]
	return addrs, ok
}
