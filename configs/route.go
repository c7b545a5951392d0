package configs

import "time"

// Route sends matching requests to a service, or answers them with files. The host decides first: exact before wildcard (the longest)
// before none; only the routes of that host are then looked at: exact path, then regular expressions in
// file order, then the longest prefix.
type Route struct {
	// Label in logs and metrics; unique. Default: first host and path as written.
	Name string `toml:"name"`
	// Names this route is for, without port: "example.com", or "*.example.com" for every
	// name below example.com. Letter case does not matter. Left out: any host.
	Hosts []string `toml:"host"`
	// "/prefix" (whole segments, without "*": "/api" is also /api/x but not /apix), "=/exact", or "~regex" (RE2, matched anywhere unless anchored).
	Path Pattern `toml:"path" default:"/"`
	// Name of the service that answers. A route has either this or files.
	Service string `toml:"service" required:"check"`
	// Folder whose files are the answers, in place of a service: files = { root = "web" }.
	Files *RouteFiles `toml:"files"`
	// Names of rate limits, [limit.NAME], all of which must allow a request; one that refuses takes nothing from the others. At most 8.
	Limits []string `toml:"limits"`
	// Names of access lists, [access.NAME], all of which must let the client's address pass; else 403.
	Access []string `toml:"access" single:"true"`
	// Name of the authentication, [auth.NAME], that a request must pass behind access and limits; else 401. Redirects to https and ACME validations are answered
	// before it.
	Auth string `toml:"auth"`
	// Name of the firewall, [waf.NAME], that judges a request behind access, limits and auth; else 403.
	WAF string `toml:"waf"`
	// Who goes first when the service's breaker cannot let all requests through: critical, high, normal or low. A twentieth of max_requests is kept from those
	// below each of these that a route of the service has.
	Priority Priority `toml:"priority" default:"normal" enum:"critical|high|normal|low"`
	// Fields of responses, in place of the listener's: a [headers.NAME], or a preset: basic, strict, off. Default: the listener's.
	Headers string `toml:"headers"`
	// Largest request body, as "64KiB", "10MiB", "1GiB" or "512B"; more is 413. "off": no limit.
	MaxBody Size `toml:"max_body" default:"10MiB"`
	// Longest time to the end of the response; "0s": no limit. Not for 101, CONNECT and event streams.
	Timeout time.Duration `toml:"timeout" default:"0s" min:"0s" max:"24h"`
	// Codings in which answers are sent to clients that take them: compress = ["zstd", "br", "gzip"], or a table. Default: answers are sent as they are.
	Compress *Compress `toml:"compress"`
}
