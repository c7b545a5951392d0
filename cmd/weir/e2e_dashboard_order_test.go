package main

import (
	"fmt"
	"net/http"
	"testing"
)

// holdClock has the page's seconds pass when the test says so, those of undo and those in which nothing is heard.
const holdClock = `window.waits = new Map(); window.setInterval = () => 0;
{ let id = 1e9; const set = window.setTimeout, clear = window.clearTimeout;
  window.setTimeout = (f, ms, ...more) => ms >= 1000 ? (waits.set(++id, f), id) : set(f, ms, ...more);
  window.clearTimeout = (i) => { if (!waits.delete(i)) clear(i); };
  window.second = () => { const due = [...waits.values()]; waits.clear(); due.forEach((f) => f()); }; }`

// TestE2EDashboardOrder: an event that was made before a write and comes after its answer does not undo what the page shows, nor what is written next; a question may stand while a rollout goes on; a page that was busy for a while has not lost its connection.
func TestE2EDashboardOrder(t *testing.T) {
	t.Parallel()
	tb := openTab(t)
	s := newStage(t)
	s.clock = holdClock
	s.signIn(tb)
	// state is a frame of the service under a version and with a number, in which green has this weight, and of a rollout that runs if it is named.
	state := func(number int, version string, green int, rollout map[string]any) map[string]any {
		return s.frame("api", []string{"blue", "green"}, func(f, service map[string]any) {
			f["status"].(map[string]any)["started_at"] = since
			service["number"], service["version"] = number, version
			for i, weight := range []int{100 - green, green} {
				service["groups"].([]any)[i].(map[string]any)["weight"] = weight
			}
			if rollout != nil {
				service["rollout"] = rollout
			}
			f["connections"].(map[string]any)["open"] = number // so that it is seen when the frame is drawn
		})
	}
	drawn := func(n int) {
		tb.until(fmt.Sprint("frame ", n), fmt.Sprintf(`document.getElementById("connections").textContent.startsWith("%d ")`, n))
	}
	service := func(f map[string]any) string {
		return mustJSON(t, f["status"].(map[string]any)["services"].([]any)[0])
	}
	value := `document.querySelector("input[type=range]").value`
	wrote := func(want string) {
		t.Helper()
		if got := s.wrote(); got != want+" Bearer s3cret" {
			t.Errorf("%s\nwant %s", got, want)
		}
	}

	s.act(state(10, "v1", 25, nil))
	drawn(10)
	tb.eval(`document.querySelector("input[type=range]").focus()`, nil)
	tb.press("ArrowRight")
	tb.tabTo("the button", `e.textContent === "Set weights…"`)
	tb.press("Enter")
	tb.until("the question", `document.getElementById("ask").open`)
	s.answers <- scripted{http.StatusOK, service(state(12, "v2", 26, nil))}
	tb.press("Enter")
	wrote(`PUT /v1/services/api/weights If-Match: "v1"`)
	tb.until("what was written", value+` === "26" && document.activeElement.textContent.startsWith("Undo")`)
	s.act(state(11, "v1", 25, nil)) // made before the write
	drawn(11)
	if got := tb.text(value); got != "26" {
		t.Errorf("an event that was late shows %s", got)
	}
	running := map[string]any{"to": "green", "state": "running", "step": 1, "evidence": 1, "threshold": 1000, "harm": 0, "needs": 0, "started": since}
	s.answers <- scripted{http.StatusOK, mustJSON(t, running)}
	tb.eval(`[...document.querySelectorAll(".rollout button")].find(b => b.textContent === "Start rollout…").focus()`, nil)
	tb.press("Enter")
	tb.until("the question", `document.getElementById("ask").open`)
	started := service(state(14, "v3", 1, running))
	s.service.Store(&started)
	tb.press("Enter")
	wrote(`POST /v1/services/api/rollout If-Match: "v2"`) // that of the page's own write, though no event has told it yet
	tb.until("it runs", `document.querySelector(".rollout").innerText.includes("running, step 1")`)
	s.act(state(13, "v2", 26, nil))
	drawn(13)
	if got := tb.text(`document.querySelector(".rollout").innerText.includes("running, step 1")`); got != "true" {
		t.Error("an event that was late has no rollout")
	}

	// The rollout goes on to its next step while the question stands.
	s.act(state(15, "v3", 1, running))
	drawn(15)
	tb.eval(`[...document.querySelectorAll(".rollout button")].find(b => b.textContent === "Abort…").focus()`, nil)
	tb.press("Enter")
	tb.until("the question", `document.getElementById("ask").open`)
	running["step"] = 2
	s.act(state(16, "v4", 5, running))
	drawn(16)
	s.answers <- scripted{http.StatusOK, mustJSON(t, map[string]any{"to": "green", "state": "aborted", "step": 2, "evidence": 1, "threshold": 1000, "harm": 0, "needs": 0, "started": since})}
	tb.press("Enter")
	wrote(`DELETE /v1/services/api/rollout If-Match: "v4"`)

	// Five seconds in which the page does nothing, twice, with an event between them, are no silence. Six in a row are.
	lost := `document.getElementById("connection").textContent.startsWith("Connection lost")`
	for n := range 2 {
		tb.eval(`for (let i = 0; i < 5; i++) second()`, nil)
		s.act(state(17+n, "v5", 5, nil))
		drawn(17 + n)
		if got := tb.text(lost); got != "false" {
			t.Errorf("the connection is lost after five seconds, %d", n)
		}
	}
	tb.eval(`for (let i = 0; i < 6; i++) second()`, nil)
	tb.until("silence is said", lost)
	tb.eval(`second()`, nil) // and then it is tried again
	s.now = nil

	// Another process numbers anew.
	s.act(s.frame("api", []string{"blue", "green"}, func(f, service map[string]any) {
		f["status"].(map[string]any)["started_at"] = since.AddDate(0, 0, -1)
		service["number"], service["version"] = 1, "w1"
	}))
	tb.until("what another process says", value+` === "0" && document.getElementById("connection").textContent === "Live"`)
	tb.clean(s.address)
}
