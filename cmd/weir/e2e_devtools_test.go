package main

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// tab is one page of a headless Chromium, driven by its DevTools protocol over a pair of pipes: no driver, no port, nothing to download.
type tab struct {
	t       *testing.T
	to      *os.File
	session string
	loaded  chan string // told the loader of a page when it and its scripts are there

	mu       sync.Mutex // guards what follows
	number   int
	waiting  map[int]chan reply
	requests []string // URLs that the page asked for
	faults   []string // exceptions, and what the browser refused by the page's policy
}

type reply struct {
	Result json.RawMessage
	Error  *struct{ Message string }
}

// patience bounds every wait for the browser: a guard, no measure.
const patience = 90 * time.Second

// openTab starts a browser with a home of its own, which trusts the CAs of these files and of no other, and opens an empty page in it.
func openTab(t *testing.T, authorities ...string) *tab {
	t.Helper()
	b := newBrowser(t, chromium(t))
	for _, file := range authorities {
		b.trust(file)
	}
	fromUs, toBrowser := pipe(t)
	fromBrowser, toUs := pipe(t)
	cmd := exec.Command(b.program, append(b.flags(), "--remote-debugging-pipe", "about:blank")...)
	cmd.Dir, cmd.WaitDelay = b.home, 10*time.Second
	cmd.Env = b.environment()
	cmd.ExtraFiles = []*os.File{fromUs, toUs} // 3 and 4, as --remote-debugging-pipe wants them
	p := start(t, cmd)
	t.Cleanup(func() { _ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) })
	_ = fromUs.Close()
	_ = toUs.Close()
	tb := &tab{t: t, to: toBrowser, waiting: map[int]chan reply{}, loaded: make(chan string, 64)}
	go tb.listen(fromBrowser) // ends with the browser
	var target struct{ TargetID string }
	tb.call("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var attached struct{ SessionID string }
	tb.call("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
	tb.session = attached.SessionID
	for _, domain := range []string{"Page", "Runtime", "Log", "Network"} {
		tb.call(domain+".enable", nil, nil)
	}
	tb.call("Page.setLifecycleEventsEnabled", map[string]any{"enabled": true}, nil)
	return tb
}

func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = r.Close()
		_ = w.Close()
	})
	return r, w
}

// listen takes what the browser says until it ends: each message closed by a zero byte.
func (tb *tab) listen(from *os.File) {
	r := bufio.NewReader(from)
	for {
		b, err := r.ReadBytes(0)
		if err != nil {
			return
		}
		var m struct {
			ID     int
			Method string
			Params struct {
				Type             string
				Args             []struct{ Value, Description any }
				Request          struct{ URL string }
				ExceptionDetails struct {
					Text      string
					Exception struct{ Description string }
				}
				Entry          struct{ Source, Level, Text, URL string }
				LoaderID, Name string // of a page's life
			}
			reply
		}
		if json.Unmarshal(b[:len(b)-1], &m) != nil {
			continue // a message of a shape that nobody here asks for
		}
		tb.mu.Lock()
		switch m.Method {
		case "Page.lifecycleEvent":
			if m.Params.Name == "load" {
				tb.loaded <- m.Params.LoaderID // a test opens fewer pages than the channel holds
			}
		case "Network.requestWillBeSent":
			tb.requests = append(tb.requests, m.Params.Request.URL)
		case "Runtime.exceptionThrown":
			d := m.Params.ExceptionDetails
			tb.faults = append(tb.faults, d.Text+" "+d.Exception.Description)
		case "Runtime.consoleAPICalled":
			if m.Params.Type == "error" || m.Params.Type == "assert" {
				tb.faults = append(tb.faults, fmt.Sprintf("console: %v", m.Params.Args))
			}
		case "Log.entryAdded":
			if e := m.Params.Entry; e.Level == "error" && e.Source != "network" { // a refused request is the network's, and what the page is tested with
				tb.faults = append(tb.faults, e.Source+": "+e.Text)
			}
		}
		if w := tb.waiting[m.ID]; w != nil {
			w <- m.reply
			delete(tb.waiting, m.ID)
		}
		tb.mu.Unlock()
	}
}

