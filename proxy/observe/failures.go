package observe

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// keptFailures is how many failed requests are remembered: some screens full.
	keptFailures = 200
	// failuresPerSecond bounds what a flood of failures costs, and how fast it pushes out what came before it. Those beyond are counted only.
	failuresPerSecond = 20
)

// Failure is one failed request: answered with a 5xx, or cut off after its answer had begun. Its texts are a client's and an upstream's bytes as they came, cut to a length.
type Failure struct {
	Number uint64 // from 1, without gaps
	Time   time.Time

	Client               netip.Addr
	Method, Host, Path   string // Path without query and parameters, which may hold secrets
	Status               int
	Route, Service, Peer string
	Group                string
	Reason               string // from the closed set of package proxy; "" for an upstream's own answer
	Error                string
	RequestID            string
}

// Failures remembers the last failed requests. A request that does not fail never comes near it. It is safe for concurrent use.
type Failures struct {
	// second and taken hold back a flood before it takes the lock. Two requests may see a new second at once: then a few more are taken than should be.
	second atomic.Int64
	taken  atomic.Int64
	passed atomic.Uint64 // failures beyond failuresPerSecond

	mu   sync.Mutex // guards what follows; held for a copy
	ring [keptFailures]Failure
	next uint64
}

// Wanted reports whether a failure at now (ns of any clock that does not go back) will be kept. It spares those that will not the work of describing themselves.
func (f *Failures) Wanted(now int64) bool {
	second := now / int64(time.Second)
	if was := f.second.Load(); was != second && f.second.CompareAndSwap(was, second) {
		f.taken.Store(0)
	}
	if f.taken.Add(1) <= failuresPerSecond {
		return true
	}
	f.passed.Add(1)
	return false
}

// Add remembers a failure that was Wanted, in the place of the oldest.
func (f *Failures) Add(e Failure) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.next++
	e.Number = f.next
	f.ring[(e.Number-1)%keptFailures] = e
}

// Since returns what was remembered after the failure of that number, oldest first, and how many were passed over since the process began.
func (f *Failures) Since(number uint64) (list []Failure, passed uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.next > keptFailures {
		number = max(number, f.next-keptFailures)
	}
	for n := number; n < f.next; n++ {
		list = append(list, f.ring[n%keptFailures])
	}
	return list, f.passed.Load()
}
