package upstream

import (
	"context"
	"net/netip"
	"time"

	"go.uber.org/zap"

	"github.com/valor-ivx/weir/balancer"
	"github.com/valor-ivx/weir/upstream/kubernetes"
)

// Options is what a registry needs from the rest of the program. The zero value works.
type Options struct {
	// Logger hears of transitions. nil: nobody does.
	Logger *zap.Logger
	// Resolver answers for targets with names. nil: the system's servers, see NewResolver.
	Resolver Resolver
	// Probe performs one health check. nil: an HTTP/1.1 GET that must answer 2xx.
	Probe func(ctx context.Context, address string, h HealthOptions) error
	// Events are told what metrics count.
	Events Events
	// Now is the clock, in ns, monotonic and greater than 0. Every now that is passed to this package must come from it. nil: time since the
	// registry was made; see Registry.Now.
	Now func() int64
}

// Events are called on the control plane, with its lock held and in the order in which things happened: they must not block and must not
// call back into the package. Each may be nil.
type Events struct {
	// Up says whether requests go to a target for its own sake: healthy and not ejected. It is called once when the target joins.
	Up func(service, group, target string, up bool)
	// Gone says that no pool of the group holds the target any more: its metrics can be dropped.
	Gone func(service, group, target string)
	// Ejected and EjectionSkipped: reason is "consecutive" or "error_ratio", why is "last_peer", "max_ejected" or "group_failing".
	Ejected         func(service, group, target, reason string)
	EjectionSkipped func(service, group, target, reason, why string)
	// Returned says that an ejection ended: how is "time", "probe" or "needed" (the rest of its group went away).
	Returned func(service, group, target, how string)
	// Resolved is called after every look-up of a name and every answer about a Service, see SourceStatus.Source; err is nil when it was a good one.
	Resolved func(source string, err error)
}

// Resolver looks names up. Answers carry the time that they may be kept.
type Resolver interface {
	// LookupIP returns the addresses of one family ("ip4" or "ip6"). No addresses and no error mean that the name exists without any.
	LookupIP(ctx context.Context, family, host string) ([]netip.Addr, time.Duration, error)
	// LookupSRV returns the services at a name.
	LookupSRV(ctx context.Context, name string) ([]SRV, time.Duration, error)
}

// SRV is one service record (RFC 2782).
type SRV struct {
	Host             string
	Port             uint16
	Priority, Weight uint16
}

// Target names one place, or several by one name. Exactly one of Address, DNS, SRV and Service is set.
type Target struct {
	// Address is "IP:port" or "name:port" that the dialler resolves by itself.
	Address string
	// DNS is "name:port": every A and AAAA record is a peer, looked up again by TTL.
	DNS string
	// SRV is the full name of service records ("_http._tcp.api.example"): host, port and share come from them.
	SRV string
	// Service is a Kubernetes Service: each of its pods is a peer, for as long as the API server says so.
	Service kubernetes.Service
	// Weight is the share relative to the other targets. 0 takes no requests and is still checked.
	Weight float64
}

// WhenNoneHealthy says what a pool without healthy peers does.
type WhenNoneHealthy uint8

// Any sends to all peers of positive weight rather than answer 502 for ever; Reject sends to none.
const (
	Any WhenNoneHealthy = iota
	Reject
)

// PoolOptions describe one group of one service. Two equal descriptions are one pool.
type PoolOptions struct {
	Service, Group string
	Targets        []Target
	Balance        balancer.Kind
	// Transport is how connections, the probes' too, are made.
	Transport Transport
	// ConnectTimeout is what Dial uses when it is given 0. 0: 2 s.
	ConnectTimeout time.Duration
	// IdleTimeout is how long a connection may rest. 0: 60 s. Pools that share an address share the shortest.
	IdleTimeout time.Duration
	// MaxIdle bounds the resting connections of one peer. 0: 1024, the default of breaker.max_requests: what was in flight may come to rest.
	// Pools that share an address share the greatest.
	MaxIdle int
	// Health is the active check; nil: none, every peer is Healthy.
	Health *HealthOptions
	// Ejection is the passive check; nil: none, and ejections by other pools are not heeded.
	Ejection *EjectionOptions
	// SlowStart is how long a peer that joins others takes to its full share. 0: none.
	SlowStart       time.Duration
	WhenNoneHealthy WhenNoneHealthy
	// Adaptive limits the requests that each peer works on at a time; nil: not.
	Adaptive *AdaptiveOptions
}

// HealthOptions describe an active check: GET Path must answer 2xx within Timeout. A redirect is a failure: it is an answer by something
// other than the readiness of this peer.
type HealthOptions struct {
	Path string
	// GRPC asks gRPC's health service for Service ("": the server as a whole) in place of GET Path. The transport must be HTTP/2.
	GRPC    bool
	Service string
	// Host is the Host header; "": the target's address.
	Host string
	// Interval is the pause between probes of a peer that is well (0: 2 s); others are probed faster, see fastInterval.
	Interval time.Duration
	// Timeout bounds one probe (0: 1 s).
	Timeout time.Duration
	// Rise and Fall are the results in a row that change the state (0: 2 and 3).
	Rise, Fall int
}

// EjectionOptions describe the passive check.
type EjectionOptions struct {
	// Consecutive failures without an answer (connect, timeout, broken) eject. 0: this rule is off.
	Consecutive int
	// ErrorRatio of all failures, 5xx included, to requests within Window ejects. 0: this rule is off.
	ErrorRatio float64
	// Window is 1 s to 60 s (0: 10 s).
	Window time.Duration
	// MinRequests in the window before the ratio says anything. 0: 20, where a peer with a tolerable 10 % of errors would look like one
	// with 50 % in 7 of a million windows (binomial tail).
	MinRequests int
	// Base is the length of a first ejection (0: 5 s); each further one doubles.
	Base time.Duration
	// MaxEjected is the share of the group that may be ejected at once, rounded down.
	MaxEjected float64
}
