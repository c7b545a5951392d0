package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/valor-ivx/weir/proxy/admin"
)

// stage is the admin server with its own page and token, whose events are what the test says, so that the page can be shown what no edge does on demand.
type stage struct {
	t       *testing.T
	address string
	clock   string           // runs ahead of the page's scripts
	streams chan chan string // each is where a stream that the page has begun takes its events from; "" ends it
	now     chan string      // that of the stream that is told, nil for the next one
	writes  chan string      // what the page asked to be changed
	answers chan scripted
	service atomic.Pointer[string] // of the last frame, as JSON
}

type scripted struct {
	status int
	body   string
}

func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{t: t, clock: stopClock, streams: make(chan chan string, 16), writes: make(chan string, 16), answers: make(chan scripted, 16)}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	real, err := admin.New(admin.Options{Control: &fakeControl{dir: t.TempDir()}, Log: zap.NewNop(), Token: "s3cret"})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- real.Serve(l) }()
	through := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: l.Addr().String()})
	mux := http.NewServeMux()
	mux.Handle("/", through)
	mux.HandleFunc("/v1/events", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer s3cret" {
			through.ServeHTTP(w, r)
			return
		}
		s.stream(w, r)
	})
	mux.HandleFunc("/v1/services/", func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			_, _ = w.Write([]byte(*s.service.Load()))
			return
		}
		s.writes <- fmt.Sprintf("%s %s If-Match: %s %s", r.Method, r.URL.EscapedPath(), r.Header.Get("If-Match"), r.Header.Get("Authorization"))
		var a scripted
		select {
		case a = <-s.answers:
		case <-r.Context().Done(): // the test has ended without one
			return
		}
		if strings.Contains(r.URL.Path, "/rollout") && a.status == http.StatusOK {
			s.rolled(a.body)
		}
		w.WriteHeader(a.status)
		_, _ = w.Write([]byte(a.body))
	})
	front := httptest.NewServer(mux)
	t.Cleanup(func() {
		front.CloseClientConnections()
		front.Close()
		_ = real.Close()
		<-ended
	})
	s.address = front.URL
	return s
}

// rolled has the service be asked for with what was answered of its rollout.
func (s *stage) rolled(rollout string) {
	var service map[string]any
	if err := json.Unmarshal([]byte(*s.service.Load()), &service); err != nil {
		s.t.Error(err)
	}
	service["rollout"] = json.RawMessage(rollout)
	text := mustJSON(s.t, service)
	s.service.Store(&text)
}

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Error(err)
	}
	return string(b)
}

func (s *stage) stream(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	_ = http.NewResponseController(w).Flush()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	acts := make(chan string)
	s.streams <- acts // a page begins fewer than it holds
	for {
		select {
		case <-tick.C: // a page that hears nothing for some seconds begins another stream, as it should
			_, _ = io.WriteString(w, ": still here\n\n")
			_ = http.NewResponseController(w).Flush()
		case act := <-acts:
			if act == "" {
				return
			}
			_, _ = fmt.Fprintf(w, "data: %s\n\n", act)
			_ = http.NewResponseController(w).Flush()
		case <-r.Context().Done():
			return
		}
	}
}

// act shows the page a frame.
func (s *stage) act(f map[string]any) {
	s.t.Helper()
	b, err := json.Marshal(f)
	if err != nil {
		s.t.Fatal(err)
	}
	if list := f["status"].(map[string]any)["services"].([]any); len(list) > 0 {
		service, err := json.Marshal(list[0])
		if err != nil {
			s.t.Fatal(err)
		}
		text := string(service)
		s.service.Store(&text)
	}
	s.tell(string(b))
}

// tell is an event of the stream, or of the next one when it has been ended by the one before.
func (s *stage) tell(event string) {
	s.t.Helper()
	limit := time.After(patience)
	if s.now == nil {
		select {
		case s.now = <-s.streams:
		case <-limit:
			s.t.Fatal("the page begins no stream")
		}
	}
	select {
	case s.now <- event:
	case <-limit:
		s.t.Fatal("the page has left the stream")
	}
	if event == "" {
		s.now = nil
	}
}

// wrote is what the page asked to be changed next.
func (s *stage) wrote() string {
	s.t.Helper()
	select {
	case w := <-s.writes:
		return w
	case <-time.After(patience):
		s.t.Fatal("the page asks for no change")
		return ""
	}
}

