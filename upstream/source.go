package upstream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sort"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/valor-ivx/weir/upstream/kubernetes"
)

const (
	// The bounds of a TTL. A second is the floor, because a record with TTL 0 would otherwise be asked for without end; an hour is
	// the ceiling, because nobody means to leave an edge on an old address for longer.
	minTTL = time.Second
	maxTTL = time.Hour

	// lookupTimeout bounds one look-up of a name with all its retries and records.
	lookupTimeout = 10 * time.Second

	// maxRetry bounds the doubling pause after failed look-ups: half a minute keeps a dead name server from being hammered and an outage from
	// being prolonged.
	maxRetry = 30 * time.Second
)

// ErrNoAddress is the failure of a name that exists without addresses.
var ErrNoAddress = errors.New("the name has no address")

// sourceKey is one thing that is looked up, or followed.
type sourceKey struct {
	srv     bool
	name    string             // lower case, without the final dot; "": service
	service kubernetes.Service // the zero one: name
}

// place is one answer.
type place struct {
	addr    netip.Addr
	port    uint16  // 0: the target states it
	share   float64 // of its target's weight; 1 on average
	leaving bool    // it is to get nothing new, whatever its share
}

// source keeps looking a name up, or follows a Service. It lives as long as a pool subscribes to it, so that a reload neither forgets the last good answer nor asks anew. Its
// goroutine, run or follow, ends when cancel is called.
type source struct {
	key    sourceKey
	cancel context.CancelFunc
	hosts  map[string]*families // last good addresses by host; run's own

	// The control plane's; Registry.mu guards them.
	pools    []*Pool // one entry per target
	tried    bool    // the first look-up ended; of a Service, well
	found    []place // last good
	answered time.Time
	since    time.Time // of failed or its absence
	failed   error     // the last look-up's; nil: it was good
	failures uint64
	changes  uint64
}

// source is what a target looks up, if it does.
func (t Target) source() (sourceKey, bool) {
	switch {
	case t.SRV != "":
		return sourceKey{srv: true, name: plainName(t.SRV)}, true
	case t.DNS != "":
		host, _, _ := net.SplitHostPort(t.DNS) // check has seen to it
		return sourceKey{name: plainName(host)}, true
	case t.Service != (kubernetes.Service{}):
		return sourceKey{service: t.Service}, true
	default:
		return sourceKey{}, false
	}
}

func plainName(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

// at is the address that an answer means for a target.
func (p place) at(t Target) string {
	port := strconv.Itoa(int(p.port))
	if p.port == 0 {
		_, port, _ = net.SplitHostPort(t.DNS)
	}
	return net.JoinHostPort(p.addr.String(), port)
}

// subscribe counts a pool in for one target, and starts the look-ups if nobody has. Registry.mu is held.
func (r *Registry) subscribe(k sourceKey, p *Pool) *source {
	s := r.sources[k]
	if s == nil {
		s = &source{key: k, hosts: make(map[string]*families), since: time.Now()}
		r.sources[k] = s
		ctx, cancel := context.WithCancel(r.ctx)
		s.cancel = cancel
		r.running.Add(1)
		if k.service != (kubernetes.Service{}) {
			go s.follow(ctx, r, r.clientOf(k.service.API))
		} else {
			go s.run(ctx, r)
		}
	}
	s.pools = append(s.pools, p)
	return s
}

// unsubscribe undoes one subscribe. Registry.mu is held.
func (r *Registry) unsubscribe(s *source, p *Pool) {
	for i, other := range s.pools {
		if other == p {
			s.pools = append(s.pools[:i], s.pools[i+1:]...)
			break
		}
	}
	if len(s.pools) == 0 {
		s.cancel()
		delete(r.sources, s.key)
		r.dropClient(s.key.service.API)
	}
}

// run looks the name up at once, then whenever the answer's time is over.
func (s *source) run(ctx context.Context, r *Registry) {
	defer r.running.Done()
	timer := time.NewTimer(0)
	defer timer.Stop()
	failures := 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		places, ttl, err := s.lookup(ctx, r.resolver)
		if ctx.Err() != nil {
			return
		}
		r.resolved(s, places, err)
		if err == nil {
			failures = 0
		} else {
			pause := min(minTTL<<min(failures, 5), maxRetry)
			failures++
			if ttl == 0 || pause < ttl { // a partial answer has a time of its own
				ttl = pause
			}
		}
		// A little late rather than early: a cache on the way would answer with the rest of the old time.
		timer.Reset(jittered(ttl * 11 / 10))
	}
}

