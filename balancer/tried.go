package balancer

// MaxTried is how many peers a Tried can hold. Attempts of one request are
// bounded well below it: a ninth peer would only add to an outage.
const MaxTried = 8

// Tried is the set of peer indices that one request has been to. It is a value
// of fixed size, so that a request carries it without an allocation; the zero
// value is empty.
type Tried struct {
	index [MaxTried]int32
	n     int32
}

// Add records peer i. When MaxTried are held already the set stays as it is and
// Add reports false: the caller has run out of attempts.
func (t *Tried) Add(i int) bool {
	if t.Has(i) {
		return true
	}
	if t.n == MaxTried {
		return false
	}
	t.index[t.n] = int32(i)
	t.n++
	return true
}

// Has reports whether peer i was tried.
func (t *Tried) Has(i int) bool {
	for _, x := range t.index[:t.n] {
		if x == int32(i) {
			return true
		}
	}
	return false
}

// Len is the number of peers tried.
func (t *Tried) Len() int { return int(t.n) }
