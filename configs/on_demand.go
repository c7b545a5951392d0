package configs

import (
	"net/url"
	"time"
)

// OnDemand obtains certificates for names that clients ask for by SNI and that nothing of this file names, with
// the CAs of [tls.acme]: for hosts that come and go without a reload, as customers' own domains. Only names whose
// requests a route would take are obtained; that is what routes without host are for.
type OnDemand struct {
	// URL of your service that knows the names: GET with ?domain=NAME, 200 allows it, any other status refuses.
	// It is asked before the first order and before each renewal. Without it anybody could have certificates
	// ordered in your name, until the CA refuses them to you.
	Ask string `toml:"ask" required:"true"`
	// How long to wait for its answer.
	Timeout time.Duration `toml:"timeout" default:"2s" min:"100ms" max:"10s"`
	// New names per second, minute or hour; counted over restarts too.
	Limit Rate `toml:"limit" default:"10/h"`
	// Names at most.
	MaxNames int `toml:"max_names" default:"1000" min:"1" max:"100000"`
}

// onDemand checks [tls.on_demand].
func (c checker) onDemand() {
	o := c.cfg.TLS.OnDemand
	if o == nil {
		return
	}
	if at := "tls.on_demand.ask"; !c.bad(at) {
		if u, err := url.Parse(o.Ask); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
			c.value(at, "ask %s is not an http:// or https:// URL", c.quote(at, o.Ask))
		}
	}
	if c.cfg.TLS.ACME == nil && !c.bad("tls.acme") {
		c.key("tls.on_demand", "tls.on_demand needs [tls.acme], whose CAs it asks")
	}
}
