package main

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/valor-ivx/weir/proxy/admin"
)

// looks are those that the page is held to.
var looks = []look{
	{"light", "light", 1200, 900, false}, {"dark", "dark", 1200, 900, true}, {"phone", "light", 360, 780, false}, {"phone dark", "dark", 360, 780, true},
}

// stopClock has the page's seconds pass when the test says so: undo's are the only ones that it counts.
const stopClock = `window.seconds = []; window.setInterval = f => window.seconds.push(f);`

// traffic sends requests until the test ends.
func (d *demonstration) traffic(t *testing.T) {
	t.Helper()
	done := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			case <-tick.C:
			}
			path := "/api/health"
			if i%20 == 0 {
				path = "/api/nothing-there"
			}
			if res, err := http.Get("http://" + d.http + path); err == nil {
				_, _ = io.Copy(io.Discard, res.Body) // or the connection could not carry the next one
				_ = res.Body.Close()
			}
		}
	})
	t.Cleanup(func() {
		close(done)
		running.Wait()
	})
}

func (d *demonstration) service() (s admin.Service) {
	d.t.Helper()
	res, err := http.Get("http://" + d.admin + "/v1/services/api")
	if err != nil {
		d.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if err := json.NewDecoder(res.Body).Decode(&s); err != nil {
		d.t.Fatal(err)
	}
	return s
}

func (d *demonstration) weighs(want string) {
	d.t.Helper()
	eventually(d.t, patience, "the weights are "+want, func() bool { return d.service().Weights().String() == want })
}

// TestE2EDashboard: the demo's dashboard in a real browser shows what passes, for every look without a barrier that axe finds, and moves weights for real by keyboard alone;
// a change is taken back; a page whose state is old changes nothing; the end of weir is said.
func TestE2EDashboard(t *testing.T) {
	t.Parallel()
	tb := openTab(t)
	d := demoOn(t, folder(t))
	origin := "http://" + d.admin
	if out, code := command(t, d.dir, nil, "weights", "--admin", d.admin, "api", "blue=75", "green=25"); code != 0 {
		t.Fatalf("exit %d: %s", code, out)
	}
	d.traffic(t)
	tb.look(looks[0])
	tb.open(origin+"/", stopClock)
	tb.until("the page is live", `document.getElementById("connection").textContent === "Live"`)
	tb.until("both colours have rates and quantiles", `/^blue \| 75 % .* ms \|.*\ngreen \| 25 % .* ms \|/.test(`+rowsOf("Groups of api")+`)`)
	if targets := tb.text(rowsOf("Targets of api")); !strings.Contains(targets, d.blue+" | blue | healthy") || !strings.Contains(targets, d.green+" | green | healthy") {
		t.Errorf("targets:\n%s", targets)
	}
	if got := tb.text(rowsOf("Certificates")); !strings.Contains(got, "valid") {
		t.Errorf("certificates: %s", got)
	}
	tb.until("curves are described", `/blue [\d.]+ now/.test(document.querySelector("canvas").getAttribute("aria-label"))`)
	for _, l := range looks {
		tb.look(l)
		tb.accessible(l.name)
		tb.fits(l.name)
		tb.screenshot("dashboard-" + strings.ReplaceAll(l.name, " ", "-"))
	}
	tb.look(looks[0])
	t.Run("keyboard", func(t *testing.T) { d.byKeyboard(t, tb) })
	t.Run("stale", func(t *testing.T) { d.stalePage(t, tb) })
	t.Run("rollout", func(t *testing.T) { d.rollOut(t, tb) })
	tb.clean(origin)
	if n := tb.asked(origin + "/v1/events"); n != 1 {
		t.Errorf("the stream was begun %d times", n)
	}
	d.signal(syscall.SIGINT)
	tb.until("the end is said", `document.getElementById("connection").textContent.startsWith("Connection lost") && document.getElementById("said").textContent.includes("lost")`)
	if code := d.wait(patience); code != 0 {
		t.Errorf("exit %d under watch", code)
	}
	measured(t, "dashboard in Chromium", "%d looks without a violation, weights moved, taken back and kept by keyboard", len(looks))
}

// fits holds the page to the width of the window: nobody scrolls two ways on a phone.
func (tb *tab) fits(where string) {
	tb.t.Helper()
	if over := tb.text("document.documentElement.scrollWidth > window.innerWidth"); over != "false" {
		tb.t.Errorf("%s: the page is wider than its window", where)
	}
}

const said = `document.getElementById("said").textContent`

func (d *demonstration) byKeyboard(t *testing.T, tb *tab) {
	tb.tabTo("the slider", `e.type === "range"`)
	for range 5 {
		tb.press("ArrowRight")
	}
	if got := tb.text(`document.activeElement.getAttribute("aria-valuetext")`); got != "blue 70 %, green 30 %" {
		t.Fatalf("the slider says %q", got)
	}
	d.weighs("blue=75 green=25") // nothing was sent
	tb.tabTo("the button", `e.textContent === "Set weights…"`)
	tb.press("Enter")
	tb.until("a question", `document.getElementById("ask").open && document.activeElement.id === "ask-yes"`)
	tb.accessible("the question")
	tb.press("Escape")
	tb.until("the question is gone and the focus back", `!document.getElementById("ask").open && document.activeElement.textContent === "Set weights…"`)
	d.weighs("blue=75 green=25")
	tb.press("Enter")
	tb.until("the question again", `document.getElementById("ask").open`)
	// The browser tells of a close a task later. Somebody quick has asked again by then, and that question is not the one that was closed.
	tb.eval(`(() => { document.getElementById("ask").close(); [...document.querySelectorAll(".weights button")].find(b => b.textContent === "Set weights…").click();
		return new Promise(done => { const c = new MessageChannel(); c.port1.onmessage = () => requestAnimationFrame(() => requestAnimationFrame(done)); c.port2.postMessage(0); }) })()`, nil)
	if tb.text(`document.getElementById("ask").open`) != "true" {
		t.Fatal("a question was closed by the close of the one before it")
	}
	tb.press("Enter")
	d.weighs("blue=70 green=30")
	tb.until("undo has the focus", `document.activeElement.textContent === "Undo (10 s)" && `+said+`.includes("undo")`)
	if by := d.service().Overlay.By; !strings.HasPrefix(by, "dashboard") {
		t.Errorf("by %q", by)
	}
	tb.press("Enter")
	d.weighs("blue=75 green=25")
	tb.until("that it was taken back", said+`.includes("in force again")`)
	// And once more, without taking it back: after ten seconds that is over.
	tb.until("the slider is back", `document.querySelector("input[type=range]").value === "25"`)
	tb.eval(`document.querySelector("input[type=range]").focus()`, nil)
	tb.press("End")
	tb.tabTo("the button", `e.textContent === "Set weights…"`)
	tb.press("Enter")
	tb.until("the question", `document.getElementById("ask").open`)
	tb.press("Enter")
	d.weighs("blue=0 green=100")
	tb.until("undo", `[...document.querySelectorAll("button")].some(b => b.textContent.startsWith("Undo (10") && !b.hidden)`)
	tb.eval(`for (let i = 0; i < 9; i++) seconds.at(-1)()`, nil)
	if got := tb.text(`document.activeElement.textContent`); got != "Undo (1 s)" {
		t.Errorf("after nine seconds: %s", got)
	}
	tb.eval(`seconds.at(-1)()`, nil)
	if got := tb.text(`document.activeElement.type + document.querySelectorAll(".weights button:not([hidden])").length`); got != "range1" {
		t.Errorf("after ten seconds the focus and the buttons are %s", got)
	}
	d.weighs("blue=0 green=100")
}

// stalePage: somebody else changes the weights between a person's touch of the slider and their yes.
func (d *demonstration) stalePage(t *testing.T, tb *tab) {
	tb.eval(`document.querySelector("input[type=range]").focus()`, nil)
	tb.press("Home")
	if out, code := command(t, d.dir, nil, "weights", "--admin", d.admin, "api", "blue=60", "green=40"); code != 0 {
		t.Fatalf("exit %d: %s", code, out)
	}
	tb.tabTo("the button", `e.textContent === "Set weights…"`)
	tb.press("Enter")
	tb.until("the question", `document.getElementById("ask").open`)
	tb.press("Enter")
	tb.until("that nothing was changed", said+`.includes("somebody else has changed api")`)
	d.weighs("blue=60 green=40")
	tb.until("the slider shows what is in force", `document.querySelector("input[type=range]").value === "40"`)
}

// rollOut starts, pauses and aborts a rollout by the page's buttons, as the admin API has it.
func (d *demonstration) rollOut(t *testing.T, tb *tab) {
	if out, code := command(t, d.dir, nil, "weights", "--admin", d.admin, "api", "blue=100", "green=0"); code != 0 {
		t.Fatalf("exit %d: %s", code, out)
	}
	state := func(want func(admin.Rollout) bool) func() bool {
		return func() bool {
			r := d.service().Rollout
			return r != nil && want(*r)
		}
	}
	press := func(name string) {
		t.Helper()
		tb.until("the button "+name, `[...document.querySelectorAll(".rollout button")].some(b => !b.hidden && b.textContent === `+quoteJS(name)+`)`)
		tb.eval(`[...document.querySelectorAll(".rollout button")].find(b => b.textContent === `+quoteJS(name)+`).focus()`, nil)
		tb.press("Enter")
	}
	tb.until("the page has the weights", `document.querySelector("input[type=range]").value === "0"`)
	press("Start rollout…")
	tb.until("the question", `document.getElementById("ask").open`)
	tb.press("Enter")
	eventually(t, patience, "it runs at its first step", state(func(r admin.Rollout) bool { return r.To == "green" && r.Step == 1 && !r.Over() }))
	tb.until("the page says so", `/To green: (running|holding), step 1 of 5 at 1 %/.test(document.querySelector(".rollout").innerText) && `+rowsOf("Groups of api")+`.includes("green | 1 %")`)
	tb.until("evidence", `/evidence [\d.e-]+ now/.test(document.querySelector(".rollout canvas").getAttribute("aria-label"))`)
	tb.screenshot("dashboard-rollout")
	press("Pause")
	eventually(t, patience, "it is paused", state(func(r admin.Rollout) bool { return strings.HasPrefix(r.Reason, "paused by dashboard") }))
	press("Resume")
	eventually(t, patience, "it is resumed", state(func(r admin.Rollout) bool { return !strings.HasPrefix(r.Reason, "paused") && !r.Over() }))
	press("Abort…")
	tb.until("the question", `document.getElementById("ask").open`)
	tb.press("Enter")
	eventually(t, patience, "it is aborted", state(func(r admin.Rollout) bool { return r.State == "aborted" }))
	d.weighs("blue=100 green=0")
	tb.until("the page says that too", `document.querySelector(".rollout").innerText.includes("To green: aborted")`)
}
