package edgetls

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/miekg/dns"
)

// resolvers are DNS servers, IP:PORT, that are asked in turn; none: those of /etc/resolv.conf.
type resolvers []string

const askTimeout = 3 * time.Second

// ask gives the records of one kind; none for a name that does not exist. An error means that nobody could say.
func (r resolvers) ask(ctx context.Context, name string, kind uint16) ([]dns.RR, error) {
	servers := []string(r)
	if len(servers) == 0 {
		c, err := dns.ClientConfigFromFile("/etc/resolv.conf")
		if err != nil {
			return nil, fmt.Errorf("read resolver: %w", err)
		}
		for _, s := range c.Servers {
			servers = append(servers, net.JoinHostPort(s, c.Port))
		}
	}
	err := errors.New("no DNS server")
	for _, server := range servers {
		var records []dns.RR
		if records, err = askOne(ctx, server, name, kind, true); err == nil {
			return records, nil
		}
	}
	return nil, err
}

// askOne asks one server; recurse: to find out, else only for what it knows itself.
func askOne(ctx context.Context, server, name string, kind uint16, recurse bool) ([]dns.RR, error) {
	question := new(dns.Msg)
	question.SetQuestion(dns.Fqdn(name), kind)
	question.SetEdns0(1232, false) // RFC 9715 §3.1: what passes unfragmented
	question.RecursionDesired = recurse
	answer, err := exchange(ctx, question, server)
	if err != nil {
		return nil, err
	}
	switch answer.Rcode {
	case dns.RcodeSuccess:
		return slices.DeleteFunc(answer.Answer, func(r dns.RR) bool { return r.Header().Rrtype != kind }), nil
	case dns.RcodeNameError:
		return nil, nil
	}
	return nil, fmt.Errorf("DNS server answers %s", dns.RcodeToString[answer.Rcode])
}

func exchange(ctx context.Context, question *dns.Msg, server string) (*dns.Msg, error) {
	client := &dns.Client{Timeout: askTimeout}
	answer, _, err := client.ExchangeContext(ctx, question, server)
	if err == nil && answer.Truncated {
		client.Net = "tcp"
		answer, _, err = client.ExchangeContext(ctx, question, server)
	}
	return answer, err
}
