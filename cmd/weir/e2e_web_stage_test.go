package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// play is an API that says what the test tells it to, behind the shipped edge, which serves the shipped pages.
type play struct {
	t      *testing.T
	origin string
	web    string     // the folder of the pages
	asked  chan *line // each request but the health checks, in the order in which they came
}

// line is one request, and what it is to be answered.
type line struct {
	method, path, query, token, body string
	gone                             <-chan struct{} // closed when the asker has left
	answer                           chan func(http.ResponseWriter)
}

func newPlay(t *testing.T) *play {
	t.Helper()
	p := &play{t: t, asked: make(chan *line, 64)}
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/readiness" {
			return
		}
		body, _ := io.ReadAll(r.Body) // a test compares it
		l := &line{r.Method, r.URL.Path, r.URL.RawQuery, strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), string(body), r.Context().Done(), make(chan func(http.ResponseWriter), 1)}
		p.asked <- l
		select {
		case say := <-l.answer:
			say(w)
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(api.Close)
	dir := folder(t)
	if out, err := exec.Command(filepath.Join(programs(t), "valor-api"), "web", "--out", filepath.Join(dir, "web")).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	p.web = filepath.Join(dir, "web")
	config := filepath.Join(dir, "weir.toml")
	save(t, config, fmt.Sprintf(`[admin]
address = "unix://%s/admin.sock"
state_dir = "state"
[[listener]]
name = "http"
address = "127.0.0.1:0"
[headers.strict]
preset = "strict"
[[route]]
path = "/api"
service = "api"
[[route]]
path = "/"
files = { root = "web", fallback = "index.html" }
headers = "strict"
[service.api.group.blue]
targets = [%q]
`, dir, strings.TrimPrefix(api.URL, "http://")))
	e := launch(t, dir, config)
	e.ready()
	p.origin = "http://" + e.address("http")
	return p
}

// next is the next request, which must be the one that is expected.
func (p *play) next(method, path string) *line {
	p.t.Helper()
	var l *line
	select {
	case l = <-p.asked:
	case <-time.After(patience):
		p.t.Fatalf("%s %s is not asked", method, path)
	}
	if l.method != method || l.path != path {
		p.t.Fatalf("%s %s was asked, want %s %s", l.method, l.path, method, path)
	}
	return l
}

func (l *line) says(status int, body any) {
	b, _ := json.Marshal(body) // texts and numbers always encode
	l.answer <- func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = w.Write(b)
	}
}

type m = map[string]any

func account(access, refresh string) m {
	return m{"success": true, "user": m{"id": "1", "username": "ann"}, "access_token": access, "refresh_token": refresh, "expires_in": 3600}
}

// valued is a DCF's answer.
func valued(perShare float64, warning string) m {
	series := m{}
	for _, name := range strings.Fields("rev growths margins ebit nopat nwcRatio nwc deltaNwc capexProxy reinvest fcff pvFcff") {
		series[name] = []float64{-1, 2, 3}
	}
	return m{"success": true, "data": m{"compat": true, "params": m{"revenue": 500, "wacc": 0.07, "netDebt": 300, "shares": 150, "years": 3, "taxRate": .23, "termGrowth": .025, "stage1End": 1, "stage2End": 2, "tvMethod": "perpetuity",
		"growthY1": .1, "growthDecay": 0, "ebitMargin": .2, "salesToCap": 2}, "series": series,
		"totals": m{"sumPvFcff": 1, "pvTv": 2, "ev": 3, "equity": 4, "perShare": perShare, "tvPct": .5}, "kpis": m{"roic": nil, "reinvestRate": nil, "fcffCAGR": nil, "payback": 0, "evNopat": nil},
		"warnings": []m{{"field": "s1Growth", "message": warning}}}}
}

const evil = `<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>`

