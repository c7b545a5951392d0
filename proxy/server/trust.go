package server

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/valor-ivx/weir/configs"
	"github.com/valor-ivx/weir/proxy/clientip"
)

// trustedProxies are the proxies in front whose word about their clients is taken.
func trustedProxies(list []configs.Proxies) clientip.Trust {
	var prefixes []netip.Prefix
	for _, p := range list {
		prefixes = append(prefixes, p.Networks...)
	}
	return clientip.New(prefixes)
}

// presetsAge is how old a list of somebody's networks may be without a word. Cloudflare last added one in 2021, Fastly about once a year.
const presetsAge = 180 * 24 * time.Hour

// presetWarnings tell of named networks whose list has grown old with this binary.
func presetWarnings(cfg *configs.Config, now time.Time) (warnings []string) {
	if cfg.ClientIP == nil || now.Sub(configs.PresetsOf()) < presetsAge {
		return nil
	}
	for _, p := range cfg.ClientIP.TrustedProxies {
		if p.Name != "" && p.Name != "private" {
			warnings = append(warnings, fmt.Sprintf("client_ip.trusted_proxies: the networks of %s are those of %s: compare them with what %s publishes, or update weir",
				p.Name, configs.PresetsOf().Format(time.DateOnly), p.Name))
		}
	}
	return warnings
}
