package upstream

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/valor-ivx/weir/upstream/kubernetes"
)

// janitorRound is how often resting connections are looked through: idle limits are kept to a second, and idleMargin allows for it.
const janitorRound = time.Second

// Registry owns the peers, checks and look-ups of all pools. It runs one goroutine of its own, the janitor of resting connections, one per active
// check and one per name or Service; all end in Close.
type Registry struct {
	log      *zap.Logger
	events   Events
	resolver Resolver
	probe    func(context.Context, string, HealthOptions) error // nil: each link's own
	now      func() int64

	ctx     context.Context // ends all goroutines
	cancel  context.CancelFunc
	running sync.WaitGroup // all goroutines; grows under mu while not closed

	// mu serialises the control plane: it guards everything below, and all fields of pools, peers, endpoints, checkers and sources that say so. It
	// is held for as long as it takes to build the live sets of the pools concerned, never over I/O.
	mu        sync.Mutex
	closed    bool
	pools     map[string]*Pool // by PoolOptions.key
	endpoints map[string]*endpoint
	checkers  map[checkKey]*checker
	sources   map[sourceKey]*source
	clients   map[kubernetes.API]*kubernetes.Client // of the sources that are Services
}

// NewRegistry returns an empty registry. Close it.
func NewRegistry(o Options) *Registry {
	r := &Registry{
		log: o.Logger, events: o.Events, resolver: o.Resolver, probe: o.Probe, now: o.Now,
		pools: make(map[string]*Pool), endpoints: make(map[string]*endpoint),
		checkers: make(map[checkKey]*checker), sources: make(map[sourceKey]*source), clients: make(map[kubernetes.API]*kubernetes.Client),
	}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	if r.log == nil {
		r.log = zap.NewNop()
	}
	if r.resolver == nil {
		r.resolver = NewResolver(ResolverOptions{})
	}
	if r.now == nil {
		start := time.Now()
		r.now = func() int64 { return clockStart + int64(time.Since(start)) }
	}
	r.running.Add(1)
	go r.tendIdle()
	return r
}

// Now is the clock that every now passed to this package comes from: ns, monotonic, greater than 0.
func (r *Registry) Now() int64 { return r.now() }

// Acquire returns the pool of that description, with one more reference to it. A new pool shares what its addresses, checks and names have in
// common with pools that exist; what it does not share starts at once: the first probe and the first look-up. An error leaves everything
// as it was; a success is undone by Release.
func (r *Registry) Acquire(o PoolOptions) (*Pool, error) {
	o, err := o.complete()
	if err != nil {
		return nil, fmt.Errorf("acquire pool %s/%s: %w", o.Service, o.Group, err)
	}
	key := o.key()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, errors.New("acquire pool: the registry is closed")
	}
	p := r.pools[key]
	if p == nil {
		if p, err = newPool(r, key, o); err != nil {
			return nil, fmt.Errorf("acquire pool %s/%s: %w", o.Service, o.Group, err)
		}
		r.pools[key] = p
		p.open()
	}
	p.refs++
	return p, nil
}

// Close ends all goroutines, waits for them and closes resting connections. Pools stay usable for requests that hold them.
func (r *Registry) Close() {
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return
	}
	r.closed = true
	for _, p := range r.pools {
		p.retire()
	}
	r.cancel()
	r.mu.Unlock()
	r.running.Wait()
}

// tendIdle is the janitor's goroutine.
func (r *Registry) tendIdle() {
	defer r.running.Done()
	ticker := time.NewTicker(janitorRound)
	defer ticker.Stop()
	var list []*link
	for {
		select {
		case <-r.ctx.Done():
			return
		case <-ticker.C:
		}
		r.mu.Lock()
		list = list[:0]
		for _, e := range r.endpoints {
			list = append(list, e.links...)
		}
		r.mu.Unlock()
		for _, l := range list {
			l.idle.tend(r.now())
		}
		clear(list)
	}
}
