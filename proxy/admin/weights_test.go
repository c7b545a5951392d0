package admin_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/valor-ivx/weir/proxy/admin"
)

func TestOneOfManyConditionalWritersWins(t *testing.T) {
	s := serve(t, admin.Options{})
	const rounds, writers = 20, 8
	for range rounds {
		res, _ := s.call("GET", "/v1/services/api", "")
		tag := res.Header.Get("ETag")
		statuses := make(chan int, writers)
		var wg sync.WaitGroup
		for i := range writers {
			body := fmt.Sprintf(`{"blue":%d,"green":%d}`, 100-i, i)
			wg.Go(func() {
				res, _ := s.call("PUT", "/v1/services/api/weights", body, "If-Match: "+tag)
				statuses <- res.StatusCode
			})
		}
		wg.Wait()
		close(statuses)
		won := 0
		for status := range statuses {
			switch status {
			case http.StatusOK:
				won++
			case http.StatusPreconditionFailed:
			default:
				t.Errorf("status %d", status)
			}
		}
		if won != 1 {
			t.Fatalf("%d writers won", won)
		}
	}
}

func TestEveryWriteIsAudited(t *testing.T) {
	s := serve(t, admin.Options{})
	for _, c := range []struct {
		method, path, body, action, subject, before, after string
		done                                               bool
	}{
		{"PUT", "/v1/services/api/weights", `{"blue":75,"green":25}`, "set weights", "api", "blue=100 green=0", "blue=75 green=25", true},
		{"PUT", "/v1/services/api/weights", `{"blue":75,"green":20}`, "set weights", "api", "blue=75 green=25", "blue=75 green=20", false},
		{"DELETE", "/v1/services/api/weights", "", "reset weights", "api", "blue=75 green=25", "blue=100 green=0", true},
		{"POST", "/v1/reload", "", "reload", "", "generation 1", "generation 2", true},
		{"POST", "/v1/logs/reopen", "", "reopen logs", "", "", "", true},
		{"POST", "/v1/stop?now", "", "stop", "", "running", "stopping, now", true},
	} {
		s.call(c.method, c.path, c.body, "Weir-Operator: ann\x09@desk")
		entries := s.audit.TakeAll()
		if len(entries) != 1 {
			t.Fatalf("%s %s: %d entries", c.method, c.path, len(entries))
		}
		e, got := entries[0], entries[0].ContextMap()
		if e.LoggerName != "audit" || (e.Message == "write done") != c.done {
			t.Errorf("%s: logger %q, message %q", c.action, e.LoggerName, e.Message)
		}
		for key, want := range map[string]string{
			"event.action": c.action, "weir.audit.subject": c.subject, "weir.audit.before": c.before, "weir.audit.after": c.after, "user.name": "ann@desk (127.0.0.1)",
			"event.outcome": map[bool]string{true: "success", false: "failure"}[c.done],
		} {
			if got[key] != want {
				t.Errorf("%s: %s is %q, want %q", c.action, key, got[key], want)
			}
		}
		if peer, _ := got["source.address"].(string); !strings.HasPrefix(peer, "127.0.0.1:") {
			t.Errorf("%s: peer %q", c.action, peer)
		}
	}
	s.call("GET", "/v1/status", "")
	s.call("POST", "/v1/explain", `{"url":"http://h/"}`)
	if n := s.audit.Len(); n != 0 {
		t.Errorf("reads left %d entries", n)
	}
}

func TestOverlayRemembersWho(t *testing.T) {
	s := serve(t, admin.Options{})
	_, body := s.call("PUT", "/v1/services/api/weights", `{"blue":75,"green":25}`, "Weir-Operator: ann@desk")
	want := `"overlay":{"since":"2026-11-22T12:00:00Z","by":"ann@desk (127.0.0.1)","file_weights":{"blue":100,"green":0},"weights":{"blue":75,"green":25}}`
	if !strings.Contains(body, want) {
		t.Fatal(body)
	}
}

func TestCheckAcceptsExactlyFullSplits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 6).Draw(t, "groups")
		w, names, left := admin.Weights{}, []string{}, 10000
		for i := range n {
			part := left
			if i < n-1 {
				part = rapid.IntRange(0, left).Draw(t, "part")
			}
			name := fmt.Sprint("g", i)
			w[name], left = admin.Weight(part), left-part
			names = append(names, name)
		}
		if err := w.Check(names); err != nil {
			t.Fatalf("%s: %v", w, err)
		}
		body, err := json.Marshal(w)
		if err != nil {
			t.Fatal(err)
		}
		again, err := admin.ParseWeights(body)
		if err != nil || again.String() != w.String() {
			t.Fatalf("%s became %s (%v)", body, again, err)
		}
		victim := rapid.SampledFrom(names).Draw(t, "victim")
		w[victim]++
		if w.Check(names) == nil {
			t.Fatalf("%s accepted", w)
		}
		w[victim]--
		if w.Check(append(names, "extra")) == nil {
			t.Fatal("a group without a weight was accepted")
		}
	})
}

func FuzzParseWeights(f *testing.F) {
	for _, s := range []string{
		`{"blue":75,"green":25}`, `{}`, `{"a":1e2}`, `{"a":-0}`, `{"a":0.005}`, `{"a":1,"a":2}`, `{"a":[1]}`, `{"a":null}`,
		`{"\u0000":100}`, `{"a":100}{`, `{"a":100.00}`, `{"a":00100}`, "{\"\xff\":100}", `[`, ``, `{"a/b~":101}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		w, err := admin.ParseWeights(body)
		if err != nil {
			var invalid *admin.InvalidError
			var syntax *admin.SyntaxError
			if !errors.As(err, &invalid) && !errors.As(err, &syntax) {
				t.Fatalf("untyped error %v", err)
			}
			return
		}
		if !json.Valid(body) {
			t.Fatalf("accepted what is not JSON: %q", body)
		}
		for name, n := range w {
			if n > 100*admin.WeightOne {
				t.Fatalf("weight %s of %q", n, name)
			}
		}
		out, err := json.Marshal(w)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := admin.ParseWeights(out); err != nil || again.String() != w.String() {
			t.Fatalf("%s became %s (%v)", w, again, err)
		}
	})
}

func FuzzParseIfMatch(f *testing.F) {
	for _, s := range []string{`*`, `"a"`, `W/"a", "b"`, `"a",,"b"`, `a`, `"`, `"a" "b"`, ``, `,`, `*, "a"`} {
		f.Add(s, "a")
	}
	f.Fuzz(func(t *testing.T, line, version string) {
		p, err := admin.ParseIfMatch([]string{line})
		if err != nil {
			return
		}
		if p.Holds(version) && strings.TrimSpace(line) != "*" && !strings.Contains(line, `"`+version+`"`) {
			t.Fatalf("If-Match %q holds for %q", line, version)
		}
	})
}
