package upstream

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/valor-ivx/weir/balancer"
)

// bubble runs one case of a property in virtual time. A failure travels as a panic, which must leave the bubble before rapid sees it.
func bubble(t *testing.T, property func()) {
	var failure any
	synctest.Test(t, func(*testing.T) {
		defer func() { failure = recover() }()
		property()
	})
	// rapid tells failures apart by the line they come from: one line for "these draws make no case", one for real ones, or shrinking confuses them.
	if fmt.Sprintf("%T", failure) == "rapid.invalidData" {
		panic(failure)
	}
	if failure != nil {
		panic(failure)
	}
}

// pass lets virtual time go by until everything that was due has happened.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

var (
	modelAddresses = []string{"10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80", "10.0.0.4:80", "10.0.0.5:80"}
	modelNames     = []string{"one", "two"}
)

// machine drives a registry and keeps the model of it.
type machine struct {
	world    *world
	registry *Registry
	held     []*Pool         // one entry per reference
	up       map[string]bool // by "service target", from events
	broken   string          // what events said that cannot be
}

func newMachine() *machine {
	m := &machine{
		world: &world{answers: map[string]bool{}, names: map[string][]string{}, lastGood: map[string][]string{}},
		up:    map[string]bool{},
	}
	m.registry = NewRegistry(Options{Probe: m.world.probe, Resolver: m.world, Events: Events{
		Up: func(s, _, target string, up bool) { m.up[s+" "+target] = up },
		Gone: func(s, _, target string) {
			if _, ok := m.up[s+" "+target]; !ok {
				m.broken = "gone before it came: " + s + " " + target
			}
			delete(m.up, s+" "+target)
		},
	}})
	return m
}

func (m *machine) description(t *rapid.T) PoolOptions {
	o := PoolOptions{
		Service: rapid.SampledFrom([]string{"s", "t"}).Draw(t, "service"), Group: "g",
		WhenNoneHealthy: WhenNoneHealthy(rapid.IntRange(0, 1).Draw(t, "none")), SlowStart: time.Minute,
	}
	for _, a := range modelAddresses {
		if rapid.Bool().Draw(t, "static") {
			o.Targets = append(o.Targets, Target{Address: a, Weight: float64(rapid.IntRange(0, 2).Draw(t, "weight"))})
		}
	}
	if name := rapid.SampledFrom([]string{"", "one", "two"}).Draw(t, "name"); name != "" || len(o.Targets) == 0 {
		if name == "" {
			name = "one"
		}
		o.Targets = append(o.Targets, Target{DNS: name + ":80", Weight: 1})
	}
	if rapid.Bool().Draw(t, "checked") {
		o.Health = &HealthOptions{Path: "/"}
	}
	if rapid.Bool().Draw(t, "ejecting") {
		o.Ejection = &EjectionOptions{Consecutive: 5, ErrorRatio: 0.5, MaxEjected: rapid.SampledFrom([]float64{0, 0.5, 1}).Draw(t, "maxEjected")}
	}
	return o
}

// acquire takes a new description or one that is held already, as a reload that changes little does.
func (m *machine) acquire(t *rapid.T) {
	var o PoolOptions
	if len(m.held) > 0 && rapid.Bool().Draw(t, "again") {
		o = m.anyPool(t).options
	} else {
		o = m.description(t)
	}
	p, err := m.registry.Acquire(o)
	if err != nil {
		t.Fatal(err)
	}
	m.held = append(m.held, p)
}

func (m *machine) anyPool(t *rapid.T) *Pool {
	return m.held[rapid.IntRange(0, len(m.held)-1).Draw(t, "pool")]
}

func (m *machine) release(t *rapid.T) {
	if len(m.held) == 0 {
		t.Skip("nothing held")
	}
	i := rapid.IntRange(0, len(m.held)-1).Draw(t, "which")
	p := m.held[i]
	m.held = slices.Delete(m.held, i, i+1)
	m.world.mu.Lock() // a look-up that is under way is over before, or finds its context ended
	defer m.world.mu.Unlock()
	p.Release()
	for name := range m.world.lastGood {
		if !m.looksUp(name) {
			delete(m.world.lastGood, name)
		}
	}
}

