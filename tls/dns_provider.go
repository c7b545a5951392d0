package edgetls

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/go-acme/lego/v5/challenge"
	"github.com/go-acme/lego/v5/providers/dns/cloudflare"
	"github.com/go-acme/lego/v5/providers/dns/route53"
)

// DNSOptions say who publishes the records of dns-01, and how long it may take.
type DNSOptions struct {
	Provider  string        // one of the Provider constants
	Settings  DNSSettings   // the provider's
	Resolvers []string      // IP:PORT; asked for the records instead of the zone's own servers; none: those
	Timeout   time.Duration // until a record is seen everywhere; 0: 2 minutes
}

// Providers of dns-01.
const (
	ProviderACMEDNS    = "acme-dns"
	ProviderCloudflare = "cloudflare"
	ProviderExec       = "exec"
	ProviderHTTPReq    = "httpreq"
	ProviderRFC2136    = "rfc2136"
	ProviderRoute53    = "route53"
)

// DNSSettings are those of the providers; each looks at its own.
type DNSSettings struct {
	Token string // cloudflare: may edit the zone's records

	AccessKeyID, SecretAccessKey, SessionToken string // route53; empty: the SDK's own sources
	Region, HostedZoneID, AssumeRole           string

	Nameserver, Zone                   string // rfc2136: IP:PORT or HOST:PORT; zone "": asked for
	TSIGKey, TSIGSecret, TSIGAlgorithm string // TSIGKey "": unsigned; secret in base64; algorithm "": hmac-sha256

	Endpoint                      string // httpreq, acme-dns: base URL; cloudflare: instead of its own
	Username, Password, Subdomain string // httpreq (basic authentication; optional), acme-dns

	Program string // exec: called with present or cleanup, the record's name, its value
}

func newPublisher(o DNSOptions) (publisher, error) {
	s := o.Settings
	switch o.Provider {
	case ProviderACMEDNS:
		return acmeDNS{s, hookClient()}, nil
	case ProviderExec:
		return program{s.Program}, nil
	case ProviderHTTPReq:
		return httpHook{s, hookClient()}, nil
	case ProviderRFC2136:
		return newDNSUpdate(s)
	case ProviderCloudflare:
		c := cloudflare.NewDefaultConfig()
		c.AuthEmail, c.AuthKey, c.AuthToken, c.ZoneToken = "", "", s.Token, ""
		c.HTTPClient, c.BaseURL = hookClient(), s.Endpoint
		return fromLego(cloudflare.NewDNSProviderConfig(c))
	case ProviderRoute53:
		c := route53.NewDefaultConfig()
		c.AccessKeyID, c.SecretAccessKey, c.SessionToken, c.Region = s.AccessKeyID, s.SecretAccessKey, s.SessionToken, s.Region
		if c.Region == "" {
			c.Region = "us-east-1" // Route 53 is one service for all regions, which the SDK signs for this one
		}
		c.HostedZoneID, c.AssumeRoleArn = s.HostedZoneID, s.AssumeRole
		c.WaitForRecordSetsChanged = false // the propagation check looks for itself
		return fromLego(route53.NewDNSProviderConfig(c))
	}
	return nil, fmt.Errorf("there is no such provider")
}

// hookClient talks to providers. Nothing of theirs is kept between two orders, which are weeks apart.
func hookClient() *http.Client {
	return &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true}}
}

// legoProvider is a publisher of lego's.
type legoProvider struct{ challenge.Provider }

func fromLego[P challenge.Provider](p P, err error) (publisher, error) {
	if err != nil {
		return nil, err
	}
	return legoProvider{p}, nil
}

func (p legoProvider) publish(ctx context.Context, r record) error {
	return p.Present(ctx, r.domain, r.token, r.keyAuth)
}

func (p legoProvider) withdraw(ctx context.Context, r record) error {
	return p.CleanUp(ctx, r.domain, r.token, r.keyAuth)
}
