package balancer

// alias draws a peer by weight in constant time (Walker's method, built as by
// Vose 1991): column i holds peer i up to keep[i] and peer other[i] above.
type alias struct {
	keep  []float64
	other []int32
}

func newAlias(peers []Candidate) alias {
	n := len(peers)
	a := alias{keep: make([]float64, n), other: make([]int32, n)}
	total := 0.0
	for _, c := range peers {
		total += c.Weight
	}
	var small, large []int32
	for i, c := range peers {
		a.keep[i], a.other[i] = c.Weight/total*float64(n), int32(i)
		if a.keep[i] < 1 {
			small = append(small, int32(i))
		} else {
			large = append(large, int32(i))
		}
	}
	for len(small) > 0 && len(large) > 0 {
		s, l := small[len(small)-1], large[len(large)-1]
		small = small[:len(small)-1]
		a.other[s] = l
		a.keep[l] -= 1 - a.keep[s]
		if a.keep[l] < 1 {
			large = large[:len(large)-1]
			small = append(small, l)
		}
	}
	// What is left over is 1 up to rounding.
	for _, i := range append(small, large...) {
		a.keep[i] = 1
	}
	return a
}

// at returns the peer for 64 random bits, -1 when there are no peers.
func (a *alias) at(x uint64) int {
	n := len(a.keep)
	if n == 0 {
		return -1
	}
	i := below(x, uint64(n))
	if unit(mix(x)) < a.keep[i] {
		return int(i)
	}
	return int(a.other[i])
}
