package server

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/valor-ivx/weir/proxy/limit"
	"github.com/valor-ivx/weir/proxy/observe"
)

// TestRecall: a memory that cannot be read is no reason not to serve. What it was is said, and everything begins anew; one that can be read is gone on with, however the clock was set meanwhile.
func TestRecall(t *testing.T) {
	u := newUnsure(t)
	o := limit.Options{Name: "few", Rate: 1e-6, Burst: 2}
	taken := func() bool {
		t.Helper()
		l := u.limits.Acquire(o)
		return limit.Take([]limit.Check{{Limit: l, Key: l.Key([]byte("somebody"))}}, time.Now()).Refused
	}
	for i, want := range []bool{false, false, true} {
		if taken() != want {
			t.Fatalf("request %d of two", i)
		}
	}
	memory, err := u.remember()
	if err != nil {
		t.Fatal(err)
	}
	edited := func(from, to string) json.RawMessage {
		t.Helper()
		if !strings.Contains(string(memory), from) {
			t.Fatalf("%s has no %s", memory, from)
		}
		return json.RawMessage(strings.Replace(string(memory), from, to, 1))
	}
	check := string(regexp.MustCompile(`"check":\d+`).Find(memory))
	at, _, _ := strings.Cut(string(memory[bytes.Index(memory, []byte(`"at":"`))+6:]), `"`)
	for _, c := range []struct {
		name  string
		text  json.RawMessage
		says  string
		limit bool
	}{
		{"none", nil, "has left no memory", false},
		{"nonsense", json.RawMessage(`[1]`), "cannot be read: limits, ejections and latencies begin anew", false},
		{"another version", edited(`"version":1`, `"version":2`), "it is of version 2, not 1", false},
		{"another form", edited(`"buckets":"`, `"buckets":"!`), "cannot be read", false},
		{"another secret", edited(check, `"check":1`), "limits begin anew", false},
		{"ours", memory, `"weir.limit_keys":1`, true},
		{"of last year", edited(at, "2020-01-01T00:00:00Z"), `"weir.limit_keys":1`, true},
		{"of next year", edited(at, "2099-01-01T00:00:00Z"), `"weir.limit_keys":1`, true},
	} {
		var said bytes.Buffer
		u.log = observe.NewLogger(observe.LoggerOptions{Level: u.level, Output: &said})
		u.limits = limit.NewRegistryUnder(u.limitsKey(), 100)
		u.limits.Acquire(o)
		u.recall(c.text)
		if !strings.Contains(said.String(), c.says) {
			t.Errorf("%s: said %s", c.name, said.String())
		}
		if taken() != c.limit {
			t.Errorf("%s: limited %v", c.name, !c.limit)
		}
	}
}