func (m *machine) looksUp(name string) bool {
	return slices.ContainsFunc(m.held, func(p *Pool) bool {
		return slices.ContainsFunc(p.options.Targets, func(t Target) bool { return t.DNS == name+":80" })
	})
}

func (m *machine) flip(t *rapid.T) {
	a := rapid.SampledFrom(modelAddresses).Draw(t, "address")
	m.world.mu.Lock()
	m.world.answers[a] = !m.world.answers[a]
	m.world.mu.Unlock()
}

func (m *machine) rename(t *rapid.T) {
	name := rapid.SampledFrom(modelNames).Draw(t, "name")
	var list []string
	if rapid.IntRange(0, 3).Draw(t, "works") > 0 {
		list = append([]string{}, rapid.SliceOfNDistinct(rapid.SampledFrom(modelAddresses), 0, 4, rapid.ID).Draw(t, "addresses")...)
	}
	m.world.mu.Lock()
	m.world.names[name] = list
	m.world.mu.Unlock()
}

// offend makes one live peer fail often enough to be ejected.
func (m *machine) offend(t *rapid.T) {
	if len(m.held) == 0 {
		t.Skip("nothing held")
	}
	live := m.anyPool(t).Live()
	if live.Len() == 0 {
		t.Skip("nobody live")
	}
	peer := live.peers[rapid.IntRange(0, live.Len()-1).Draw(t, "peer")]
	for range 5 {
		peer.load.Begin()
		peer.Done(m.registry.Now(), time.Millisecond, Broken)
	}
}

// use sends one request through a pool, to the end.
func (m *machine) use(t *rapid.T) {
	if len(m.held) == 0 {
		t.Skip("nothing held")
	}
	p := m.anyPool(t)
	live := p.Live()
	var tried balancer.Tried
	seen := map[string]bool{}
	for peer := live.Pick(rapid.Uint64().Draw(t, "key"), m.registry.Now(), &tried); peer != nil; peer = live.Pick(0, m.registry.Now(), &tried) {
		if seen[peer.address] {
			t.Fatalf("%s was picked twice", peer.address)
		}
		seen[peer.address] = true
		peer.Done(m.registry.Now(), time.Millisecond, Success)
	}
	if len(seen) != live.Len() {
		t.Fatalf("%d of %d peers were picked", len(seen), live.Len())
	}
}

// settle lets every check and look-up come to its answer (a name that failed long is asked again after 33 s), then holds everything to the model.
func (m *machine) settle(t *rapid.T) {
	pass(40 * time.Second)
	m.world.mu.Lock()
	defer m.world.mu.Unlock()
	for _, name := range modelNames {
		if now := m.world.names[name]; len(now) > 0 && m.looksUp(name) && !slices.Equal(now, m.world.lastGood[name]) {
			t.Fatalf("%s is %v and was looked up as %v", name, now, m.world.lastGood[name])
		}
	}
	for _, p := range m.held {
		m.checkSettled(t, p)
	}
}

// wantedBy is the model's weight of each address in a pool.
func (m *machine) wantedBy(o PoolOptions) map[string]float64 {
	wanted := map[string]float64{}
	for _, target := range o.Targets {
		if target.Address != "" {
			wanted[target.Address] += target.Weight
			continue
		}
		for _, a := range m.world.lastGood[target.DNS[:3]] {
			wanted[a] += target.Weight
		}
	}
	return wanted
}

