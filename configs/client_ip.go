package configs

import (
	"errors"
	"net/netip"
)

// ClientIP says whose word about a client's address is taken. The one address derived is what logs, limits, hashing and forwarded fields use.
type ClientIP struct {
	// Proxies in front of weir, as "10.0.0.0/8", "2001:db8::/32" or "10.0.0.1", or by name: "cloudflare", "fastly" (their published
	// networks as of this version), "private" (loopback, link-local and private networks). From them X-Forwarded-For is read,
	// right to left up to the first address that is not among them, and appended to; X-Forwarded-Proto, -Host, -Port and
	// X-Request-ID are kept if valid. From everybody else all of these are replaced. Forwarded and X-Real-IP are never read.
	TrustedProxies []Proxies `toml:"trusted_proxies"`
}

// CIDR is a network, IPv4 as IPv4.
type CIDR struct{ netip.Prefix }

func (c *CIDR) parseText(text string) error {
	prefix, err := parseNetwork(text)
	if err == nil && prefix.Bits() == 0 {
		err = errors.New("is everybody, and an address that everybody may state is nobody's: name your proxies")
	}
	c.Prefix = prefix
	return err
}

// Network is a network that may be everybody, IPv4 as IPv4.
type Network struct{ netip.Prefix }

func (n *Network) parseText(text string) (err error) {
	n.Prefix, err = parseNetwork(text)
	return err
}

func parseNetwork(text string) (netip.Prefix, error) {
	prefix, err := netip.ParsePrefix(text)
	if ip, bare := netip.ParseAddr(text); bare == nil && ip.Zone() == "" {
		prefix, err = netip.PrefixFrom(ip, ip.BitLen()), nil
	}
	if err != nil {
		return prefix, errors.New(`is not a network: write "10.0.0.0/8", "2001:db8::/32" or one address`)
	}
	if prefix.Addr().Is4In6() && prefix.Bits() >= 96 {
		prefix = netip.PrefixFrom(prefix.Addr().Unmap(), prefix.Bits()-96)
	}
	if prefix.Masked() != prefix {
		return prefix, errors.New("has bits set behind its length: did you mean " + prefix.Masked().String() + "?")
	}
	return prefix, nil
}
