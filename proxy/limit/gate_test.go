package limit_test

import (
	"fmt"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/valor-ivx/weir/proxy/limit"
)

// A model of plain counters: a request is let in exactly where every gate that is not a dry run has room for its key, counts at the gates that had room and no
// other, and what it held is free when it has left, also when the gate's bound has changed meanwhile.
func TestGatesCountWhatIsUnderWay(t *testing.T) {
	type request struct {
		passes []limit.Pass
		held   uint8
		keys   []string // of the model, where held
	}
	rapid.Check(t, func(t *rapid.T) {
		r := limit.NewRegistry(1000)
		most := [2]int{rapid.IntRange(1, 3).Draw(t, "most"), rapid.IntRange(1, 3).Draw(t, "most")}
		dry := rapid.Bool().Draw(t, "dry run")
		gates := func() [2]*limit.Gate {
			return [2]*limit.Gate{r.Gate(limit.GateOptions{Name: "a", Most: most[0]}), r.Gate(limit.GateOptions{Name: "b", Most: most[1], DryRun: dry})}
		}
		now := gates()
		model := map[string]int{}
		var open []request
		leave := func(i int) {
			limit.Leave(open[i].passes, open[i].held)
			for _, k := range open[i].keys {
				model[k]--
			}
			open = append(open[:i], open[i+1:]...)
		}
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			switch rapid.IntRange(0, 3).Draw(t, "step") {
			case 0:
				if len(open) > 0 {
					leave(rapid.IntRange(0, len(open)-1).Draw(t, "who"))
				}
			case 1: // a reload
				most[0] = rapid.IntRange(1, 3).Draw(t, "most")
				now = gates()
			default:
				var x request
				refused, wantFull := -1, uint8(0)
				for i, g := range now {
					k := fmt.Sprintf("%d/%d", i, rapid.IntRange(0, 1).Draw(t, "key"))
					x.passes = append(x.passes, limit.Pass{Gate: g, Key: r.Key([]byte(k))})
					switch {
					case refused >= 0:
					case model[k] < most[i]:
						x.keys = append(x.keys, k)
					default:
						wantFull |= 1 << i
						if i == 0 || !dry {
							refused = i
						}
					}
				}
				held, full, by := limit.Enter(x.passes)
				if by != refused || full != wantFull || (by >= 0) != (held == 0 && by >= 0) {
					t.Fatalf("held %b full %b refused %d, want full %b refused %d", held, full, by, wantFull, refused)
				}
				if by < 0 {
					x.held = held
					for _, k := range x.keys {
						model[k]++
					}
					open = append(open, x)
				}
			}
			sum := map[string]int64{}
			for k, n := range model {
				sum[map[byte]string{'0': "a", '1': "b"}[k[0]]] += int64(n)
			}
			for _, s := range r.Stats() {
				if s.Running != sum[s.Name] {
					t.Fatalf("%s: %d under way, want %d", s.Name, s.Running, sum[s.Name])
				}
			}
		}
		for len(open) > 0 {
			leave(0)
		}
		for _, s := range r.Stats() {
			if s.Running != 0 {
				t.Fatalf("%s: %d under way after the end", s.Name, s.Running)
			}
		}
	})
}

// However many come at once, no more than the bound are inside.
func TestGateHoldsUnderContention(t *testing.T) {
	r := limit.NewRegistry(1000)
	g := r.Gate(limit.GateOptions{Name: "a", Most: 3})
	var inside, worst int
	var mu sync.Mutex
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			passes := []limit.Pass{{Gate: g, Key: key(r, "k")}}
			for range 2000 {
				held, _, by := limit.Enter(passes)
				if by >= 0 {
					continue
				}
				mu.Lock()
				inside++
				worst = max(worst, inside)
				mu.Unlock()
				mu.Lock()
				inside--
				mu.Unlock()
				limit.Leave(passes, held)
			}
		})
	}
	all.Wait()
	if worst > 3 || worst == 0 {
		t.Errorf("%d inside at once", worst)
	}
}
