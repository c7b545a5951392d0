package proxy

import "testing"

// A client has one bad event in a turn, whatever the order in which turns are told, and a place never comes free again within one.
func TestFirstOfATurn(t *testing.T) {
	second, round := &Trial{}, func(n int) *Trial { return &Trial{Round: n} }
	const at = int64(1e18) // any time, ns
	for _, c := range []struct {
		name  string
		turns []int64
		want  []bool
	}{
		{"one second", []int64{second.turn(at), second.turn(at + 1), second.turn(at + 1e9), second.turn(at + 1e9)}, []bool{true, false, true, false}},
		{"a late one", []int64{second.turn(at), second.turn(at + 1e9), second.turn(at), second.turn(at + 1e9)}, []bool{true, true, false, false}},
		{"rounds", []int64{round(1).turn(at), round(1).turn(at + 1e12), round(2).turn(at), round(1).turn(at), round(2).turn(at)}, []bool{true, false, true, false, false}},
		{"from one kind to the other", []int64{second.turn(at), round(1).turn(at), round(1).turn(at), second.turn(at), second.turn(at)}, []bool{true, true, false, true, false}},
	} {
		var seen clientSeconds
		for i, turn := range c.turns {
			if got := seen.first(77, turn); got != c.want[i] || turn == 0 {
				t.Errorf("%s: event %d is first: %v", c.name, i, got)
			}
		}
		if !seen.first(78, c.turns[0]) {
			t.Errorf("%s: another client has its own place", c.name)
		}
	}
}
