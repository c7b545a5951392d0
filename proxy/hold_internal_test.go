package proxy

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func isCalled(w *held) bool {
	select {
	case <-w.called:
		return true
	default:
		return false
	}
}

// A Hold against a list: whoever waits is called in the order in which they came, one after the other, and nobody who withdrew is; the bound holds while it is closed.
func TestHoldCallsInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const most = 5
		h := NewHold()
		s := &Service{Name: "api"}
		var line []*held // that wait, by the model
		var ahead *held  // called and not gone on
		open := true
		step := func() { // the model's call
			if open && ahead == nil && len(line) > 0 {
				ahead, line = line[0], line[1:]
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"close": func(*rapid.T) { h.Close(s, most, time.Second); open = false },
			"open": func(t *rapid.T) {
				if ahead != nil { // a second call would be made beside the first: let that one go on first
					t.Skip()
				}
				h.Open(s)
				open = true
				step()
			},
			"enter": func(t *rapid.T) {
				w := &held{called: make(chan struct{})}
				got, _ := h.enter(w)
				want := waits
				switch {
				case open && len(line) == 0:
					want = passes
				case !open && len(line) >= most:
					want = turnedAway
				default:
					line = append(line, w)
				}
				if got != want {
					t.Fatalf("%d, want %d, with %d waiting, open %t", got, want, len(line), open)
				}
			},
			"withdraw": func(t *rapid.T) {
				if len(line) == 0 {
					t.Skip()
				}
				i := rapid.IntRange(0, len(line)-1).Draw(t, "who")
				w := line[i]
				if !h.withdraw(w) {
					t.Fatal("one that waits was called")
				}
				h.leave(w)
				line = append(line[:i:i], line[i+1:]...)
			},
			"go on": func(t *rapid.T) {
				if ahead == nil {
					t.Skip()
				}
				if h.withdraw(ahead) {
					t.Fatal("one that was called still waits")
				}
				w := ahead
				ahead = nil
				step()
				h.leave(w)
			},
			"": func(t *rapid.T) {
				if h.Waiting() != len(line) {
					t.Fatalf("%d wait, want %d", h.Waiting(), len(line))
				}
				for _, w := range line {
					if isCalled(w) {
						t.Fatal("called out of turn")
					}
				}
				if ahead != nil && !isCalled(ahead) {
					t.Fatal("not called in its turn")
				}
			},
		})
		// In the end nobody is left behind.
		if ahead != nil {
			h.leave(ahead)
		}
		h.Open(s)
		for _, w := range line {
			if !isCalled(w) {
				t.Fatal("left behind")
			}
			h.leave(w)
		}
	})
}