// TestE2EWebSimulation: progress is shown as it comes, cancelling ends the request on the service's side, a stream that breaks off is said, and what the service says is text whatever it is.
func TestE2EWebSimulation(t *testing.T) {
	t.Parallel()
	p := newPlay(t)
	tb := openTab(t)
	tb.look(looks[0])
	tb.open(p.origin+"/", "")
	p.next("POST", "/api/dcf").says(http.StatusServiceUnavailable, m{})
	tb.until("a service that is away is said", `document.querySelector(".results [role=alert]").textContent.includes("busy")`)
	tb.pushes(button("", "Try again"))
	p.next("POST", "/api/dcf").says(http.StatusOK, valued(1.5, evil))
	tb.until("the value", perShare+` === "1.500"`)
	if got := tb.text(`document.querySelector(".warnings").textContent`); got != "Stage 1, growth: "+evil {
		t.Errorf("the warning is %q", got)
	}
	if got := tb.text(labelled("Forecast", "Discount rate") + `.value`); got != "7" {
		t.Errorf("7 %% is shown as %s", got)
	}
	events := make(chan string, 16)
	stream := func(l *line) {
		events := events
		l.answer <- func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "text/event-stream")
			for {
				select {
				case e, more := <-events:
					if !more {
						return
					}
					_, _ = io.WriteString(w, e)
					_ = http.NewResponseController(w).Flush()
				case <-l.gone:
					return
				}
			}
		}
	}
	bar := `document.querySelector("progress")`
	tb.pushes(button("Monte Carlo", "Simulate"))
	l := p.next("POST", "/api/montecarlo")
	var sent struct {
		Wacc   float64
		Compat bool
		Trials int
	}
	if err := json.Unmarshal([]byte(l.body), &sent); err != nil || sent.Wacc != .07 || !sent.Compat || sent.Trials != 10000 {
		t.Errorf("%v: %s", err, l.body)
	}
	stream(l)
	events <- "event: progress\ndata: {\"done\": 2600, \"tri"
	events <- "als\": 10000}\n\n"
	tb.until("a quarter, also for those who listen", bar+`.value === 2600 && `+bar+`.max === 10000 && `+partOf("Monte Carlo")+`.querySelector("[role=status]").textContent === "2,600 of 10,000"`)
	tb.accessible("while it runs")
	tb.pushes(button("Monte Carlo", "Cancel"))
	eventually(t, patience, "the service is told by its next words", func() bool {
		select {
		case <-l.gone:
			return true
		case events <- "event: progress\ndata: {\"done\": 2700, \"trials\": 10000}\n\n":
			return false
		}
	})
	tb.until("that is said, and the button has the focus again", `document.getElementById("said").textContent.includes("cancelled") && document.activeElement === (`+button("Monte Carlo", "Simulate")+`)`)
	tb.press("Enter")
	events = make(chan string, 16)
	stream(p.next("POST", "/api/montecarlo"))
	events <- "event: progress\ndata: {\"done\": 1, \"trials\": 10000}\n\n"
	close(events)
	tb.until("a stream that breaks off", partOf("Monte Carlo")+`.querySelector("[role=alert]").textContent.includes("broke off")`)
	tb.pushes(button("Monte Carlo", "Simulate"))
	p.next("POST", "/api/montecarlo").says(http.StatusUnprocessableEntity, m{"title": evil, "detail": evil, "errors": []m{{"location": "body.corrGM", "message": "must be from -0.99 to 0.99, less than volPP and wacc (line 1, column 2)"}, {"location": "body.wacc", "message": evil}}})
	tb.until("at the field, with its neighbours as they are called here", `(e => e === document.activeElement && document.getElementById(e.id + "-error").textContent === "must be from -0.99 to 0.99, less than “Growth, points” and wacc")(`+labelled("Monte Carlo", "Correlation of growth and margin")+`)`)
	if got := tb.text(partOf("Monte Carlo") + `.querySelector("[role=alert]").textContent`); !strings.Contains(got, "wacc "+evil) {
		t.Errorf("the rest is %q", got)
	}
	if got := tb.text(`window.hacked + " " + document.querySelectorAll("main img, main script").length`); got != "undefined 0" {
		t.Errorf("markup from the service: %s", got)
	}
	tb.clean(p.origin)
}

