package proxy_test

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/valor-ivx/weir/proxy"
	"github.com/valor-ivx/weir/proxy/waf"
)

// shielded publishes a snapshot whose route has a WAF of one rule.
func (e *edge) shielded(change func(*waf.Options)) {
	e.t.Helper()
	o := waf.Options{Name: "it", RulesFile: filepath.Join(e.t.TempDir(), "own.conf"), MaxBody: 100 << 10, MaxArguments: 10, Block: true, Timeout: time.Minute, Turns: waf.NewTurns(1)}
	if err := os.WriteFile(o.RulesFile, []byte("SecRule ARGS \"@contains attack\" \"id:1,phase:2,deny,msg:'an attack'\"\n"), 0o600); err != nil {
		e.t.Fatal(err)
	}
	change(&o)
	w, err := waf.Open(o)
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(w.Close)
	s := *e.proxy.Snapshot()
	route := s.Routes[0]
	route.Shield = &proxy.Shield{WAF: w, Metrics: e.metrics.SetWAFs([]string{"it"}, waf.Decisions())["it"]}
	s.Routes = []proxy.Route{route}
	e.proxy.Publish(&s)
}

// TestShieldThatCannotJudge: without a turn in time on_error decides, and what is let through arrives whole.
func TestShieldThatCannotJudge(t *testing.T) {
	addr := backend(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
	for _, c := range []struct {
		open     bool
		status   string
		reason   string
		decision string
	}{{false, "HTTP/1.1 503 ", "waf_failed", "failed_closed"}, {true, "HTTP/1.1 200 ", "", "failed_open"}} {
		e := newEdge(t, defaults(addr))
		e.shielded(func(o *waf.Options) { o.Turns, o.Timeout, o.FailOpen = waf.NewTurns(0), time.Millisecond, c.open })
		w := e.say("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\na=b")
		head := w.head()
		if !strings.HasPrefix(head, c.status) || strings.Contains(head, "\r\nRetry-After: ") == c.open {
			t.Errorf("open %t: %q", c.open, head)
		}
		if c.open && w.take(3) != "a=b" {
			t.Error("the body did not arrive")
		}
		l := e.line()
		if l.Reason != c.reason {
			t.Errorf("logged %+v", l)
		}
		e.eventually("the decision in a scrape", func() bool { return e.scraped("weir_waf_decisions_total "+c.decision+" it") == 1 })
	}
}

// TestShieldRetries: a body that was read ahead is said again to another peer, and a request that is blocked costs no peer anything.
func TestShieldRetries(t *testing.T) {
	answering := backend(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _ = w.Write(body[len(body)-4:])
	})
	e := newEdge(t, defaults(deadAddress(t), answering))
	e.shielded(func(*waf.Options) {})
	body := "x=" + strings.Repeat("y", 90<<10) + "&end"
	for range 8 { // whichever peer is asked first
		w := e.say("PUT / HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n\r\n")
		w.send("16806\r\n" + body + "\r\n0\r\n\r\n")
		if head := w.head(); !strings.HasPrefix(head, "HTTP/1.1 200 ") || w.take(4) != "&end" {
			t.Errorf("head %q", head)
		}
		_ = w.Close()
		e.line()
	}
	w := e.say("PUT /?q=attack HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
	if head := w.head(); !strings.HasPrefix(head, "HTTP/1.1 403 ") {
		t.Errorf("head %q", head)
	}
	e.logged(403, "waf_blocked", 0)
}