// call is one command to the browser, or to the page once there is one.
func (tb *tab) call(method string, params map[string]any, out any) {
	tb.t.Helper()
	answer := make(chan reply, 1)
	tb.mu.Lock()
	tb.number++
	id := tb.number
	tb.waiting[id] = answer
	tb.mu.Unlock()
	m := map[string]any{"id": id, "method": method, "params": params}
	if params == nil {
		m["params"] = map[string]any{}
	}
	if tb.session != "" {
		m["sessionId"] = tb.session
	}
	b, err := json.Marshal(m)
	if err == nil {
		_, err = tb.to.Write(append(b, 0))
	}
	if err != nil {
		tb.t.Fatalf("%s: %v", method, err)
	}
	select {
	case r := <-answer:
		if r.Error != nil {
			tb.t.Fatalf("%s: %s", method, r.Error.Message)
		}
		if out != nil {
			if err := json.Unmarshal(r.Result, out); err != nil {
				tb.t.Fatalf("%s: %v", method, err)
			}
		}
	case <-time.After(patience):
		tb.t.Fatalf("%s: no answer", method)
	}
}

// open loads an address. before, if not empty, is run ahead of the page's own scripts.
func (tb *tab) open(address, before string) {
	tb.t.Helper()
	if before != "" {
		tb.call("Page.addScriptToEvaluateOnNewDocument", map[string]any{"source": before}, nil)
	}
	var result struct{ ErrorText, LoaderID string }
	tb.call("Page.navigate", map[string]any{"url": address}, &result)
	if result.ErrorText != "" {
		tb.t.Fatalf("open %s: %s", address, result.ErrorText)
	}
	// Which page it was counts: the empty one that a tab begins with may be loaded only now, and what is asked of it while it gives way to this one has no answer.
	for limit := time.After(patience); ; {
		select {
		case loader := <-tb.loaded:
			if loader == result.LoaderID {
				return
			}
		case <-limit:
			tb.t.Fatalf("open %s: it does not load", address)
		}
	}
}

// eval is the value of an expression, awaited if it is a promise. An exception in it fails the test.
func (tb *tab) eval(expression string, out any) {
	tb.t.Helper()
	var r struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails *struct {
			Text      string
			Exception struct{ Description string }
		}
	}
	tb.call("Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true, "awaitPromise": true}, &r)
	if d := r.ExceptionDetails; d != nil {
		tb.t.Fatalf("%.200s: %s %s", expression, d.Text, d.Exception.Description)
	}
	if out != nil && len(r.Result.Value) > 0 {
		if err := json.Unmarshal(r.Result.Value, out); err != nil {
			tb.t.Fatalf("%.200s: %v", expression, err)
		}
	}
}

// text is an expression's value as a string.
func (tb *tab) text(expression string) (s string) {
	tb.t.Helper()
	tb.eval("String("+expression+")", &s)
	return s
}

// until waits until an expression is true. What it asks about may not be there yet.
func (tb *tab) until(what, expression string) {
	tb.t.Helper()
	yes := false
	defer func() {
		if !yes { // eventually is ending the test
			tb.t.Logf("the page says:\n%s", tb.text("document.body.innerText"))
		}
	}()
	eventually(tb.t, patience, what, func() bool {
		tb.eval("(() => { try { return Boolean("+expression+") } catch { return false } })()", &yes)
		return yes
	})
}

// keys are those that the tests press.
var keys = map[string]struct {
	code int
	text string
}{
	"Tab": {9, ""}, "Enter": {13, "\r"}, "Escape": {27, ""}, "ArrowRight": {39, ""}, "ArrowLeft": {37, ""}, "Home": {36, ""}, "End": {35, ""}, "PageUp": {33, ""},
}

// press presses and releases a key, as a person without a mouse does.
func (tb *tab) press(key string) {
	tb.t.Helper()
	k, known := keys[key]
	if !known {
		tb.t.Fatalf("no key %q", key)
	}
	down := map[string]any{"type": "keyDown", "key": key, "code": key, "windowsVirtualKeyCode": k.code}
	if k.text != "" {
		down["text"] = k.text
	}
	tb.call("Input.dispatchKeyEvent", down, nil)
	tb.call("Input.dispatchKeyEvent", map[string]any{"type": "keyUp", "key": key, "code": key, "windowsVirtualKeyCode": k.code}, nil)
}

// write types a text into what has the focus.
func (tb *tab) write(s string) {
	tb.t.Helper()
	tb.call("Input.insertText", map[string]any{"text": s}, nil)
}