// frame is one with a service of that name and its groups, changed by change.
func (s *stage) frame(service string, groups []string, change func(f, service map[string]any)) map[string]any {
	s.t.Helper()
	f := admin.Frame{
		At: since, Seconds: 1, Status: (&fakeControl{dir: s.t.TempDir()}).Status(), Groups: []admin.GroupRates{}, Ended: []admin.ReasonRate{}, Limits: []admin.LimitRates{},
		Certificates: admin.CertificateSummary{First: []admin.Certificate{}}, Errors: []admin.RequestError{},
	}
	f.Status.Services = []admin.Service{{Name: service, Version: "v7"}}
	for i, g := range groups {
		weight := admin.Weight(0)
		if i == 0 {
			weight = 100 * admin.WeightOne
		}
		f.Status.Services[0].Groups = append(f.Status.Services[0].Groups, admin.Group{Name: g, Weight: weight, State: "live", Targets: []admin.Target{}})
		f.Groups = append(f.Groups, admin.GroupRates{Service: service, Group: g, Requests: 950, Latency: &admin.Quantiles{P50: 1.5, P95: 3, P99: 20}})
	}
	b, err := json.Marshal(f)
	if err != nil {
		s.t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(b, &m); err != nil {
		s.t.Fatal(err)
	}
	if change != nil {
		change(m, m["status"].(map[string]any)["services"].([]any)[0].(map[string]any))
	}
	return m
}

// signIn opens the page and gives it the token.
func (s *stage) signIn(tb *tab) {
	s.t.Helper()
	tb.look(looks[0])
	tb.open(s.address+"/", s.clock)
	tb.until("a token is asked for", `!document.getElementById("login").hidden && document.activeElement.id === "token"`)
	tb.write("wrong")
	tb.press("Enter")
	tb.until("the token is refused", said+`.includes("not accepted")`)
	if shown := tb.text(`document.getElementById("shown").hidden`); shown != "true" {
		s.t.Error("something is shown without a token")
	}
	tb.accessible("the form")
	tb.write("s3cret")
	tb.press("Enter")
}

// TestE2EDashboardHostileNames: bytes of clients, upstreams and configurations are text, whatever they are, and the page stays usable with them.
func TestE2EDashboardHostileNames(t *testing.T) {
	t.Parallel()
	tb := openTab(t)
	s := newStage(t)
	s.signIn(tb)
	evil := func(n int) string {
		return fmt.Sprintf(`<img src=x onerror="window.hacked=%d">"'><script>window.hacked=%[1]d</script><svg/onload=window.hacked=%[1]d>{{7*7}}`, n)
	}
	s.act(s.frame(evil(1), []string{evil(2), evil(3)}, func(f, service map[string]any) {
		service["groups"].([]any)[0].(map[string]any)["targets"] = []any{map[string]any{"address": evil(4), "state": evil(5), "in_flight": 1, "failures": 2, "latency_ms": 3, "last_error": evil(6)}}
		service["overlay"] = map[string]any{"since": since, "by": evil(7), "file_weights": map[string]any{evil(2): 100, evil(3): 0}, "weights": map[string]any{}}
		service["pause"] = map[string]any{"since": since, "by": evil(31), "waiting": 3, "max_waiting": 10, "timeout": "30s"}
		service["rollout"] = map[string]any{"to": evil(8), "state": evil(9), "step": 1, "evidence": 2, "threshold": 1000, "harm": 1, "reason": evil(10), "needs": 5}
		service["shadow"] = map[string]any{"from": "blue", "to": evil(32), "share": 1, "state": "waiting", "reason": evil(33), "compared": 1, "differing": 1, "places": 1, "first": []any{map[string]any{
			"endpoint": evil(34), "where": evil(35), "verdict": evil(36), "differing": 1, "noise": 0, "compared": 1, "samples": []any{map[string]any{"from": evil(37), "to": evil(38)}}}}}
		f["errors"] = []any{map[string]any{"number": 1, "at": since, "client": "127.0.0.1", "method": evil(11), "host": evil(12), "path": evil(13), "status": 502, "reason": evil(14), "error": evil(15)}}
		f["ended"] = []any{map[string]any{"reason": evil(16), "per_second": 1}}
		f["limits"] = []any{map[string]any{"name": evil(17), "allowed": 1, "limited": 1, "dry_run": 0}}
		f["certificates"] = map[string]any{"total": 1, "first": []any{map[string]any{"subject": evil(18), "names": []string{evil(19)}, "issuer": evil(20), "state": "failed", "error": evil(21)}}}
		status := f["status"].(map[string]any)
		status["version"], status["warnings"] = evil(22), []string{evil(23)}
		status["listeners"] = []any{map[string]any{"name": evil(24), "address": evil(25), "protocols": []string{evil(26)}, "connections": 1}}
		status["config"] = map[string]any{"path": evil(27), "loaded_at": since, "last_reload": map[string]any{"at": since, "ok": false, "trigger": evil(28), "errors": []any{map[string]any{"message": evil(29)}}}}
	}))
	tb.until("the frame is drawn", `document.querySelectorAll("section h2").length > 5`)
	for n := 1; n <= 38; n++ {
		if n == 30 || n == 3 || n == 5 || n == 8 || n == 9 || n == 16 {
			continue // seen below with the others of their table or line
		}
		var there bool
		if tb.eval(`document.body.textContent.includes(`+quoteJS(evil(n))+`)`, &there); !there {
			t.Errorf("text %d is not there as it came", n)
		}
	}
	if got := tb.text(`document.querySelectorAll("main img, main script, main svg, main [onerror], main [onload]").length + " " + window.hacked`); got != "0 undefined" {
		t.Errorf("markup from the server: %s", got)
	}
	tb.look(looks[2])
	tb.fits("hostile names")
	tb.accessible("hostile names")
	tb.look(looks[0])
	// A question and a write carry the names too: as text, and as one segment of the path.
	tb.eval(`document.querySelector("input[type=range]").focus()`, nil)
	tb.press("ArrowRight")
	tb.tabTo("the button", `e.textContent === "Set weights…"`)
	tb.press("Enter")
	tb.until("the question", `document.getElementById("ask").open`)
	s.answers <- scripted{http.StatusUnprocessableEntity, `{"title":"no","errors":[{"message":` + quoteJS(evil(30)) + `}]}`}
	tb.press("Enter")
	if got, want := s.wrote(), "PUT /v1/services/"+url.PathEscape(evil(1))+"/weights If-Match: \"v7\" Bearer s3cret"; unescaped(got) != unescaped(want) {
		t.Errorf("%s\nwant %s", got, want)
	}
	tb.until("the refusal", said+`.includes("Nothing was changed: ") && `+said+`.includes(`+quoteJS(evil(30))+`)`)
	if got := tb.text("String(window.hacked)"); got != "undefined" {
		t.Errorf("a script ran: %s", got)
	}
	tb.clean(s.address)
}

func unescaped(s string) string {
	u, err := url.PathUnescape(s)
	if err != nil {
		return err.Error()
	}
	return u
}

// TestE2EDashboardRollout: the evidence with its line, and what can be told to a rollout in each of its states, under the version that the page shows.
func TestE2EDashboardRollout(t *testing.T) {
	t.Parallel()
	tb := openTab(t)
	s := newStage(t)
	s.signIn(tb)
	show := func(rollout map[string]any) {
		s.act(s.frame("api", []string{"blue", "green"}, func(_, service map[string]any) {
			if rollout != nil {
				service["rollout"] = rollout
			}
		}))
	}
	buttons := `[...document.querySelectorAll(".rollout .buttons button")].filter(b => !b.hidden).map(b => b.textContent).join(" ")`
	view := `document.querySelector(".rollout").innerText`
	press := func(name string, a scripted, want string) {
		t.Helper()
		tb.eval(`[...document.querySelectorAll(".rollout button")].find(b => b.textContent === `+quoteJS(name)+`).focus()`, nil)
		s.answers <- a
		tb.press("Enter")
		if strings.HasSuffix(name, "…") {
			tb.until("the question", `document.getElementById("ask").open`)
			tb.press("Enter")
		}
		if got := s.wrote(); got != want+` If-Match: "v7" Bearer s3cret` {
			t.Errorf("%s: %s", name, got)
		}
	}
	show(nil)
	tb.until("none yet", view+`.includes("No rollout yet") && `+buttons+` === "Start rollout…"`)
	press("Start rollout…", scripted{200, `{"to":"green","state":"running","step":1,"steps":[5,100],"weight":5,"evidence":1,"threshold":1000,"harm":0,"max_harm":50,"needs":0}`}, "POST /v1/services/api/rollout")
	tb.until("it runs", buttons+` === "Pause Promote… Abort…" && `+said+`.includes("running")`)
	evidence := 1.0
	for range 20 {
		evidence *= 1.3
		show(map[string]any{"to": "green", "state": "running", "step": 1, "steps": []int{5, 100}, "weight": 5, "evidence": evidence, "threshold": 1000, "harm": 12.4, "max_harm": 50, "needs": 420, "needs_time": "12s"})
	}
	tb.until("where it is", view+`.includes("To green: running, step 1 of 2 at 5 %. Harm 12 of 50.") && `+view+`.includes("needs about 420 more requests, 12s at this rate")`)
	tb.until("the curve in words", `/evidence 190 now, 190 at most; goes back at 1000/.test(document.querySelector(".rollout canvas").getAttribute("aria-label"))`)
	for _, l := range looks {
		tb.look(l)
		tb.accessible("rollout, " + l.name)
		tb.screenshot("rollout-" + strings.ReplaceAll(l.name, " ", "-"))
	}
	tb.look(looks[0])
	press("Pause", scripted{200, `{"to":"green","state":"holding","step":1,"reason":"paused by ann","evidence":1,"threshold":1000,"harm":0,"needs":0}`}, "POST /v1/services/api/rollout/pause")
	tb.until("it is paused, with the focus on what can follow", buttons+` === "Resume Promote… Abort…" && `+view+`.includes("paused by ann")`)
	press("Resume", scripted{409, `{"title":"Conflict","detail":"it is over"}`}, "POST /v1/services/api/rollout/resume")
	tb.until("a conflict is said", said+`.includes("Nothing was done: it is over")`)
	press("Promote…", scripted{412, `{"title":"Precondition Failed"}`}, "POST /v1/services/api/rollout/promote")
	tb.until("a stale page is said", said+`.includes("has changed since this page showed it")`)
	press("Abort…", scripted{200, `{"to":"green","state":"aborted","step":1,"evidence":1,"threshold":1000,"harm":0,"needs":0}`}, "DELETE /v1/services/api/rollout")
	tb.until("it is over", buttons+` === "Start rollout…" && `+view+`.includes("aborted")`)
	show(map[string]any{"to": "green", "state": "rolled_back", "step": 2, "evidence": 1200, "threshold": 1000, "harm": 31, "reason": "evidence 1200 against green", "needs": 0})
	tb.until("why it went back", view+`.includes("rolled back, step 2") && `+view+`.includes("evidence 1200 against green")`)
	tb.clean(s.address)
}

// TestE2EDashboardConnection: a lost stream is said once and comes back by itself; what is shown stays; nothing at all is an answer too; the token is nowhere but in its place.
func TestE2EDashboardConnection(t *testing.T) {
	t.Parallel()
	tb := openTab(t)
	s := newStage(t)
	s.signIn(tb)
	empty := s.frame("api", nil, func(f, _ map[string]any) { f["status"].(map[string]any)["services"] = []any{} })
	s.act(empty)
	tb.until("nothing is configured", `!document.getElementById("no-services").hidden && document.getElementById("connection").textContent === "Live"`)
	for _, text := range []string{"no limits are configured", "no certificates", "none in the last second"} {
		tb.until(text, `document.body.innerText.includes(`+quoteJS(text)+`)`)
	}
	tb.until("errors from before", rowsOf("Recent errors")+`.includes("connection_refused")`)
	tb.accessible("empty")
	s.act(s.frame("api", []string{"blue", "green"}, nil))
	tb.until("a service came", rowsOf("Groups of api")+`.includes("blue | 100 %")`)
	s.tell("")
	tb.until("the loss is said", `document.getElementById("connection").textContent.startsWith("Connection lost") && `+said+`.includes("lost")`)
	if got := tb.text(rowsOf("Groups of api")); !strings.Contains(got, "blue | 100 %") {
		t.Errorf("what was shown is gone: %s", got)
	}
	tb.accessible("lost")
	s.act(s.frame("api", []string{"blue", "green", "grey"}, nil)) // taken by the next stream
	tb.until("it came back", `document.getElementById("connection").textContent === "Live" && `+said+` === "Connected." && `+rowsOf("Groups of api")+`.includes("grey | 0 %")`)
	tb.eval(`document.querySelector("select").focus()`, nil)
	if got := tb.text(`[...document.querySelectorAll("select option")].map(o => o.value + (o.selected ? "!" : "")).join(" ")`); got != "blue green grey!" {
		t.Errorf("groups to move: %s", got)
	}
	if got := tb.text(`location.href + " " + document.cookie + " " + localStorage.length + " " + sessionStorage.getItem("weir-token")`); got != s.address+"/  0 s3cret" {
		t.Errorf("the token: %s", got)
	}
	tb.mu.Lock()
	for _, u := range tb.requests {
		if strings.Contains(u, "s3cret") {
			t.Errorf("the token is in %s", u)
		}
	}
	tb.mu.Unlock()
	tb.eval(`document.getElementById("leave").click()`, nil)
	tb.until("the token is forgotten", `!document.getElementById("login").hidden && document.getElementById("shown").hidden && sessionStorage.getItem("weir-token") === null`)
	tb.clean(s.address)
}
