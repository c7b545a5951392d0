package proxy

import (
	"encoding/binary"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/valor-ivx/weir/proxy/limit"
	"github.com/valor-ivx/weir/proxy/message"
	"github.com/valor-ivx/weir/proxy/observe"
)

// Limits are the rate limits of a route, sorted by name as limit.Take wants them.
type Limits struct {
	list     []RouteLimit
	gates    []RouteGate
	registry *limit.Registry
	policy   string // what RateLimit-Policy says; empty when every limit is a dry run
}

// RouteLimit is one limit of a route and what it counts by.
type RouteLimit struct {
	Limit   *limit.Limit
	Key     []LimitKeyPart
	Metrics *observe.Limit
}

// LimitKeyPart is one part of what a limit counts by.
type LimitKeyPart struct {
	Source LimitSource
	Name   string // header, cookie or claim name, or the route's
}

// LimitSource is the kind of a LimitKeyPart.
type LimitSource uint8

// The sources.
const (
	LimitByClientIP LimitSource = iota
	LimitByHeader
	LimitByCookie
	LimitByRoute
	LimitByClaim
)

// NewLimits prepares the limits of a route: at most limit.MaxChecks, of different names, in the order of their names. Their buckets are in registry.
func NewLimits(registry *limit.Registry, list []RouteLimit, gates ...RouteGate) *Limits {
	var policies []string
	for _, l := range list {
		if !l.Limit.DryRun() {
			policies = append(policies, `"`+l.Limit.Name()+`";q=`+strconv.Itoa(l.Limit.Burst())+";w="+strconv.Itoa(l.Limit.Window()))
		}
	}
	return &Limits{list: list, gates: gates, registry: registry, policy: strings.Join(policies, ", ")}
}

// Gates are the limits of concurrency in their order.
func (s *Limits) Gates() []RouteGate { return s.gates }

// List is the limits of rate in their order.
func (s *Limits) List() []RouteLimit { return s.list }

// limited asks the route's limits. What they refuse is 429 with the time to wait in x.refused.
func (x *Exchange) limited(s *Limits) *Error {
	if s.gates != nil {
		if err := x.countIn(s); err != nil || len(s.list) == 0 {
			return err
		}
	}
	var checks [limit.MaxChecks]limit.Check
	for i := range s.list {
		x.scratchKey = x.appendLimitKey(x.scratchKey[:0], s.list[i].Key)
		checks[i] = limit.Check{Limit: s.list[i].Limit, Key: s.list[i].Limit.Key(x.scratchKey)}
	}
	v := limit.Take(checks[:len(s.list)], x.proxy.wall(x.start))
	for i := range s.list {
		m, short := s.list[i].Metrics, v.Short&(1<<i) != 0
		switch {
		case short && s.list[i].Limit.DryRun():
			m.DryRun()
		case short:
			m.Limited()
		case !v.Refused:
			m.Allowed()
		}
	}
	if !v.Refused {
		return nil
	}
	x.refusal = refusal{by: s.list[v.By].Limit, retry: v.Retry, policy: s.policy}
	return errLimited
}

var errLimited = &Error{429, RateLimited, nil}

// refusal is what a 429 tells the client.
type refusal struct {
	by     *limit.Limit // nil: a limit of concurrency
	retry  time.Duration
	policy string
}

// addTo adds the fields of a 429: Retry-After (RFC 9110 §10.2.3) and those of draft-ietf-httpapi-ratelimit-headers, by which nothing is left for the
// seconds that Retry-After says, rounded up so that whoever waits them is let through.
func (r refusal) addTo(h *message.Header) {
	seconds := strconv.FormatInt(int64((r.retry+time.Second-1)/time.Second), 10)
	h.Add("Retry-After", seconds)
	if r.by == nil { // not a rate: the draft's fields have nothing to say
		return
	}
	h.Add("RateLimit", `"`+r.by.Name()+`";r=0;t=`+seconds)
	h.Add("RateLimit-Policy", r.policy)
}

// appendLimitKey puts together what a limit counts by. Each part is its kind, its length and its bytes, so that no two keys read the same. Where the header or
// cookie is missing the client's address stands in: clients without one are not to share a bucket.
func (x *Exchange) appendLimitKey(b []byte, parts []LimitKeyPart) []byte {
	for i := range parts {
		b = append(b, byte(parts[i].Source))
		size := len(b)
		b = append(b, 0, 0, 0, 0)
		start := len(b)
		switch parts[i].Source {
		case LimitByHeader:
			b = appendValues(b, &x.req.Header, parts[i].Name)
		case LimitByCookie:
			b = append(b, x.req.Header.CookieValue(parts[i].Name)...)
		case LimitByClaim:
			b = append(b, x.user.verdict.Claim(parts[i].Name)...)
		case LimitByRoute:
			b = append(b, parts[i].Name...)
		}
		if len(b) == start {
			b[size-1] = byte(LimitByClientIP)
			b = appendNetwork(b, x.who.ip)
		}
		binary.BigEndian.PutUint32(b[size:], uint32(len(b)-start))
	}
	return b
}

// appendValues appends the values of every field of that name: an upstream may read any of them, so a second one must not be a way around the first.
func appendValues(b []byte, h *message.Header, name string) []byte {
	for i := range h.Len() {
		if f := h.At(i); message.EqualFold(f.Name(), name) {
			b = append(b, f.Value()...)
			b = append(b, ',')
		}
	}
	return b
}

// appendNetwork appends the client's address; of IPv6 the /64, which is the least that a single customer is given (RFC 6177 §2).
func appendNetwork(b []byte, ip netip.Addr) []byte {
	if ip.Is4() {
		a := ip.As4()
		return append(b, a[:]...)
	}
	a := ip.As16()
	return append(b, a[:8]...)
}