// tabTo presses Tab until an expression about document.activeElement is true.
func (tb *tab) tabTo(what, expression string) {
	tb.t.Helper()
	var seen []string
	for range 80 {
		tb.press("Tab")
		var yes bool
		tb.eval("(e => Boolean("+expression+"))(document.activeElement)", &yes)
		if yes {
			return
		}
		seen = append(seen, tb.text(`document.activeElement.tagName + " " + (document.activeElement.textContent || document.activeElement.getAttribute("aria-label") || "").slice(0, 20)`))
	}
	tb.t.Fatalf("Tab does not lead to %s, but to %q", what, seen)
}

// look is how somebody looks at a page.
type look struct {
	name   string
	scheme string
	width  int
	height int
	still  bool
}

func (tb *tab) look(l look) {
	tb.t.Helper()
	motion := "no-preference"
	if l.still {
		motion = "reduce"
	}
	tb.call("Emulation.setDeviceMetricsOverride", map[string]any{"width": l.width, "height": l.height, "deviceScaleFactor": 1, "mobile": false}, nil)
	tb.call("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{
		{"name": "prefers-color-scheme", "value": l.scheme}, {"name": "prefers-reduced-motion", "value": motion},
	}}, nil)
}

// axe is the accessibility checker as Deque releases it (docs/dependencies.md).
const axe = "testdata/axe-core-4.14.1/axe.min.js"

// accessible holds the page, as it is now, to WCAG 2.2 A and AA and to axe's best practices.
func (tb *tab) accessible(where string) {
	tb.t.Helper()
	var there bool
	if tb.eval("typeof axe === 'object'", &there); !there {
		source, err := os.ReadFile(axe)
		if err != nil {
			tb.t.Fatal(err)
		}
		tb.eval(string(source)+"; true", nil)
	}
	var violations []string
	var passes int
	tb.eval(`axe.run(document, {resultTypes: ["violations"]}).then(r => { window.axeResult = r;
		return r.violations.flatMap(v => v.nodes.map(n => v.id + ": " + n.target.join(" ") + ": " + n.failureSummary)) })`, &violations)
	tb.eval("axeResult.passes.length", &passes)
	if passes < 10 {
		tb.t.Errorf("%s: axe looked at %d things only", where, passes)
	}
	for _, v := range violations {
		tb.t.Errorf("%s: %s", where, v)
	}
}

// screenshot keeps a picture of what is in view, if WEIR_SCREENSHOTS names a folder.
func (tb *tab) screenshot(name string) {
	tb.t.Helper()
	dir := os.Getenv("WEIR_SCREENSHOTS")
	if dir == "" {
		return
	}
	var shot struct{ Data string }
	tb.call("Page.captureScreenshot", map[string]any{"format": "png", "optimizeForSpeed": false}, &shot)
	b, err := base64.StdEncoding.DecodeString(shot.Data)
	if err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name+".png"), b, 0o644)
	}
	if err != nil {
		tb.t.Fatal(err)
	}
}

// clean fails the test if a script threw, the policy refused something, or anything was asked of another origin.
func (tb *tab) clean(origin string) {
	tb.t.Helper()
	tb.mu.Lock()
	defer tb.mu.Unlock()
	for _, f := range tb.faults {
		tb.t.Errorf("the browser says: %s", f)
	}
	for _, url := range tb.requests {
		if !strings.HasPrefix(url, origin+"/") && url != "about:blank" {
			tb.t.Errorf("the page asked for %s", url)
		}
	}
	if !slices.ContainsFunc(tb.requests, func(url string) bool { return strings.HasSuffix(url, ".js") }) {
		tb.t.Errorf("requests are not seen: %q", tb.requests)
	}
}

// asked is how often the page asked for something.
func (tb *tab) asked(address string) (n int) {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	for _, u := range tb.requests {
		if u == address {
			n++
		}
	}
	return n
}

// rowsOf are a table's cells, row by row, each row joined by " | ".
func rowsOf(label string) string {
	return fmt.Sprintf(`[...document.querySelector(%s).querySelectorAll("tbody tr")].map(r => [...r.cells].map(c => c.textContent).join(" | ")).join("\n")`, quoteJS(`[aria-label="`+label+`"]`))
}

func quoteJS(s string) string {
	b, _ := json.Marshal(s) // strings always encode
	return string(b)
}
