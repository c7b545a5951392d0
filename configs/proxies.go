package configs

import (
	"errors"
	"net/netip"
	"time"
)

// Proxies is one network of proxies, or those of somebody by name.
type Proxies struct {
	Name     string // as written, "" for a network of one's own
	Networks []netip.Prefix
}

// String is what the file would say.
func (p Proxies) String() string {
	if p.Name != "" {
		return p.Name
	}
	return p.Networks[0].String()
}

func (p *Proxies) parseText(text string) error {
	if list := networksOf(text); list != nil {
		p.Name, p.Networks = text, list
		return nil
	}
	var own CIDR
	if err := own.parseText(text); err != nil {
		if _, notNetwork := netip.ParsePrefix(text); notNetwork != nil {
			return errors.New(`is not a network: write "10.0.0.0/8", "2001:db8::/32", one address, or "cloudflare", "fastly", "private"`)
		}
		return err
	}
	p.Networks = []netip.Prefix{own.Prefix}
	return nil
}

// PresetsOf is the date of the networks of those who publish theirs: CDNs add networks, and a client that comes by one that is missing here counts as that
// CDN's machine. Cloudflare's are as its page had them that day; Fastly's are from undated copies of its list that agree with each other, made where neither
// could be fetched: compare both at the next release.
func PresetsOf() time.Time { return time.Date(2026, time.September, 29, 0, 0, 0, 0, time.UTC) }

// networksOf gives the networks behind a name, nil without one.
func networksOf(name string) []netip.Prefix {
	switch name {
	case "cloudflare": // https://www.cloudflare.com/ips-v4 and /ips-v6
		return prefixes("173.245.48.0/20", "103.21.244.0/22", "103.22.200.0/22", "103.31.4.0/22", "141.101.64.0/18", "108.162.192.0/18", "190.93.240.0/20",
			"188.114.96.0/20", "197.234.240.0/22", "198.41.128.0/17", "162.158.0.0/15", "104.16.0.0/13", "104.24.0.0/14", "172.64.0.0/13", "131.0.72.0/22",
			"2400:cb00::/32", "2606:4700::/32", "2803:f800::/32", "2405:b500::/32", "2405:8100::/32", "2a06:98c0::/29", "2c0f:f248::/32")
	case "fastly": // https://api.fastly.com/public-ip-list
		return prefixes("23.235.32.0/20", "43.249.72.0/22", "103.244.50.0/24", "103.245.222.0/23", "103.245.224.0/24", "104.156.80.0/20", "140.248.64.0/18",
			"140.248.128.0/17", "146.75.0.0/17", "151.101.0.0/16", "157.52.64.0/18", "167.82.0.0/17", "167.82.128.0/20", "167.82.160.0/20", "167.82.224.0/20",
			"172.111.64.0/18", "185.31.16.0/22", "199.27.72.0/21", "199.232.0.0/16", "2a04:4e40::/32", "2a04:4e42::/32")
	case "private": // RFC 1918, 1122 §3.2.1.3, 3927, 6598; RFC 4193, 4291
		return prefixes("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "169.254.0.0/16", "100.64.0.0/10", "fc00::/7", "::1/128", "fe80::/10")
	}
	return nil
}

func prefixes(list ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(list))
	for i, text := range list {
		out[i] = netip.MustParsePrefix(text)
	}
	return out
}
