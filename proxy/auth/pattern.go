package auth

import "strings"

// matches reports whether s is the pattern, in which "*" stands for one or more characters, none of them of stops: those that would begin another part of
// what is matched.
//
// It goes back to the last star only. That misses nothing: what an earlier one could be made to stand for besides, without a stop, the last one can too. So the
// time is at most the product of both lengths.
func matches(pattern, s, stops string) bool {
	i, j := 0, 0
	star, end := -1, 0 // the last star, and where in s what it stands for ends
	for j < len(s) {
		if i < len(pattern) && pattern[i] == '*' {
			star, end = i, j
		} else if i < len(pattern) && pattern[i] == s[j] {
			i, j = i+1, j+1
			continue
		}
		if star < 0 || strings.IndexByte(stops, s[end]) >= 0 { // it cannot stand for one more
			return false
		}
		end++
		i, j = star+1, end
	}
	return i == len(pattern)
}

// matchesOne reports whether s is one of the patterns.
func matchesOne(patterns []string, s, stops string) bool {
	for _, p := range patterns {
		if matches(p, s, stops) {
			return true
		}
	}
	return false
}
