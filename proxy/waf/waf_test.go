package waf_test

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/valor-ivx/weir/proxy/message"
	"github.com/valor-ivx/weir/proxy/waf"
)

const own = `SecRule ARGS "@contains attack" "id:1001,phase:2,deny,msg:'an attack'"
SecRule ARGS:q "@contains odd" "id:1002,phase:1,pass,msg:'odd'"
SecRule RESPONSE_STATUS "@eq 500" "id:1003,phase:3,deny,msg:'it failed'"
`

func options(t testing.TB, rules string) waf.Options {
	t.Helper()
	o := waf.Options{Name: "it", MaxBody: 64, MaxArguments: 5, Block: true, Timeout: time.Minute, Turns: waf.NewTurns(2), RulesFile: filepath.Join(t.TempDir(), "rules.conf")}
	if err := os.WriteFile(o.RulesFile, []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	return o
}

func open(t testing.TB, o waf.Options) *waf.WAF {
	t.Helper()
	w, err := waf.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return w
}

func request(query, kind string) waf.Request {
	r := &message.Request{Method: message.POST, MethodName: []byte("POST"), Proto: message.HTTP11, Path: []byte("/x"), Query: []byte(query), Host: []byte("a.test:80")}
	r.Header.Add("User-Agent", "test")
	if kind != "" {
		r.Header.Add("Content-Type", kind)
	}
	return waf.Request{Request: r, Client: netip.MustParseAddr("192.0.2.1"), ID: "0123456789abcdef"}
}

// judge runs the phases of a request; body "" is none.
func judge(w *waf.WAF, query, body string, status int) *waf.Inspection {
	i := w.Begin(request(query, "application/x-www-form-urlencoded"))
	defer i.End()
	if i.Head(body != "") && (body == "" || i.Body([]byte(body))) {
		i.Answer(&message.Response{Status: status})
	}
	return i
}

func TestDecisions(t *testing.T) {
	var mu sync.Mutex
	var told []waf.Finding
	tell := func(f waf.Finding) {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, f)
	}
	for _, c := range []struct {
		name, query, body string
		status            int
		change            func(*waf.Options)
		want              waf.Decision
		rules             string
	}{
		{"fine", "a=b", "c=d", 200, nil, waf.Allowed, ""},
		{"a rule that only tells", "q=odd", "", 200, nil, waf.Allowed, "1002"},
		{"in the query, without a body", "a=attack", "", 200, nil, waf.Blocked, "1001"},
		{"in the body", "q=odd", "a=attack", 200, nil, waf.Blocked, "1002 1001"},
		{"in the answer", "", "c=d", 500, nil, waf.Blocked, "1003"},
		{"only detected", "a=attack", "", 200, func(o *waf.Options) { o.Block = false }, waf.Detected, "1001"},
		{"long", "", strings.Repeat("x", 100), 200, nil, waf.Partial, "200199"},
		{"long, with an attack behind", "", "a=" + strings.Repeat("x", 100) + "attack", 200, nil, waf.Partial, "200199"},
		{"long, blocked", "", strings.Repeat("x", 100), 200, func(o *waf.Options) { o.BlockOversize = true }, waf.Blocked, "200199"},
		{"many arguments", "a&b&c&d&e&f&g=attack", "", 200, nil, waf.Partial, "200198"},
		{"many arguments, an attack at the start", "a=attack&b&c&d&e&f&g", "", 200, nil, waf.Blocked, "1001"},
		{"excluded", "a=attack", "", 200, func(o *waf.Options) { o.Exclude = []int{1001} }, waf.Allowed, ""},
		{"no turn", "a=b", "", 200, func(o *waf.Options) { o.Turns, o.Timeout = waf.NewTurns(0), time.Millisecond }, waf.FailedClosed, ""},
		{"no turn, open", "a=attack", "x=attack", 500, func(o *waf.Options) { o.Turns, o.Timeout, o.FailOpen = waf.NewTurns(0), time.Millisecond, true }, waf.FailedOpen, ""},
		{"no turn, only detecting", "a=attack", "", 200, func(o *waf.Options) { o.Turns, o.Timeout, o.Block = waf.NewTurns(0), time.Millisecond, false }, waf.FailedOpen, ""},
	} {
		o := options(t, own)
		o.Tell = tell
		if c.change != nil {
			c.change(&o)
		}
		told = nil
		i := judge(open(t, o), c.query, c.body, c.status)
		if i.Decision() != c.want || i.Rules() != c.rules || (i.Failed() != nil) != (c.want == waf.FailedClosed || c.want == waf.FailedOpen) {
			t.Errorf("%s: %s by %q, %v", c.name, i.Decision(), i.Rules(), i.Failed())
		}
		if (len(told) == 1) != (c.rules != "" || i.Failed() != nil) || len(told) == 1 && (told[0].Decision != c.want || told[0].Rules != c.rules || strings.Contains(strings.Join(told[0].Says, ""), "=")) {
			t.Errorf("%s: told %+v", c.name, told)
		}
	}
}

