package main

import (
	"strings"
	"testing"
)

// TestE2EDashboardShadow: what a shadow has found is on the page while there is one, with its reason when it waits, for every look without a barrier.
func TestE2EDashboardShadow(t *testing.T) {
	t.Parallel()
	tb := openTab(t)
	s := newStage(t)
	s.signIn(tb)
	show := func(shadow map[string]any) {
		s.act(s.frame("api", []string{"blue", "green"}, func(_, service map[string]any) {
			if shadow != nil {
				service["shadow"] = shadow
			}
		}))
	}
	hidden := `String(document.querySelector(".shadow").hidden)`
	view := `document.querySelector(".shadow").innerText`
	show(nil)
	tb.until("there is none", hidden+` === "true"`)
	found := map[string]any{"from": "blue", "to": "green", "share": 2.5, "state": "asking", "compared": 0, "differing": 0, "places": 0}
	show(found)
	tb.until("nothing was found", hidden+` === "false" && `+view+`.includes("no answer has differed beyond noise") && `+view+`.includes("2.5 % of the requests are asked again of green and compared with blue: asking.")`)
	found["compared"], found["differing"], found["places"] = 1840, 1204, 1
	found["first"] = []any{
		map[string]any{"endpoint": "GET /api/users/*", "where": "$.items[].price", "verdict": "differs", "differing": 1201, "noise": 2, "compared": 1201, "samples": []any{map[string]any{"from": "11", "to": "11.5"}, map[string]any{"from": "12", "to": "12.5"}}},
		map[string]any{"endpoint": "GET /api/orders/*", "where": "status", "verdict": "unsure", "differing": 3, "noise": 0, "compared": 639, "samples": []any{}},
	}
	show(found)
	table := rowsOf("Answers of api that differ")
	tb.until("what was found", table+`.includes("$.items[].price | GET /api/users/* | differs | 1201 | 2 | 1201 | 12 | 12.5") && `+table+`.includes("status | GET /api/orders/* | unsure | 3 | 0 | 639 | – | –")`)
	tb.until("how much", view+`.includes("1840 compared, 1204 differing, in 1 places beyond noise.")`)
	for _, l := range looks {
		tb.look(l)
		tb.accessible("shadow, " + l.name)
		tb.fits("shadow, " + l.name)
		tb.screenshot("shadow-" + strings.ReplaceAll(l.name, " ", "-"))
	}
	tb.look(looks[0])
	found["state"], found["reason"] = "waiting", "the service is paused"
	show(found)
	tb.until("why it waits", view+`.includes("waiting, because the service is paused")`)
	show(nil)
	tb.until("it has ended", hidden+` === "true"`)
	tb.clean(s.address)
}