func (m *machine) checkSettled(t *rapid.T, p *Pool) {
	wanted := m.wantedBy(p.options)
	var members []string
	for _, s := range p.Snapshot() {
		members = append(members, s.Address)
	}
	if want := slices.Sorted(maps.Keys(wanted)); !slices.Equal(members, want) {
		t.Fatalf("members %v, want %v", members, want)
	}
	live := map[string]bool{}
	for _, peer := range p.Live().peers {
		live[peer.address] = true
	}
	now := m.registry.Now()
	healthy, positive, leftOut := 0, 0, 0
	for a, weight := range wanted {
		if weight <= 0 {
			if live[a] {
				t.Fatalf("%s has no weight and is live", a)
			}
			continue
		}
		positive++
		if p.options.Health != nil && !m.world.answers[a] {
			continue
		}
		healthy++
		ejected := m.registry.endpoints[a].ejection.active(now)
		switch {
		case live[a]:
		case ejected && p.options.Ejection != nil:
			leftOut++
		default:
			t.Fatalf("%s is healthy, not ejected, and not live", a)
		}
	}
	if p.options.Ejection != nil && float64(leftOut) > p.options.Ejection.MaxEjected*float64(positive) {
		t.Fatalf("%d of %d left out, the limit is %v", leftOut, positive, p.options.Ejection.MaxEjected)
	}
	want := healthy - leftOut
	if healthy == 0 && p.options.WhenNoneHealthy == Any {
		want = positive
	}
	if len(live) != want || p.Live().Fallback() != (healthy == 0) || healthy > 0 && len(live) == 0 {
		t.Fatalf("%d live, want %d; fallback %v with %d healthy", len(live), want, p.Live().Fallback(), healthy)
	}
}

// check is what holds at every moment.
func (m *machine) check(t *rapid.T) {
	synctest.Wait()
	r := m.registry
	r.mu.Lock()
	defer r.mu.Unlock()
	if m.broken != "" {
		t.Fatal(m.broken)
	}
	refs := map[*Pool]int{}
	for _, p := range m.held {
		refs[p]++
	}
	if len(refs) != len(r.pools) {
		t.Fatalf("%d pools, want %d", len(r.pools), len(refs))
	}
	members, checks, names, targets := map[string]int{}, map[checkKey]int{}, map[sourceKey]bool{}, map[string]bool{}
	for p, n := range refs {
		if p.refs != n {
			t.Fatalf("a pool has %d references, want %d", p.refs, n)
		}
		for _, peer := range p.members {
			members[peer.address]++
			targets[p.options.Service+" "+peer.address] = true
			if p.options.Health != nil {
				checks[checkKey{address: peer.address, options: *p.options.Health}]++
			}
		}
		for _, peer := range p.live.Load().peers {
			if !slices.Contains(p.members, peer) {
				t.Fatalf("%s is live and no member", peer.address)
			}
		}
		for _, target := range p.options.Targets {
			if k, ok := target.source(); ok {
				names[k] = true
			}
		}
	}
	if len(r.endpoints) != len(members) || len(r.checkers) != len(checks) || len(r.sources) != len(names) || len(m.up) != len(targets) {
		t.Fatalf("%d addresses, %d checks, %d names, %d announced; want %d, %d, %d, %d",
			len(r.endpoints), len(r.checkers), len(r.sources), len(m.up), len(members), len(checks), len(names), len(targets))
	}
	for a, n := range members {
		if len(r.endpoints[a].members) != n || r.endpoints[a].load.InFlight() != 0 {
			t.Fatalf("%s has %d members and %d in flight, want %d and 0", a, len(r.endpoints[a].members), r.endpoints[a].load.InFlight(), n)
		}
	}
	for k, n := range checks {
		if c := r.checkers[k]; c == nil || c.refs != n {
			t.Fatalf("the check of %s has not %d references", k.address, n)
		}
	}
}

func TestRegistryAgainstModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		bubble(t, func() {
			m := newMachine()
			defer m.registry.Close()
			rt.Repeat(map[string]func(*rapid.T){
				"acquire": m.acquire, "reload": func(t *rapid.T) {
					m.acquire(t)
					m.release(t)
				},
				"release": m.release, "flip": m.flip, "rename": m.rename, "offend": m.offend, "use": m.use, "settle": m.settle,
				"wait": func(t *rapid.T) { pass(time.Duration(rapid.Int64Range(1, 3*second).Draw(t, "time"))) },
				"":     m.check,
			})
			for len(m.held) > 0 {
				m.held[0].Release()
				m.held = m.held[1:]
			}
			m.check(rt)
			asked := m.world.asked
			pass(time.Hour)
			if m.world.asked != asked {
				rt.Fatal("probes or look-ups go on after the last release")
			}
			if n := len(m.registry.endpoints); n != 0 {
				rt.Fatal(fmt.Sprint(n, " addresses stayed after the last release"))
			}
		})
	})
}