// TestReload: rules change whole or not at all, while requests are judged by those they began with.
func TestReload(t *testing.T) {
	o := options(t, own)
	w := open(t, o)
	under := w.Begin(request("a=attack", ""))
	write := func(text string) {
		if err := os.WriteFile(o.RulesFile, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("SecRule ARGS \"@contains x\" \"id:7,phase:2,deny\"\nSecRule ARGS @bogus\n")
	if err := w.Reload(); err == nil || !strings.Contains(err.Error(), "waf it: ") || !strings.Contains(err.Error(), "rules.conf") {
		t.Errorf("a mistake: %v", err)
	}
	if i := judge(w, "a=attack", "", 200); i.Decision() != waf.Blocked {
		t.Errorf("after a mistake: %s", i.Decision())
	}
	write(strings.ReplaceAll(own, "attack", "onslaught"))
	if err := w.Reload(); err != nil {
		t.Fatal(err)
	}
	if i := judge(w, "a=attack", "", 200); i.Decision() != waf.Allowed {
		t.Errorf("with the old rules: %s", i.Decision())
	}
	if i := judge(w, "a=onslaught", "", 200); i.Decision() != waf.Blocked {
		t.Errorf("without the new rules: %s", i.Decision())
	}
	if under.Head(false) {
		t.Error("a request that had begun is judged by other rules")
	}
	under.End()
	if err := os.Remove(o.RulesFile); err != nil {
		t.Fatal(err)
	}
	if err := w.Reload(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

// TestFilesAreNotKept: the files of a multipart body, whole or cut in the middle of one, are judged by name and size and leave nothing behind, whatever the rules say.
func TestFilesAreNotKept(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	o := options(t, "SecUploadKeepFiles On\nSecUploadDir "+dir+"\nSecRule FILES \"@endsWith .php\" \"id:1,phase:2,deny,msg:'a program'\"\n")
	o.MaxBody = 400
	w := open(t, o)
	part := func(name, content string) string {
		return "--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"" + name + "\"\r\nContent-Type: text/plain\r\n\r\n" + content + "\r\n"
	}
	for _, c := range []struct {
		body string
		want waf.Decision
	}{
		{part("a.txt", "one") + part("b.txt", "two") + "--b--\r\n", waf.Allowed},
		{part("a.txt", "one") + part("b.php", "two") + "--b--\r\n", waf.Blocked},
		{part("a.txt", "one") + part("b.txt", strings.Repeat("x", 1000)) + "--b--\r\n", waf.Partial},
	} {
		i := w.Begin(request("", "multipart/form-data; boundary=b"))
		_ = i.Head(true) && i.Body([]byte(c.body))
		if i.Decision() != c.want {
			t.Errorf("%s by %q: %.100q", i.Decision(), i.Rules(), c.body)
		}
		i.End()
		left, err := os.ReadDir(dir)
		if err != nil || len(left) != 0 {
			t.Errorf("left behind: %v %v", left, err)
		}
	}
}

// TestManyAtOnce: requests of many goroutines do not mix, also while rules change.
func TestManyAtOnce(t *testing.T) {
	o := options(t, own)
	w := open(t, o)
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			for range 50 {
				query, want := "a=fine", waf.Allowed
				if g%2 == 0 {
					query, want = "a=attack", waf.Blocked
				}
				if i := judge(w, query, "", 200); i.Decision() != want {
					t.Errorf("%s: %s", query, i.Decision())
				}
			}
		})
	}
	for n := range 5 {
		if err := os.WriteFile(o.RulesFile, []byte(own+strings.Repeat("# changed\n", n)), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := w.Reload(); err != nil {
			t.Error(err)
		}
	}
	all.Wait()
}

// cpuTime is what the process has computed for: on a busy machine the clock says little.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkCoreRules is what the core rule set costs at paranoia 1, by what is judged.
func BenchmarkCoreRules(b *testing.B) {
	w := open(b, waf.Options{Name: "it", CoreRules: true, Paranoia: 1, Inbound: 5, Outbound: 4, MaxBody: 128 << 10, MaxArguments: 1000, Block: true, Timeout: time.Minute, Turns: waf.NewTurns(2)})
	for _, c := range []struct{ name, body string }{
		{"GET", ""},
		{"login", `{"username":"ann","password":"p@ss w0rd!#%"}`},
		{"1 KiB of JSON", `{"list":[` + strings.Repeat(`{"id":12345,"name":"a thing","price":12.5},`, 22) + `{"a":1}]}`},
		{"128 KiB of one text", `{"content":"` + strings.Repeat("word ", 26000) + `"}`},
		{"1000 arguments", `[` + strings.Repeat(`"some text",`, 999) + `0]`},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			from := cpuTime(b)
			defer func() { b.ReportMetric((cpuTime(b)-from).Seconds()*1e3/float64(b.N), "cpu-ms/op") }()
			for b.Loop() {
				i := w.Begin(request("page=2&sort=name", "application/json"))
				if !i.Head(c.body != "") || c.body != "" && !i.Body([]byte(c.body)) || !i.Answer(&message.Response{Status: 200}) {
					b.Fatalf("%s by %s", i.Decision(), i.Rules())
				}
				i.End()
			}
		})
	}
}
