package shadow

import (
	"time"

	"github.com/valor-ivx/weir/proxy/message"
)

// What the tests need of the inside.

// Finding is a finding with names that tests see.
type Finding struct{ Where, A, B string }

// DiffJSON compares two documents; false: one of them is none.
func (r *Rules) DiffJSON(a, b []byte) (found []Finding, ok bool) {
	x, okA := parse(a)
	y, okB := parse(b)
	if !okA || !okB {
		return nil, false
	}
	for _, f := range r.diffJSON(x, y) {
		found = append(found, Finding{f.where, f.a, f.b})
	}
	return found, true
}

// Reply is an answer that a test makes up.
type Reply struct {
	Failure, Kind, Body string
	Status              int
	Headers             []string
	Long                bool
}

// Diff compares two answers.
func (r *Rules) Diff(a, b Reply) (found []Finding) {
	made := func(p Reply) *answer {
		return &answer{failure: p.Failure, status: p.Status, headers: p.Headers, kind: p.Kind, body: []byte(p.Body), long: p.Long}
	}
	for _, f := range r.diff(made(a), made(b)) {
		found = append(found, Finding{f.where, f.a, f.b})
	}
	return found
}

// Book is a ledger without workers.
type Book struct{ ledger *ledger }

// NewBook makes one.
func NewBook() Book { return Book{newLedger(time.Now())} }

// Enter books a comparison by the places that differed.
func (b Book) Enter(endpoint string, green, blue []string) {
	of := func(places []string) (list []finding) {
		for _, p := range places {
			list = append(list, finding{p, "1", "2"})
		}
		return list
	}
	b.ledger.enter(&question{endpoint: endpoint, id: "id"}, of(green), of(blue), time.Now())
}

// Report is what it says.
func (b Book) Report() Report { return b.ledger.report() }

// EndpointOf, SameNumber, Secretive and Steady are what they are called.
func EndpointOf(method, path string) string { return endpointOf(method, []byte(path)) }

// SameNumber is sameNumber.
func SameNumber(a, b string) bool { return sameNumber(a, b) }

// Secretive is secretive.
func Secretive(name string) bool { return secretive(name) }

// Steady is steady.
func Steady(s string) string { return steady(s) }

// Telling is telling, of a head.
func Telling(head *message.Request) bool { return telling(&Request{Head: head}) }

// The bounds.
const (
	MostEndpoints = mostEndpoints
	MostPlaces    = mostPlaces
	MostSamples   = mostSamples
	MostFindings  = mostFindings
	Waiting       = waiting
)
