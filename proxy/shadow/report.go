package shadow

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"time"
)

// Verdict is what the counts of a place say.
type Verdict string

// The verdicts.
const (
	Differs Verdict = "differs" // green, and not by chance
	Unsure  Verdict = "unsure"  // green, but too seldom yet to tell it from noise
	Noise   Verdict = "noise"   // no more than blue from itself
)

// chance is up to which probability a difference is not put down to chance.
const chance = 0.01

// verdict is a sign test. If green is as blue is, its answer and the second blue's are interchangeable: a comparison in which just one of them differs from the first is as likely
// to be one as the other. By Hoeffding's inequality green is then ahead by d of n such comparisons with a probability of at most exp(−d²/2n); ten of ten are 0.7 %.
func (p *place) verdict() Verdict {
	if p.green <= p.blue {
		return Noise
	}
	ahead, n := float64(p.green-p.blue), float64(p.green+p.blue)
	if math.Exp(-ahead*ahead/(2*n)) <= chance {
		return Differs
	}
	return Unsure
}

// Difference is one place in which green, or blue from itself, differed.
type Difference struct {
	// Endpoint is a method and a path with stars for what varies, Where a place in its answers: "status", "answer" (none came), "header NAME", "body", or a path in JSON.
	Endpoint, Where string
	// Compared is how many answers of the endpoint were compared. In Differing of them green differed and blue did not, in Noise of them blue differed from itself.
	Compared, Differing, Noise uint64
	Verdict                    Verdict
	Samples                    []Sample
}

// Report is what was found since a moment.
type Report struct {
	Since time.Time
	// State says why nothing is asked now; "": it is.
	State               string
	Compared, Differing uint64 // comparisons, and those in which green differed anywhere
	Results             map[string]uint64
	// Differences are sorted: those that differ first, the most frequent of them first.
	Differences []Difference
	// Forgotten counts places that made room for others.
	Forgotten uint64
}

// Report is what was found until now.
func (m *Mirror) Report() Report {
	r := m.ledger.report()
	r.State = m.State()
	return r
}

// State says why nothing is asked now; "": it is.
func (m *Mirror) State() string {
	_, why := m.obstacle()
	return why
}

func (l *ledger) report() Report {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := Report{Since: l.since, Compared: l.number, Results: maps.Clone(l.period), Forgotten: l.forgotten, Differences: []Difference{}}
	r.Differing = l.period[ResultDiffers]
	for _, e := range l.endpoints {
		for _, p := range e.places {
			r.Differences = append(r.Differences, Difference{
				Endpoint: e.name, Where: p.where, Compared: e.compared, Differing: p.green, Noise: p.blue + p.both, Verdict: p.verdict(), Samples: slices.Clone(p.samples),
			})
		}
	}
	slices.SortFunc(r.Differences, func(a, b Difference) int {
		return cmp.Or(cmp.Compare(rank(a.Verdict), rank(b.Verdict)), cmp.Compare(b.Differing, a.Differing), cmp.Compare(b.Noise, a.Noise),
			cmp.Compare(a.Endpoint, b.Endpoint), cmp.Compare(a.Where, b.Where))
	})
	return r
}

func rank(v Verdict) int { return slices.Index([]Verdict{Differs, Unsure, Noise}, v) }

// Stat is what metrics show.
type Stat struct {
	Results map[string]uint64 // since Start
	Asked   map[string]uint64 // by group, since Start
	// Since the last reset: comparisons, those in which green differed, and places whose verdict is Differs.
	Compared, Differing uint64
	Places              int
}

// Stat is how it is now, with every series.
func (m *Mirror) Stat() Stat {
	l := m.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	s := Stat{Results: maps.Clone(l.results), Asked: maps.Clone(l.asked), Compared: l.number, Differing: l.period[ResultDiffers]}
	for _, group := range []string{m.options.From, m.options.To} {
		s.Asked[group] += 0
	}
	for _, e := range l.endpoints {
		for _, p := range e.places {
			if p.verdict() == Differs {
				s.Places++
			}
		}
	}
	return s
}
