package main

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"
)

// TestE2EWebOrder: answers that come late do no harm: what was typed meanwhile stays and is not said to be valued, a page that was left asks for nothing and says nothing, and who has logged out is not logged
// in by an exchange that was under way.
func TestE2EWebOrder(t *testing.T) {
	t.Parallel()
	p := newPlay(t)
	tb := openTab(t)
	tb.look(looks[0])
	tb.open(p.origin+"/", "")
	rate, revenue, stale := labelled("Forecast", "Discount rate")+`.value`, labelled("Company", "Revenue, millions")+`.value`, `document.querySelector(".stale").hidden`

	l := p.next("POST", "/api/dcf")
	tb.heading("Valuation")
	tb.enter(labelled("Forecast", "Discount rate"), "9")
	l.says(http.StatusOK, valued(1.5, ""))
	tb.until("the preset", perShare+` === "1.500" && `+revenue+` === "500"`)
	if got := tb.text(rate + ` + " " + ` + stale); got != "9 false" {
		t.Errorf("what was typed before the preset came is %s", got)
	}
	tb.pushes(button("", "Value"))
	l = p.next("POST", "/api/dcf")
	tb.enter(labelled("Company", "Revenue, millions"), "600")
	l.says(http.StatusOK, valued(2.5, ""))
	tb.until("the value", perShare+` === "2.500"`)
	if got := tb.text(revenue + ` + " " + ` + stale); got != "600 false" {
		t.Errorf("what was typed before the value came is %s", got)
	}

	tb.pushes(button("Sensitivity", "Draw the map"))
	grid := p.next("POST", "/api/dcf/sensitivity")
	tb.pushes(button("Monte Carlo", "Simulate"))
	trials := p.next("POST", "/api/montecarlo")
	tb.follow("/nowhere")
	tb.heading("Nothing here")
	for _, l := range []*line{grid, trials} {
		select {
		case <-l.gone:
		case <-time.After(patience):
			t.Fatalf("%s is still asked by a page that was left", l.path)
		}
	}
	if got := tb.text(`document.getElementById("said").textContent`); got != "" {
		t.Errorf("a page that was left says %q", got)
	}

	tb.follow("/login?next=/runs")
	tb.heading("Log in")
	tb.enter(labelled("", "Name or address"), "ann")
	tb.enter(labelled("", "Password"), "Correct-horse-9")
	tb.press("Enter")
	p.next("POST", "/api/auth/login").says(http.StatusOK, account("access-1", "refresh-1"))
	p.next("GET", "/api/runs").says(http.StatusUnauthorized, m{})
	exchange := p.next("POST", "/api/auth/refresh")
	tb.eval(`[...document.querySelectorAll("#account button")].find(b => b.textContent === "Log out").click()`, nil)
	out := p.next("POST", "/api/auth/logout")
	tb.heading("Log in") // the service has not answered yet
	exchange.says(http.StatusOK, account("access-2", "refresh-2"))
	again := p.next("POST", "/api/auth/logout")
	for want, l := range map[string]*line{"refresh-1": out, "refresh-2": again} {
		var sent struct {
			Token string `json:"refresh_token"`
		}
		if err := json.Unmarshal([]byte(l.body), &sent); err != nil || sent.Token != want {
			t.Errorf("%s logs out, want %s", l.body, want)
		}
		l.says(http.StatusOK, m{})
	}
	if got := tb.text(`document.getElementById("account").textContent + " " + localStorage.length`); got != "Log in 0" {
		t.Errorf("after logging out: %s", got)
	}
	tb.clean(p.origin)
}
