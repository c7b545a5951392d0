package series_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"pgregory.net/rapid"

	"github.com/valor-ivx/weir/proxy/observe/series"
)

// Children come and go in any order: a scrape shows those that there are, as they came, and the same values give the same child.
func TestChildrenComeAndGo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		family := series.NewCounters(series.Options{Name: "weir_b_total", Help: "Help.", Labels: []string{"route"}})
		e := series.New(prometheus.NewRegistry(), family)
		var want []string
		held := map[string]*series.Counter{}
		for range rapid.IntRange(0, 60).Draw(t, "steps") {
			name := fmt.Sprint(rapid.IntRange(0, 9).Draw(t, "name"))
			if rapid.Bool().Draw(t, "delete") {
				family.Delete(name)
				want = slices.DeleteFunc(want, func(s string) bool { return s == name })
				delete(held, name)
				continue
			}
			c := family.With(name)
			if held[name] == nil {
				if c.Value() != 0 {
					t.Fatalf("a new child stands at %d", c.Value())
				}
				held[name], want = c, append(want, name)
			}
			if held[name] != c {
				t.Fatalf("another child for %s", name)
			}
			c.Inc()
		}
		if family.Len() != len(want) {
			t.Fatalf("%d children, want %d", family.Len(), len(want))
		}
		var lines []string
		for _, name := range want {
			lines = append(lines, fmt.Sprintf("weir_b_total{route=%q} %d\n", name, held[name].Value()))
		}
		var got []string
		body, _ := scrape(t, e, text, "", "")
		for line := range strings.Lines(body) {
			if strings.HasPrefix(line, "weir_b_total") {
				got = append(got, line)
			}
		}
		if diff := cmp.Diff(lines, got); diff != "" {
			t.Fatal(diff)
		}
	})
}