// TestE2EWebSession: a token that has ended is exchanged once for a request, a session that was ended asks for a login and comes back, the access token is nowhere but in memory.
func TestE2EWebSession(t *testing.T) {
	t.Parallel()
	p := newPlay(t)
	tb := openTab(t)
	tb.look(looks[0])
	tb.open(p.origin+"/runs", "")
	p.next("GET", "/api/runs").says(http.StatusUnauthorized, m{"detail": "a token is required"})
	tb.until("a login is asked for", `document.querySelector("main a").getAttribute("href") === "/login?next=%2Fruns"`)
	tb.follow("/login?next=//evil.example/runs")
	tb.heading("Log in")
	tb.enter(labelled("", "Name or address"), "ann")
	tb.enter(labelled("", "Password"), " Correct-horse-9 ")
	tb.press("Enter")
	l := p.next("POST", "/api/auth/login")
	if l.body != `{"username":"ann","password":" Correct-horse-9 "}` {
		t.Errorf("%s", l.body)
	}
	l.says(http.StatusUnauthorized, m{"detail": "Invalid username or password"})
	tb.until("a wrong password", `document.querySelector("main [role=alert]").textContent === "Invalid username or password"`)
	tb.pushes(button("", "Log in"))
	p.next("POST", "/api/auth/login").says(http.StatusOK, account("access-1", "refresh-1"))
	p.next("POST", "/api/dcf").says(http.StatusOK, valued(2, "")) // not evil.example
	tb.until("here", perShare+` === "2.000" && location.pathname === "/"`)
	runs := m{"success": true, "data": m{"runs": []m{{"run_id": "01", "ticker": evil, "inputs": m{"revenue": 5}, "created_at": "2026-01-02T03:04:05Z"}},
		"pagination": m{"page": 1, "per_page": 20, "total": 21, "pages": 2, "next_num": 2, "prev_num": nil}}}
	tb.follow("/runs")
	l = p.next("GET", "/api/runs")
	if l.token != "access-1" {
		t.Errorf("the token is %q", l.token)
	}
	l.says(http.StatusUnauthorized, m{"detail": "Token expired"})
	l = p.next("POST", "/api/auth/refresh")
	if l.body != `{"refresh_token":"refresh-1"}` {
		t.Errorf("%s", l.body)
	}
	l.says(http.StatusOK, account("access-2", "refresh-2"))
	l = p.next("GET", "/api/runs")
	if l.token != "access-2" || l.query != "page=1&per_page=20&sort_by=created_at&sort_order=desc" {
		t.Errorf("%q %q", l.token, l.query)
	}
	l.says(http.StatusOK, runs)
	tb.until("the runs", `document.querySelector("main tbody th").textContent === `+quoteJS(evil))
	tb.eval(`[...document.querySelectorAll("main thead a")].find(a => a.textContent.startsWith("Ticker")).click()`, nil)
	if l = p.next("GET", "/api/runs"); l.query != "page=1&per_page=20&sort_by=ticker&sort_order=asc" {
		t.Errorf("sorted: %s", l.query)
	}
	l.says(http.StatusOK, runs)
	tb.until("sorted, by address", `location.search === "?sort=ticker&order=asc" && document.querySelector("th[aria-sort]").getAttribute("aria-sort") === "ascending"`)
	tb.eval(`[...document.querySelectorAll("main nav a")].find(a => a.textContent === "Next").click()`, nil)
	if l = p.next("GET", "/api/runs"); l.query != "page=2&per_page=20&sort_by=ticker&sort_order=asc" {
		t.Errorf("next: %s", l.query)
	}
	l.says(http.StatusOK, runs)
	tb.heading("Runs")
	tb.enter(labelled("", "Ticker contains"), "a&b")
	tb.press("Enter")
	if l = p.next("GET", "/api/runs"); l.query != "page=1&per_page=20&sort_by=ticker&sort_order=asc&search_term=a%26b" {
		t.Errorf("searched: %s", l.query)
	}
	l.says(http.StatusOK, runs)
	tb.heading("Runs")
	if got := tb.text(`localStorage.getItem("valor-refresh") + " " + localStorage.length + " " + sessionStorage.length + " [" + document.cookie + "] " + location.href`); got != "refresh-2 1 0 [] "+p.origin+"/runs?sort=ticker&order=asc&find=a%26b" {
		t.Errorf("what is kept: %s", got)
	}
	// The session is ended from elsewhere: the exchange is refused, and what was asked for goes on without anybody.
	tb.follow("/runs/01")
	p.next("GET", "/api/runs/01").says(http.StatusUnauthorized, m{})
	p.next("POST", "/api/auth/refresh").says(http.StatusUnauthorized, m{"detail": "ended"})
	tb.until("nobody is logged in", `document.getElementById("account").textContent === "Log in" && document.querySelector("main a").getAttribute("href") === "/login?next=%2Fruns%2F01" && localStorage.length === 0`)
	tb.clean(p.origin)
}
