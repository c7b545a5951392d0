package main

import (
	"strings"
	"testing"
)

// labelled is the control with that label, in the part of the page that has that heading, or in all of it.
func labelled(part, label string) string {
	return `[...(` + partOf(part) + `).querySelectorAll("label")].filter(l => [` + quoteJS(label) + `, ` + quoteJS(label+", %") + `].includes(l.textContent)).map(l => document.getElementById(l.htmlFor))[0]`
}

func partOf(heading string) string {
	if heading == "" {
		return `document`
	}
	return `[...document.querySelectorAll("section, fieldset")].find(s => s.querySelector("h2, legend")?.textContent === ` + quoteJS(heading) + `)`
}

func button(part, text string) string {
	return `[...(` + partOf(part) + `).querySelectorAll("button")].find(b => b.textContent === ` + quoteJS(text) + ` && !b.hidden)`
}

// enter types a value into a control in place of what is there.
func (tb *tab) enter(control, value string) {
	tb.t.Helper()
	tb.until("a control to type "+value+" into", control)
	tb.eval(`(e => { e.focus(); e.select(); if (e.value === "") return; e.value = ""; })(`+control+`)`, nil)
	tb.write(value)
}

// pushes presses a button by keyboard.
func (tb *tab) pushes(button string) {
	tb.t.Helper()
	tb.until("a button", button)
	tb.eval(`(`+button+`).focus()`, nil)
	tb.press("Enter")
}

// heading waits for the page of that name to be there and at rest.
func (tb *tab) heading(name string) {
	tb.t.Helper()
	tb.until("the page "+name, `document.querySelector("main h1").textContent === `+quoteJS(name)+` && !document.getElementById("main").hasAttribute("aria-busy")`)
}

// follow goes to an address of the same document, as a link on a page does.
func (tb *tab) follow(address string) {
	tb.t.Helper()
	tb.eval(`(() => { const a = document.createElement("a"); a.href = `+quoteJS(address)+`; document.body.append(a); a.click(); a.remove(); })()`, nil)
}

const perShare = `document.getElementById("per-share")?.textContent`

// TestE2EWeb: somebody who has never been here makes an account, values the preset, simulates, draws the map and keeps the run, in a real browser through the shipped edge over HTTPS; every page is without a
// barrier that axe finds in light, dark and on a phone; nothing is asked of anybody else, and nothing is refused by the pages' policy.
func TestE2EWeb(t *testing.T) {
	t.Parallel()
	d := demoOn(t, folder(t))
	tb := openTab(t, d.authority())
	origin := "https://" + d.https
	tb.look(looks[0])
	tb.open(origin+"/register?next=%2F", "")
	tb.heading("Make an account")
	tb.enter(labelled("", "Name"), "ann")
	tb.enter(labelled("", "Address"), "ann@example.com")
	tb.enter(labelled("", "Password"), "short")
	tb.press("Enter")
	tb.until("the password is refused at its field", `(e => e === document.activeElement && e.getAttribute("aria-invalid") === "true" && document.getElementById(e.id + "-error").textContent.includes("12"))(`+labelled("", "Password")+`)`)
	tb.accessible("a refused field")
	tb.enter(labelled("", "Password"), "Correct-horse-9")
	tb.press("Enter")
	tb.heading("Valuation")
	tb.until("ann is logged in", `document.getElementById("account").innerText.includes("ann")`)
	tb.until("the golden value", perShare+` === "10.637"`)
	valueByForm(tb)
	drawMap(tb)
	simulateGolden(tb)
	keepRun(tb, origin)
	everyLook(tb)
	tb.clean(origin)
	measured(t, "the front end in Chromium over HTTPS", "registered, valued 10.637, simulated and kept; %d pages without a violation in light, dark and on a phone", len(everyPage))
}

func valueByForm(tb *tab) {
	tb.enter(labelled("Forecast", "Terminal multiple"), "12")
	tb.eval(`(e => { e.value = "multiple"; e.dispatchEvent(new Event("input", {bubbles: true})); })(`+labelled("Forecast", "Terminal value by")+`)`, nil)
	tb.until("what is shown is said to be old", `!document.querySelector(".stale").hidden`)
	tb.pushes(button("", "Value"))
	tb.until("the golden value by multiple", perShare+` === "8.573" && document.querySelector(".stale").hidden`)
	// The discount rate is a percentage here and a decimal there, in the refusal too.
	tb.enter(labelled("Forecast", "Discount rate"), "90")
	tb.press("Enter")
	tb.until("refused at the field, in its unit", `(e => e === document.activeElement && document.getElementById(e.id + "-error").textContent === "must be from 3 % to 25 %")(`+labelled("Forecast", "Discount rate")+`)`)
	tb.enter(labelled("Forecast", "Discount rate"), "9")
	tb.eval(`(e => { e.value = "perpetuity" })(`+labelled("Forecast", "Terminal value by")+`)`, nil)
	tb.pushes(button("", "Value"))
	tb.until("the preset again", perShare+` === "10.637"`)
}

