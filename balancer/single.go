package balancer

// single is every policy over one peer: nothing to compare, and the commonest
// live set of all.
type single struct{}

// Pick implements Policy.
func (single) Pick(v *View, _ uint64) int {
	if v.Tried.Has(0) {
		return -1
	}
	return 0
}
