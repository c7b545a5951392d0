package configs

import "time"

// Service is a set of interchangeable servers in one or more weighted groups (blue, green).
type Service struct {
	Name string `toml:"-"` // from the table's name; letters, digits, "_", "-", "."; at most 63

	// How a target is chosen within a group: peak_ewma (two random candidates compared by latency ×
	// requests in flight, errors penalised), least_request (two candidates by requests in flight),
	// round_robin, least_conn, or hash:KEY, with KEY one of client_ip, path, header:NAME, cookie:NAME.
	Balance Balance `toml:"balance" default:"peak_ewma"`
	// What a client is known by, so that it stays with its group: off (requests are dealt one by one, in exact
	// shares), cookie (a signed one of weir's own, weir_SERVICE), header:NAME, cookie:NAME (one of the
	// application's), or client_ip (of IPv6 the /64). A request without the header or cookie counts by its
	// address. A change of weights moves no more clients than the share that changed.
	Sticky Sticky `toml:"sticky" default:"off"`
	// A group with no live target: other (its share goes to the groups with weight > 0) or fail (503).
	WhenEmpty WhenEmpty `toml:"when_empty" default:"other" enum:"other|fail"`
	// Every target of a group fails its health check: any (try them anyway: a broken check must not
	// become an outage) or reject (the group counts as empty).
	WhenNoneHealthy WhenNoneHealthy `toml:"when_none_healthy" default:"any" enum:"any|reject"`
	// Protocol spoken to the targets: http/1.1; https, which is HTTP/1.1 over TLS; h2, which is HTTP/2
	// over TLS, agreed by ALPN; or h2c, which is HTTP/2 without TLS, known beforehand. Certificates are
	// verified. With h2 and h2c, which gRPC needs, the requests to a target share connections, and upgrades
	// (WebSocket) arrive as plain requests.
	Protocol string `toml:"protocol" default:"http/1.1" enum:"http/1.1|https|h2|h2c"`
	// How TLS is spoken to the targets, with protocol = "https" or "h2". Default: the system's roots, no client certificate.
	TLS *UpstreamTLS `toml:"tls"`
	// PROXY header that begins each connection and tells the target whom it is for: off, v1 or v2. It names one client, so a
	// connection is used again for that client only: with many clients that ask little, nearly every request pays for a new
	// connection, and for a handshake with https.
	ProxyProtocol ProxyProtocol `toml:"proxy_protocol" default:"off" enum:"off|v1|v2"`
	// Longest wait for a connection to a target.
	ConnectTimeout time.Duration `toml:"connect_timeout" default:"2s" min:"1ms" max:"5m"`
	// Longest wait for the head of the response after the request was sent; "0s": no limit.
	ResponseTimeout time.Duration `toml:"response_timeout" default:"30s" min:"0s" max:"24h"`
	// Longest silence of a target: between two reads of a response body (not in event streams and
	// tunnels), and for an unused connection. A target that says in its answers how long it keeps
	// connections (Keep-Alive: timeout=5), or shows it by closing them, is believed where that is shorter.
	IdleTimeout time.Duration `toml:"idle_timeout" default:"60s" min:"1ms" max:"24h"`
	// A target that is new or has become healthy again is given its full share gradually over this
	// time; "0s": at once.
	SlowStart time.Duration `toml:"slow_start" default:"0s" min:"0s" max:"1h"`
	// Active health check. Without it a target is judged only by the traffic it gets (ejection).
	Health *Health `toml:"health"`
	// When a target that answers badly is left alone for a while.
	Ejection Ejection `toml:"ejection"`
	// When a failed request is tried again on another target.
	Retry Retry `toml:"retry"`
	// When a request that is slow to be answered is also sent to a second target. Default: never.
	Hedge *Hedge `toml:"hedge"`
	// A limit on the requests that each target works on at a time, found by its answers. Default: none.
	AdaptiveConcurrency *AdaptiveConcurrency `toml:"adaptive_concurrency"`
	// How many requests the service is given at a time, and what becomes of more. Default: no bound.
	Breaker *Breaker `toml:"breaker"`
	// How traffic is moved to a new group by weir rollout, and what moves it back.
	Rollout Rollout `toml:"rollout"`
	// What another group would have answered, and where that differs. Default: nothing is asked twice.
	Shadow *Shadow `toml:"shadow"`
	// One table per group, [service.NAME.group.GROUP].
	Groups []Group `toml:"group"` // sorted by name, at least one
}

// ProxyProtocol is the form of a PROXY header.
type ProxyProtocol string

// The forms of a PROXY header: lines of text, and bytes.
const (
	ProxyProtocolOff ProxyProtocol = "off"
	ProxyProtocolV1  ProxyProtocol = "v1"
	ProxyProtocolV2  ProxyProtocol = "v2"
)

// Version is the protocol's version, 0 for off.
func (p ProxyProtocol) Version() uint8 {
	switch p {
	case ProxyProtocolV1:
		return 1
	case ProxyProtocolV2:
		return 2
	}
	return 0
}

// WhenEmpty says what becomes of the share of a group without live targets.
type WhenEmpty string

// What becomes of the share of a group without live targets.
const (
	WhenEmptyOther WhenEmpty = "other"
	WhenEmptyFail  WhenEmpty = "fail"
)

// WhenNoneHealthy says what happens when every target of a group fails its health check.
type WhenNoneHealthy string

// What happens when every target of a group fails its health check.
const (
	WhenNoneHealthyAny    WhenNoneHealthy = "any"
	WhenNoneHealthyReject WhenNoneHealthy = "reject"
)