func drawMap(tb *tab) {
	tb.pushes(button("Sensitivity", "Draw the map"))
	tb.until("the corners of the golden grid", `(rows => rows.length === 11 && rows[0].cells[1].textContent === "12.931" && rows[0].cells[11].textContent === "21.558" && rows[10].cells[1].textContent === "5.416" && rows[10].cells[11].textContent === "6.889")(document.querySelector(".heatmap tbody").rows)`)
	tb.until("the case's own cell", `document.querySelectorAll(".heatmap .own").length === 1 && document.querySelector(".heatmap .own").textContent === "10.637 nearest to the case"`)
}

func simulateGolden(tb *tab) {
	tb.enter(labelled("Monte Carlo", "Seed"), "golden")
	tb.eval(`window.progressed = []; new MutationObserver(() => { const p = document.querySelector("progress"); if (p.value > 0) window.progressed.push([p.value, p.max]) }).observe(document.querySelector("progress"), {attributes: true})`, nil)
	tb.press("Enter")
	tb.until("the golden figures", `["Mean 10.659", "Median 10.616", "One in ten below 9.114", "One in ten above 12.278"].every(f => [...document.querySelectorAll("#simulated > div")].some(d => d.children[0].textContent + " " + d.children[1].textContent === f))`)
	tb.until("progress was shown on the way", `window.progressed.some(([v, max]) => max === 10000 && v <= max)`)
	tb.until("the histogram has its bars", partOf("Monte Carlo")+`.querySelectorAll("svg rect").length === 30`)
}

func keepRun(tb *tab, origin string) {
	tb.enter(labelled("Keep", "Ticker"), "no such!")
	tb.press("Enter")
	tb.until("the API's refusal at our field", `document.getElementById(`+labelled("Keep", "Ticker")+`.id + "-error").textContent.includes("1 to 16")`)
	tb.enter(labelled("Keep", "Ticker"), "acme")
	tb.press("Enter")
	tb.until("it is kept", partOf("Keep")+`.querySelector("a").textContent === "ACME"`)
	tb.eval(partOf("Keep")+`.querySelector("a").click()`, nil)
	tb.heading("Runs")
	kept := `["ACME 10.637", "10.659"].every(s => document.querySelector("main").innerText.includes(s))`
	tb.until("the run", kept)
	deep := tb.text("location.href")
	if !strings.HasPrefix(deep, origin+"/runs/") {
		tb.t.Errorf("the run's address is %s", deep)
	}
	tb.open(deep, "")
	tb.until("the run by its address alone, still as ann", kept+` && document.getElementById("account").innerText.includes("ann")`)
	for path, want := range map[string]int{"/assets/missing.js": 404, "/assets/app.0123456789abcdef.js": 404, "/no/such/page": 404, "/metrics": 404, "/.releases.json": 404, "/api/nothing": 404} {
		var got int
		if tb.eval(`fetch(`+quoteJS(path)+`).then(r => r.status)`, &got); got != want {
			tb.t.Errorf("%s is %d, want %d", path, got, want)
		}
	}
}

// everyPage is one address of each page, and the heading that it has.
var everyPage = [][2]string{
	{"/", "Valuation"}, {"/lbo", "Buyout"}, {"/ma", "Merger"}, {"/options", "Options"}, {"/options/binomial", "Options"}, {"/options/expansion", "Options"}, {"/options/abandonment", "Options"},
	{"/options/timing", "Options"}, {"/runs", "Runs"}, {"/runs?find=zzz", "Runs"}, {"/login", "Log in"}, {"/register", "Make an account"}, {"/nowhere", "Nothing here"},
}

func everyLook(tb *tab) {
	for _, page := range everyPage {
		path, name := page[0], page[1]
		tb.look(looks[0])
		tb.follow(path)
		tb.heading(name)
		if path == "/" || path == "/lbo" || path == "/ma" || strings.HasPrefix(path, "/options") {
			tb.until("its figures", `document.querySelector(".headline output").textContent !== ""`)
		}
		if focus := tb.text(`document.activeElement.tagName`); focus != "H1" {
			tb.t.Errorf("%s: the focus is at %s", path, focus)
		}
		if path == "/" {
			drawMap(tb)
			simulateGolden(tb)
			tb.eval(`document.querySelectorAll("details").forEach(d => d.open = true)`, nil)
		}
		for _, l := range looks[:3] {
			tb.look(l)
			tb.accessible(path + ", " + l.name)
			tb.fits(path + ", " + l.name)
			if path == "/" {
				tb.eval(`document.querySelectorAll("details").forEach(d => d.open = false)`, nil)
				tb.eval(map[string]string{"light": `scrollTo(0, 0)`, "dark": partOf("Sensitivity") + `.scrollIntoView()`, "phone": `document.getElementById("simulated").scrollIntoView()`}[l.name], nil)
				tb.screenshot("web-" + l.name)
				tb.eval(`document.querySelectorAll("details").forEach(d => d.open = true)`, nil)
			}
		}
	}
}
