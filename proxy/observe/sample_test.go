package observe_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/valor-ivx/weir/proxy/observe"
)

// usual is an exchange that nobody will look for.
func usual() observe.Entry {
	e := ordinary()
	e.Reason = ""
	return e
}

// sampled returns the lines of entries and how many were left out.
func sampled(t *testing.T, format observe.Format, rate float64, entries []observe.Entry) (lines []string, left int) {
	t.Helper()
	var out bytes.Buffer
	sink, err := observe.NewSink(observe.SinkOptions{Output: &out, Limit: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	log := observe.NewAccessLog(format, sink).Sampled(observe.Sampling{Rate: rate, Slow: time.Second, OnLeftOut: func() { left++ }})
	for i := range entries {
		log.Log(&entries[i])
	}
	if err := sink.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(out.String()) {
		lines = append(lines, line)
	}
	return lines, left
}

// The share of what is written is the rate, each such line says so, and dividing by it gives back how many there were.
func TestSampledLinesCanBeCounted(t *testing.T) {
	const n = 100_000
	entries := make([]observe.Entry, n)
	for i := range entries {
		entries[i] = usual()
	}
	lines, left := sampled(t, observe.JSON, 0.1, entries)
	// 10,000 are expected, ±95 is one standard deviation: eight of them are met once in 10¹⁵ runs.
	if got := len(lines); got+left != n || got < 9240 || got > 10760 {
		t.Fatalf("%d lines and %d left out of %d", got, left, n)
	}
	for _, line := range lines {
		var one map[string]any
		if err := json.Unmarshal([]byte(line), &one); err != nil || one["weir.sample_rate"] != 0.1 {
			t.Fatalf("%v: weir.sample_rate is %v in %s", err, one["weir.sample_rate"], line)
		}
	}
	p, err := observe.ReadPast([]byte(lines[0]))
	if err != nil || p.SampleRate != 0.1 {
		t.Errorf("read back: %+v %v", p, err)
	}
}

func TestWhatSomebodyWillLookForIsNeverLeftOut(t *testing.T) {
	for what, change := range map[string]func(e *observe.Entry){
		"400":            func(e *observe.Entry) { e.Status = 400 },
		"499":            func(e *observe.Entry) { e.Status = 499 },
		"500":            func(e *observe.Entry) { e.Status = 500 },
		"no status":      func(e *observe.Entry) { e.Status = 0 },
		"slow":           func(e *observe.Entry) { e.Duration = time.Second },
		"tried again":    func(e *observe.Entry) { e.Attempts = 2 },
		"broken off":     func(e *observe.Entry) { e.Reason = "client_write_timeout" },
		"upstream error": func(e *observe.Entry) { e.Error = "tls: bad certificate" },
		"firewall":       func(e *observe.Entry) { e.WAFRules = "942100" },
		"gRPC":           func(e *observe.Entry) { e.GRPCStatus = "UNAVAILABLE" },
	} {
		e := usual()
		change(&e)
		for _, format := range []observe.Format{observe.JSON, observe.Combined} {
			lines, left := sampled(t, format, 0, []observe.Entry{e})
			if want := logged(t, format, e); len(lines) != 1 || left != 0 || lines[0] != want {
				t.Errorf("%s: lines %q, %d left out, want the one of a log that leaves nothing out, %q", what, lines, left, want)
			}
		}
	}
	plain := usual()
	call := usual()
	call.GRPCStatus = "OK"
	for _, e := range []observe.Entry{plain, call} {
		if lines, left := sampled(t, observe.JSON, 0, []observe.Entry{e}); len(lines) != 0 || left != 1 {
			t.Errorf("an ordinary exchange at rate 0: lines %q, %d left out", lines, left)
		}
		want := logged(t, observe.JSON, e)
		if lines, left := sampled(t, observe.JSON, 1, []observe.Entry{e}); len(lines) != 1 || left != 0 || lines[0] != want {
			t.Errorf("at rate 1: lines %q, %d left out, want %q", lines, left, want)
		}
	}
	// The combined form stays nginx's, byte for byte: no rate in it.
	lines, _ := sampled(t, observe.Combined, 0.999999, []observe.Entry{plain, plain, plain})
	for _, line := range lines {
		if want := logged(t, observe.Combined, plain); line != want {
			t.Errorf("line %q, want %q", line, want)
		}
	}
	var off *observe.AccessLog
	off.Sampled(observe.Sampling{Rate: 0.5}).Log(&plain) // access = "off"
}

func TestSamplingAllocatesNothing(t *testing.T) {
	sink := openSink(t, observe.SinkOptions{Output: io.Discard})
	log := observe.NewAccessLog(observe.JSON, sink).Sampled(observe.Sampling{Rate: 0.5, Slow: time.Second, OnLeftOut: func() {}})
	e := usual()
	if n := testing.AllocsPerRun(5000, func() { log.Log(&e) }); n != 0 {
		t.Errorf("%v allocations a line", n)
	}
}

// The audit log is neither sampled nor silenced: of a thousand equal lines in a second a thousand are there, below every level.
func TestAuditLeavesNothingOut(t *testing.T) {
	var out bytes.Buffer
	log := observe.NewAudit(&out)
	for i := range 1000 {
		log.Debug("write done", observe.Err(fmt.Errorf("%d", i)))
	}
	i := 0
	for line := range strings.Lines(out.String()) {
		var one map[string]any
		if err := json.Unmarshal([]byte(line), &one); err != nil {
			t.Fatal(err)
		}
		if one["error.message"] != fmt.Sprint(i) || one["event.dataset"] != "weir.audit" || one["log.logger"] != "audit" || one["message"] != "write done" {
			t.Fatalf("line %d: %s", i, line)
		}
		i++
	}
	if i != 1000 {
		t.Errorf("%d lines of 1000", i)
	}
}

// TestDefaultSensitiveKeysAreDocumented: whoever asks what is hidden by default finds it in the manual.
func TestDefaultSensitiveKeysAreDocumented(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	if want := "`" + strings.Join(observe.DefaultSensitiveKeys(), "`, `") + "`"; !strings.Contains(strings.Join(strings.Fields(string(page)), " "), want) {
		t.Errorf("docs/operations.md does not list %s", want)
	}
}
