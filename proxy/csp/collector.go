package csp

import (
	"cmp"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/time/rate"

	"github.com/valor-ivx/weir/proxy/limit"
)

// Bounds of a collector. A client is an address, of IPv6 its /64; the rates are for POSTs, of which a page makes a few.
const (
	maxKinds    = 512    // about 1 KiB each
	maxClients  = 10_000 // that the rate remembers
	clientRate  = 1      // a second
	clientBurst = 60
	totalRate   = 50 // a second: about 2 % of a core at 64 KiB each
	totalBurst  = 500
	logRate     = 1 // lines a second, of all kinds
	logBurst    = 20
)

// Kind is what reports have in common that are told apart no further.
type Kind struct {
	Policy string `json:"headers"` // the [headers.NAME]
	Report
	Count uint64    `json:"count"`
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
}

// Options are whom a collector tells.
type Options struct {
	Log   func(Kind)                     // a kind that is new, or has reached 10, 100, 1000 … reports; within logRate
	Count func(policy, directive string) // each report
}

// Collector is a resource of the server's that outlives configurations; it has no goroutine and nothing to close.
type Collector struct {
	options       Options
	client, total *limit.Limit
	registry      *limit.Registry

	// mu guards what follows; held for map work only.
	mu    sync.Mutex
	kinds *simplelru.LRU[kindKey, *Kind]
	lines *rate.Limiter
}

// kindKey is a kind without its numbers. Line is not in it: minified pages would make a kind of each build.
type kindKey struct {
	policy, directive, blocked, document string
	enforced                             bool
}

// NewCollector makes an empty one.
func NewCollector(o Options) *Collector {
	c := &Collector{options: o, registry: limit.NewRegistry(maxClients), lines: rate.NewLimiter(logRate, logBurst)}
	c.client = c.registry.Acquire(limit.Options{Name: "client", Rate: clientRate, Burst: clientBurst})
	c.total = c.registry.Acquire(limit.Options{Name: "total", Rate: totalRate, Burst: totalBurst})
	c.kinds, _ = simplelru.NewLRU[kindKey, *Kind](maxKinds, nil) // fails for sizes below 1
	return c
}

// Admit takes a token for a client's POST. refused is how long to wait for one, 0 when there was one.
func (c *Collector) Admit(client netip.Addr, now time.Time) (refused time.Duration) {
	if client.Is6() && !client.Is4In6() {
		p, _ := client.Prefix(64) // what a customer is given at least (RFC 6177 §2); fails for zones, which no client has here
		client = p.Addr()
	}
	b := client.As16()
	v := limit.Take([]limit.Check{{Limit: c.client, Key: c.client.Key(b[:])}, {Limit: c.total, Key: c.total.Key(nil)}}, now)
	if v.Refused {
		return max(v.Retry, time.Nanosecond)
	}
	return 0
}

// Take reads a body of reports on a policy.
func (c *Collector) Take(policy, contentType string, body []byte, now time.Time) error {
	list, err := Parse(contentType, body)
	for i := range list {
		c.options.Count(policy, list[i].Directive)
		if k, tell := c.add(policy, list[i], now); tell {
			c.options.Log(k)
		}
	}
	return err
}

func (c *Collector) add(policy string, r Report, now time.Time) (k Kind, tell bool) {
	key := kindKey{policy, r.Directive, r.Blocked, r.Document, r.Enforced}
	c.mu.Lock()
	defer c.mu.Unlock()
	kind, known := c.kinds.Get(key)
	if !known {
		kind = &Kind{Policy: policy, Report: r, First: now}
		c.kinds.Add(key, kind)
	}
	kind.Count++
	kind.Last = now
	return *kind, powerOfTen(kind.Count) && c.lines.AllowN(now, 1)
}

func powerOfTen(n uint64) bool {
	for n > 1 && n%10 == 0 {
		n /= 10
	}
	return n == 1
}

// List is the kinds that are kept, the one seen last first.
func (c *Collector) List() []Kind {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := []Kind{}
	for _, k := range c.kinds.Values() {
		list = append(list, *k)
	}
	slices.SortStableFunc(list, func(a, b Kind) int { return cmp.Compare(b.Last.UnixNano(), a.Last.UnixNano()) })
	return list
}

// Retain forgets the reports on policies that are not named.
func (c *Collector) Retain(policies []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, key := range c.kinds.Keys() {
		if !slices.Contains(policies, key.policy) {
			c.kinds.Remove(key)
		}
	}
}