// Health is an active check: a GET that must be answered with a 2xx status, or a call of gRPC's health service that must be
// answered with SERVING. Exactly one of path and grpc is set.
type Health struct {
	// Path requested, with a query if need be.
	Path string `toml:"path"`
	// Service whose health is asked for by grpc.health.v1; "*": the server as a whole. With protocol h2 or h2c.
	GRPC string `toml:"grpc"`
	// Time from one check to the next.
	Interval time.Duration `toml:"interval" default:"2s" min:"10ms" max:"1h"`
	// A check not answered within this time has failed; at most interval.
	Timeout time.Duration `toml:"timeout" default:"1s" min:"1ms" max:"1h"`
	// Checks in a row that must pass before an unhealthy target is used again.
	Rise int `toml:"rise" default:"2" min:"1" max:"100"`
	// Checks in a row that must fail before a target is left out.
	Fall int `toml:"fall" default:"3" min:"1" max:"100"`
}

// Ejection takes a target out for a while on the evidence of its own traffic: connections refused,
// timeouts, broken responses and 5xx.
type Ejection struct {
	// Failures in a row that eject; 0: never for this reason.
	Consecutive int `toml:"consecutive" default:"5" min:"0" max:"10000"`
	// Share of failed requests within the window that ejects; 0: never for this reason.
	ErrorRatio float64 `toml:"error_ratio" default:"0.5" min:"0" max:"1"`
	// Time over which error_ratio is counted.
	Window time.Duration `toml:"window" default:"10s" min:"1s" max:"1h"`
	// First ejection lasts this long, the next ones longer.
	Base time.Duration `toml:"base" default:"5s" min:"100ms" max:"1h"`
	// Largest share of a group's targets ejected at one time; 0: none, ejection is off.
	MaxEjected float64 `toml:"max_ejected" default:"0.5" min:"0" max:"1"`
}

// Retry bounds repeated attempts. Only what is safe to repeat is repeated, whatever these say.
type Retry struct {
	// Attempts per request, the first included; 1: no retries.
	Attempts int `toml:"attempts" default:"2" min:"1" max:"10"`
	// Retries allowed as a share of requests, so that retries cannot bury a service in trouble.
	Budget float64 `toml:"budget" default:"0.2" min:"0" max:"1"`
}

// AdaptiveConcurrency keeps what a target works on near what it can work on at a time, so that what is more waits here and not in it. A request counts until its response
// head. A target at its limit is passed over; when all of a group are, the requests wait in the breaker's queue, or are answered 503 without one.
type AdaptiveConcurrency struct {
	// The limit of a target is never less than this.
	Min int `toml:"min" default:"1" min:"1" max:"1000000"`
	// And never more than this.
	Max int `toml:"max" default:"1000" min:"1" max:"1000000"`
}

// Hedge cuts the tail of slow answers by asking twice: what is answered first without a 5xx is used, the other attempt is cancelled. Only GET, HEAD
// and OPTIONS without a body and without an upgrade are sent twice, to two targets of one group, within retry.budget. Not with protocol h2 and h2c.
type Hedge struct {
	// Wait for the head of the response before the second attempt; the time in which some 95 % of answers come is a good one.
	Delay time.Duration `toml:"delay" required:"true" min:"1ms" max:"1h"`
}

// Group is one version of a service.
type Group struct {
	Name string `toml:"-"` // from the table's name; same letters as a service's

	// Share of new clients in percent, two decimals. A lone group has 100; several must each state
	// one, and they must sum to 100. 0: no new clients.
	Weight Weight `toml:"weight"`
	// Requests that get this group whatever the weights say, 0 included, for those who test it. They never fail
	// over to another group, and say nothing in a rollout.
	Match *Match `toml:"match"`
	// At least one of: "IP:PORT", { address = "IP:PORT", weight = 2 }, { dns = "NAME:PORT" } (every
	// address of the name, resolved again as its TTL runs out), { srv = "_http._tcp.NAME" },
	// { kubernetes = "NAMESPACE/SERVICE:PORT" } (every pod of the Service, as its EndpointSlices say, see [kubernetes]).
	Targets []Target `toml:"targets" required:"true"`
}

// Target is one server, or one name that stands for several. Exactly one of Address, DNS, SRV and Kubernetes is set.
type Target struct {
	// IP:PORT.
	Address string `toml:"address"`
	// NAME:PORT; each address the name resolves to is a target of this weight.
	DNS string `toml:"dns"`
	// Name of SRV records, which carry ports and weights of their own.
	SRV string `toml:"srv"`
	// Kubernetes Service, [NAMESPACE/]SERVICE:PORT, whose pods are targets of this weight each. PORT is the name of one of
	// the Service's ports, or the number that its pods listen on; without NAMESPACE it is weir's own. Which pods there are
	// is watched: those that become ready join, those that end finish what they have and get nothing new, and while the API
	// server is away the last ones stay.
	Kubernetes string `toml:"kubernetes"`
	// Share within the group relative to the other targets. Not with srv.
	Weight int `toml:"weight" default:"1" min:"1" max:"1000"`
}

// String gives the target as it is written in short form: IP:PORT, dns:NAME:PORT, srv:NAME or kubernetes:SERVICE:PORT.
func (t Target) String() string {
	switch {
	case t.DNS != "":
		return "dns:" + t.DNS
	case t.SRV != "":
		return "srv:" + t.SRV
	case t.Kubernetes != "":
		return "kubernetes:" + t.Kubernetes
	}
	return t.Address
}
