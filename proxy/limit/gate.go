package limit

import (
	"sync"
	"sync/atomic"
)

// GateOptions describe a limit on how many requests of a key are under way at a time.
type GateOptions struct {
	Name   string
	Most   int  // at least 1
	DryRun bool // decide and tell, refuse nothing
}

// Gate is a limit of concurrency of one generation of the configuration: a value over counts that outlive it. A key is in memory while a request of it is under way and no
// longer, so memory is bounded by the requests that there are.
type Gate struct {
	name    string
	most    int32
	dryRun  bool
	running *running
}

// Name is the limit's name.
func (g *Gate) Name() string { return g.name }

// DryRun reports a gate that refuses nothing.
func (g *Gate) DryRun() bool { return g.dryRun }

// Pass is one key at one gate.
type Pass struct {
	Gate *Gate
	Key  Key
}

// running is the requests under way at one gate.
type running struct {
	shards [shards]runningShard
	total  atomic.Int64 // for scrapes
}

type runningShard struct {
	// mu guards count. Held for one look-up, by one request at a time; a request with several gates takes one after the other.
	mu    sync.Mutex
	count map[Key]int32 // no zeroes
}

// enter counts one in, unless there are most already.
func (r *running) enter(k Key, most int32) bool {
	s := &r.shards[k.high%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.count[k]
	if n >= most {
		return false
	}
	if s.count == nil {
		s.count = map[Key]int32{}
	}
	s.count[k] = n + 1
	r.total.Add(1)
	return true
}

func (r *running) leave(k Key) {
	s := &r.shards[k.high%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := s.count[k]; n > 1 {
		s.count[k] = n - 1
	} else {
		delete(s.count, k)
	}
	r.total.Add(-1)
}

// Enter counts a request in at all gates, or at none when one that is not a dry run is full: refused is that one's index, -1 if none is. held are those it is counted at, bit i for
// passes[i], for Leave; full those that were full, dry runs included. passes are at most MaxChecks. A gate after the one that refuses is not asked.
func Enter(passes []Pass) (held, full uint8, refused int) {
	for i := range passes {
		g := passes[i].Gate
		switch {
		case g.running.enter(passes[i].Key, g.most):
			held |= 1 << i
		case g.dryRun:
			full |= 1 << i
		default:
			Leave(passes, held)
			return 0, full | 1<<i, i
		}
	}
	return held, full, -1
}

// Leave takes a request out where Enter counted it in.
func Leave(passes []Pass, held uint8) {
	for i := range passes {
		if held&(1<<i) != 0 {
			passes[i].Gate.running.leave(passes[i].Key)
		}
	}
}

// Gate makes a gate with these options over the requests that the registry counts under its name. It cannot fail.
func (r *Registry) Gate(o GateOptions) *Gate {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.gates[o.Name]
	if n == nil {
		n = &running{}
		r.gates[o.Name] = n
	}
	return &Gate{name: o.Name, most: int32(min(o.Most, 1<<30)), dryRun: o.DryRun, running: n}
}
