package upstream

import "sort"

// standing is a member as the rule of eligibility sees it.
type standing struct {
	state    State
	weight   float64
	ejection ejection
}

// eligible decides who is in the live set. It returns the indices in order, who is left out because of an ejection, and whether the set is
// the answer to "none is healthy" rather than a set of healthy peers.
//
//   - Healthy peers of positive weight are in, except ejected ones.
//   - At most maxEjected of the group (rounded down) are left out for an ejection, the longest ejected first, and never the last healthy peer.
//   - If no peer is healthy, WhenNoneHealthy decides: any takes all of positive weight, reject takes none.
func eligible(peers []standing, maxEjected float64, none WhenNoneHealthy, now int64) (live []int, out map[int]bool, fallback bool) {
	var healthy, ejected, all []int
	for i, s := range peers {
		if s.weight <= 0 {
			continue
		}
		all = append(all, i)
		if s.state != Healthy {
			continue
		}
		healthy = append(healthy, i)
		if s.ejection.active(now) {
			ejected = append(ejected, i)
		}
	}
	if len(healthy) == 0 {
		if none == Reject {
			return nil, nil, true
		}
		return all, nil, true
	}
	sort.SliceStable(ejected, func(a, b int) bool { return peers[ejected[a]].ejection.at < peers[ejected[b]].ejection.at })
	out = make(map[int]bool)
	for _, i := range ejected[:min(len(ejected), ejectable(len(all), maxEjected), len(healthy)-1)] {
		out[i] = true
	}
	for _, i := range healthy {
		if !out[i] {
			live = append(live, i)
		}
	}
	return live, out, false
}

// ejectable is how many of n peers may be ejected at once.
func ejectable(n int, maxEjected float64) int { return int(maxEjected*float64(n) + 1e-9) }
