package server

import (
	"fmt"
	"time"

	"github.com/valor-ivx/weir/configs"
	"github.com/valor-ivx/weir/proxy/route"
	edgetls "github.com/valor-ivx/weir/tls"
)

// clientAuth makes the policies for clients' certificates; nil when the file has none. Hosts are matched by the routes' own table.
func clientAuth(cfg *configs.Config, now time.Time) (auths *edgetls.ClientAuths, warnings []string, err error) {
	if len(cfg.TLS.ClientAuths) == 0 {
		return nil, nil, nil
	}
	var list []*edgetls.ClientAuth
	var rules []route.Rule
	var owners []int // by rule
	for i, c := range cfg.TLS.ClientAuths {
		a, more, err := edgetls.NewClientAuth(edgetls.ClientAuthOptions{
			CA: c.CAPEM, CRL: c.CRLPEM, Required: c.Mode == configs.ClientAuthRequire, Chain: c.ForwardChain,
		}, now)
		if err != nil {
			return nil, nil, fmt.Errorf("tls.client_auth for %s: %w", c.Hosts[0], err)
		}
		list, warnings = append(list, a), append(warnings, more...)
		for _, host := range c.Hosts {
			rule := route.Rule{Name: host, Hosts: []string{host}, Kind: route.Prefix, Path: "/"}
			if host == configs.EveryHost {
				rule.Hosts = nil
			}
			rules, owners = append(rules, rule), append(owners, i)
		}
	}
	table, err := route.New(rules)
	if err != nil {
		return nil, nil, fmt.Errorf("tls.client_auth: %w", err)
	}
	root := []byte("/")
	find := func(host []byte) int {
		if i := table.Match(host, root); i >= 0 {
			return owners[i]
		}
		return -1
	}
	return edgetls.NewClientAuths(list, find), warnings, nil
}

// prepareClientAuth gives handshakes and requests the same policies.
func (p *prepared) prepareClientAuth(cfg *configs.Config) error {
	auths, warnings, err := clientAuth(cfg, time.Now())
	if err != nil {
		return err
	}
	p.plan.auths, p.store = auths, p.store.WithClientAuth(auths)
	p.warnings = append(p.warnings, warnings...)
	return nil
}
