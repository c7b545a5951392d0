package configs

import (
	"fmt"
	"strings"
)

// didYouMean gives `; did you mean "x"?` for the candidate nearest to name, or nothing.
func didYouMean(name string, candidates []string) string {
	if best := nearest(name, candidates); best != "" && best != name {
		return fmt.Sprintf("; did you mean %q?", best)
	}
	return ""
}

// nearest gives the candidate that name is a slip of the fingers away from: equal but for letter case,
// or else at most two edits and fewer than half of the name.
func nearest(name string, candidates []string) string {
	best, bestDistance := "", 3
	for _, c := range candidates {
		if strings.EqualFold(c, name) {
			return c
		}
		if d := distance(name, c); d < bestDistance && 2*d <= len(name) {
			best, bestDistance = c, d
		}
	}
	return best
}

// distance is the optimal string alignment distance: insertions, deletions, substitutions and swaps
// of neighbours (the commonest typing mistake) cost one each. Names too long to be keys are far from
// everything, which bounds the work.
func distance(a, b string) int {
	const longest = 64
	if len(a) > longest || len(b) > longest {
		return longest
	}
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
