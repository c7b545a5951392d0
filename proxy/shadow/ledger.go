package shadow

import (
	"sync"
	"time"
)

// What becomes of a request that is due.
const (
	ResultSame      = "same"      // green answered as blue did, but for noise
	ResultDiffers   = "differs"   // it did not
	ResultFailed    = "failed"    // blue did not answer: nothing to compare with
	ResultLarge     = "large"     // blue's body is longer than what is compared
	ResultPrivate   = "private"   // it says who it is from
	ResultLimited   = "limited"   // more than the rate
	ResultDropped   = "dropped"   // all workers are busy and enough wait
	ResultBusy      = "busy"      // the service has enough to do, is paused, or has just failed
	ResultUnhealthy = "unhealthy" // a group has no healthy target
)

// Results are all of them, for metrics that want them ahead.
func Results() []string {
	return []string{ResultSame, ResultDiffers, ResultFailed, ResultLarge, ResultPrivate, ResultLimited, ResultDropped, ResultBusy, ResultUnhealthy}
}

// Bounds of what is remembered: some 5 MiB of text at the most.
const (
	mostEndpoints = 128
	mostPlaces    = 64 // of one endpoint
	mostSamples   = 3  // of one place
)

// Sample is one difference, redacted. The access log knows the rest by RequestID.
type Sample struct {
	At        time.Time
	RequestID string
	From, To  string
}

// place is what was counted in one place of an endpoint's answers.
type place struct {
	where             string
	green, blue, both uint64 // comparisons in which only green, only the second blue, or both differed from the first blue
	seen              uint64 // number of the comparison in which it last differed
	samples           []Sample
}

// endpoint is what was counted of one kind of request.
type endpoint struct {
	name     string
	compared uint64
	differed uint64
	seen     uint64
	places   map[string]*place
}

// ledger is what all workers count in.
type ledger struct {
	mu        sync.Mutex // guards all; held for map work, never over I/O
	since     time.Time
	results   map[string]uint64 // since Start: a reset does not touch what metrics show
	period    map[string]uint64 // since the last reset
	asked     map[string]uint64 // by group, since Start
	endpoints map[string]*endpoint
	number    uint64 // of comparisons
	forgotten uint64 // places and endpoints that made room for others
}

func newLedger(now time.Time) *ledger {
	l := &ledger{results: map[string]uint64{}, asked: map[string]uint64{}}
	for _, r := range Results() {
		l.results[r] = 0
	}
	l.reset(now)
	return l
}

func (l *ledger) reset(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.since, l.period, l.endpoints, l.number, l.forgotten = now, map[string]uint64{}, map[string]*endpoint{}, 0, 0
}

func (l *ledger) count(result string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.results[result]++
	l.period[result]++
}

// ask counts a request to a group.
func (l *ledger) ask(group string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked[group]++
}

// enter books one comparison: where green, and where the second blue, differed from the first blue.
func (l *ledger) enter(q *question, green, blue []finding, now time.Time) {
	noise := make(map[string]bool, len(blue))
	for _, f := range blue {
		noise[f.where] = true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.number++
	e := l.endpoint(q.endpoint)
	e.compared++
	e.seen = l.number
	result := ResultSame
	for _, f := range green {
		p := l.place(e, f.where)
		if noise[f.where] {
			delete(noise, f.where)
			p.both++
			continue
		}
		p.green++
		result = ResultDiffers
		if len(p.samples) == mostSamples { // the first, and the latest ones
			copy(p.samples[1:], p.samples[2:])
			p.samples = p.samples[:mostSamples-1]
		}
		p.samples = append(p.samples, Sample{At: now, RequestID: q.id, From: f.a, To: f.b})
	}
	for _, f := range blue {
		if noise[f.where] {
			l.place(e, f.where).blue++
		}
	}
	if result == ResultDiffers {
		e.differed++
	}
	l.results[result]++
	l.period[result]++
}

// endpoint is the one of that name. A new one takes the place of the one that was compared least, of those the one longest ago. mu is held.
func (l *ledger) endpoint(name string) *endpoint {
	if e := l.endpoints[name]; e != nil {
		return e
	}
	if len(l.endpoints) == mostEndpoints {
		var least *endpoint
		for _, e := range l.endpoints {
			if least == nil || e.compared < least.compared || e.compared == least.compared && e.seen < least.seen {
				least = e
			}
		}
		delete(l.endpoints, least.name)
		l.forgotten++
	}
	e := &endpoint{name: name, places: map[string]*place{}}
	l.endpoints[name] = e
	return e
}

// place is like endpoint. mu is held.
func (l *ledger) place(e *endpoint, where string) *place {
	p := e.places[where]
	if p == nil {
		if len(e.places) == mostPlaces {
			var least *place
			for _, p := range e.places {
				if least == nil || p.total() < least.total() || p.total() == least.total() && p.seen < least.seen {
					least = p
				}
			}
			delete(e.places, least.where)
			l.forgotten++
		}
		p = &place{where: where}
		e.places[where] = p
	}
	p.seen = l.number
	return p
}

func (p *place) total() uint64 { return p.green + p.blue + p.both }
