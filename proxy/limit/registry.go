package limit

import (
	"crypto/rand"
	"slices"
	"strings"
	"sync"

	"golang.org/x/time/rate"

	"github.com/valor-ivx/weir/proxy/siphash"
)

// DefaultKeys is how many keys a limit remembers. At the measured 300 bytes each, 400 after a flood of millions (TestMemoryIsBounded,
// TestSharedMemoryIsBounded), a limit under attack takes 40 MB and no more.
const DefaultKeys = 100_000

// Registry holds what limits remember, by the limit's name, so that a reload forgets nothing. It is a resource of the server's; it has no goroutine and
// nothing to close.
type Registry struct {
	keys int // per limit
	key  siphash.Key

	// mu guards stores and gates. Taken when the configuration changes and by scrapes; no request takes it.
	mu     sync.Mutex
	stores map[string]*store
	gates  map[string]*running
}

// NewRegistry makes a registry whose limits remember up to keys keys each, under a secret of its own.
func NewRegistry(keys int) *Registry {
	var secret [16]byte
	_, _ = rand.Read(secret[:]) // never fails (crypto/rand, Go 1.24)
	return NewRegistryUnder(secret, keys)
}

// NewRegistryUnder is the same under a secret that another process may have too: then either understands what the other remembers.
func NewRegistryUnder(secret [16]byte, keys int) *Registry {
	return &Registry{keys: keys, key: siphash.NewKey(secret), stores: map[string]*store{}, gates: map[string]*running{}}
}

// Acquire makes a limit with these options over what the registry remembers under its name. It cannot fail; a new name remembers nothing yet.
func (r *Registry) Acquire(o Options) *Limit {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.stores[o.Name]
	if s == nil || s.sharing != o.Sharing { // what was counted alone says nothing about what is counted together
		s = newStore(r.keys, o.Sharing)
		r.stores[o.Name] = s
	}
	s.rate, s.burst = rate.Limit(o.Rate), o.Burst
	return newLimit(o, s, r.key)
}

// Retain forgets every limit but those named. Limits that requests still hold go on working.
func (r *Registry) Retain(names []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for name := range r.stores {
		if !slices.Contains(names, name) {
			delete(r.stores, name)
		}
	}
	for name := range r.gates {
		if !slices.Contains(names, name) {
			delete(r.gates, name)
		}
	}
}

// Key is a hash of what a request is counted by: 128 bits under a secret, so that nobody can aim at another's bucket, and two keys fall together
// once in 10²⁸. Whatever a client puts into a header, its key takes 16 bytes.
type Key struct{ high, low uint64 }

func newKey(k siphash.Key, parts []byte) (key Key) {
	key.high, key.low = k.Sum128(parts)
	return key
}

// Key hashes the parts of a composite key, each made distinct from its neighbours by the caller, for what is counted here alone.
func (r *Registry) Key(parts []byte) Key {
	return newKey(r.key, parts)
}

// Stat is one limit's memory.
type Stat struct {
	Name    string
	Keys    int    // remembered now
	Evicted uint64 // forgotten because the limit was full, since the process started
	Shared  bool
	Running int64 // requests under way that its gate counts
}

// Stats lists the limits by name.
func (r *Registry) Stats() []Stat {
	r.mu.Lock()
	list := make([]Stat, 0, len(r.stores))
	for name, s := range r.stores {
		stat := Stat{Name: name, Keys: s.len(), Evicted: s.evicted.Load(), Shared: s.sharing != nil}
		if g := r.gates[name]; g != nil {
			stat.Running = g.total.Load()
		}
		list = append(list, stat)
	}
	for name, g := range r.gates {
		if r.stores[name] == nil {
			list = append(list, Stat{Name: name, Running: g.total.Load()})
		}
	}
	r.mu.Unlock()
	slices.SortFunc(list, func(a, b Stat) int { return strings.Compare(a.Name, b.Name) })
	return list
}