// resolved takes an answer to the pools. A failure changes nothing but is told. It takes Registry.mu.
func (r *Registry) resolved(s *source, places []place, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(s.pools) == 0 {
		return
	}
	if r.events.Resolved != nil {
		r.events.Resolved(s.key.String(), err)
	}
	first := !s.tried
	s.note(err)
	if err != nil {
		r.logUnresolved(s, err)
	}
	if err != nil && len(places) == 0 || samePlaces(s.found, places) {
		places = s.found
		if !first || !s.tried {
			return
		}
	} else {
		s.changes++
	}
	if len(places) == 0 && err == nil {
		r.log.Warn("upstream source names nobody", zap.String("weir.source", s.key.String()))
	}
	s.found = places
	seen := make(map[*Pool]bool)
	for _, p := range s.pools {
		if !seen[p] {
			seen[p] = true
			p.reconcile()
		}
	}
}

// note keeps how it went. Of a name the first answer of any kind is an answer; the API server of a cluster is often out of reach of a pod for its first seconds, so that a Service is waited for within the bounds of
// Pool.WaitKnown.
func (s *source) note(err error) {
	now := time.Now()
	if (err == nil) != (s.failed == nil) || s.answered.IsZero() && s.failures == 0 {
		s.since = now
	}
	s.failed = err
	if err == nil {
		s.answered = now
	} else {
		s.failures++
	}
	s.tried = s.tried || err == nil || s.key.name != ""
}

func samePlaces(a, b []place) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// lookup returns all places in a fixed order, and how long they may be kept. With places and an error, the places are partly the last good ones.
func (s *source) lookup(ctx context.Context, r Resolver) ([]place, time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	if !s.key.srv {
		addrs, ttl, err := s.lookupHost(ctx, r, s.key.name)
		return hostPlaces(addrs, 0, 1), ttl, err
	}
	records, ttl, err := r.LookupSRV(ctx, s.key.name)
	if err != nil {
		return nil, 0, fmt.Errorf("look up services of %s: %w", s.key.name, err)
	}
	records = preferred(records)
	if len(records) == 0 {
		return nil, 0, fmt.Errorf("look up services of %s: %w", s.key.name, ErrNoAddress)
	}
	var places []place
	var failed []error
	shares := srvShares(records)
	hosts := make(map[string]*families)
	for i, record := range records {
		host := plainName(record.Host)
		addrs, hostTTL, err := s.lookupHost(ctx, r, host)
		if err != nil {
			failed = append(failed, err)
		} else {
			ttl = min(ttl, hostTTL)
		}
		hosts[host] = s.hosts[host]
		places = append(places, hostPlaces(addrs, record.Port, shares[i])...)
	}
	s.hosts = hosts // hosts that are no longer named are forgotten
	return places, clampTTL(ttl), errors.Join(failed...)
}

// preferred is the records of the best priority (RFC 2782: the lowest number), in a fixed order, without "." which says that there is no
// such service.
func preferred(records []SRV) []SRV {
	var best []SRV
	for _, r := range records {
		switch {
		case plainName(r.Host) == "" || r.Port == 0:
		case len(best) == 0 || r.Priority < best[0].Priority:
			best = append(best[:0:0], r)
		case r.Priority == best[0].Priority:
			best = append(best, r)
		}
	}
	sort.Slice(best, func(i, j int) bool {
		a, b := best[i], best[j]
		return a.Host < b.Host || a.Host == b.Host && (a.Port < b.Port || a.Port == b.Port && a.Weight < b.Weight)
	})
	return best
}

// srvShares scales weights to 1 on average, so that an SRV target compares with others by its own weight per server. Weight 0 asks for "a very
// small chance" beside others (RFC 2782): a hundredth of the average.
func srvShares(records []SRV) []float64 {
	sum := 0.0
	for _, r := range records {
		sum += float64(r.Weight)
	}
	shares := make([]float64, len(records))
	for i, r := range records {
		switch {
		case sum == 0:
			shares[i] = 1
		case r.Weight == 0:
			shares[i] = 0.01
		default:
			shares[i] = float64(r.Weight) * float64(len(records)) / sum
		}
	}
	return shares
}

func hostPlaces(addrs []netip.Addr, port uint16, share float64) []place {
	var places []place
	for _, a := range addrs {
		places = append(places, place{addr: a, port: port, share: share})
	}
	return places
}

func clampTTL(ttl time.Duration) time.Duration { return min(max(ttl, minTTL), maxTTL) }
