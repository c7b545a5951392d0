package compare

import (
	"context"
	"fmt"
	"math"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/valor-ivx/weir/cmd/weirbench/internal/peer"
	"github.com/valor-ivx/weir/cmd/weirbench/internal/proc"
	"github.com/valor-ivx/weir/cmd/weirbench/internal/stat"
)

// Result is a whole run. Its JSON form is written beside the Markdown.
type Result struct {
	Date      time.Time         `json:"date"`
	Command   string            `json:"command"`
	Machine   proc.Machine      `json:"machine"`
	Versions  map[string]string `json:"versions"`
	Quick     bool              `json:"quick"`
	Rounds    int               `json:"rounds"`
	LoadStart string            `json:"loadavg_start"`
	LoadEnd   string            `json:"loadavg_end"`
	Notes     []string          `json:"notes"`
	Failures  int               `json:"failed_trials"`
	Proxies   []peer.Name       `json:"proxies"` // in the order of a round
	Rows      []*Row            `json:"rows"`
	Earlier   []Earlier         `json:"earlier,omitempty"` // where rows of other runs come from
}

// Row is one figure of one scenario. Values hold one entry a round, null where a trial gave none.
type Row struct {
	Scenario string `json:"scenario"`
	What     string `json:"what"`
	Figure
	Values  map[peer.Name][]Value `json:"values"`
	Median  map[peer.Name]Value   `json:"median"`
	Ratio   map[peer.Name]Value   `json:"weir_ratio"` // weir ÷ peer, median of the rounds' ratios
	Verdict Verdict               `json:"verdict"`
}

// Value is a float whose NaN ("no figure") is null in JSON.
type Value float64

// NewRow makes a judged row of values round by round, NaN where there is none.
func NewRow(f Figure, rounds map[peer.Name][]float64) *Row {
	w := &Row{Figure: f, Values: make(map[peer.Name][]Value)}
	for n, values := range rounds {
		for _, v := range values {
			w.add(n, v)
		}
	}
	w.judge()
	return w
}

// MarshalJSON implements json.Marshaler.
func (v Value) MarshalJSON() ([]byte, error) {
	if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
		return []byte("null"), nil
	}
	return fmt.Appendf(nil, "%.6g", float64(v)), nil
}

// Verdict is what the issues' demands say about a row.
type Verdict string

// The verdicts.
const (
	Pass      Verdict = "pass"
	Fail      Verdict = "fail"
	NoDemand  Verdict = "no demand"
	Unknown   Verdict = "not measured"
	NotJudged Verdict = "quick, not judged"
)

func newResult(ctx context.Context, o Options) *Result {
	r := &Result{
		Date: time.Now().UTC(), Command: o.Command, Machine: proc.ThisMachine(), Quick: o.Quick, Rounds: o.Rounds,
		Versions: make(map[string]string), Notes: []string{}, Proxies: o.Proxies,
	}
	r.LoadStart = loadAverage()
	if o.ProxyCore == proc.AnyCore {
		r.Notes = append(r.Notes, "nothing is pinned: the machine has a single core")
	}
	for name, args := range map[string][]string{"nginx": {"-v"}, "haproxy": {"-v"}, "wrk": {"-v"}, "h2load": {"--version"}, "weir": {"version"}} {
		if path, err := peer.Binary(peer.Name(name), o.Weir); err == nil {
			r.Versions[name] = version(ctx, path, args)
		}
	}
	return r
}

// version is the first line a program says about itself; wrk says it with exit code 1.
func version(ctx context.Context, path string, args []string) string {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, path, args...).CombinedOutput()
	line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	if line == "" && err != nil {
		return err.Error()
	}
	return line
}

func loadAverage() string {
	load, err := proc.LoadAverage()
	if err != nil {
		return err.Error()
	}
	return load
}

func (r *Result) missing(err error) {
	r.Notes = append(r.Notes, "missing: "+err.Error())
}

func (r *Result) failure(label string, err error) {
	r.Failures++
	r.Notes = append(r.Notes, "failed: "+label+": "+err.Error())
}

// add appends the scenario's rows, empty.
func (r *Result) add(s scenario) []*Row {
	var rows []*Row
	for _, f := range s.figures {
		rows = append(rows, &Row{Scenario: s.name, What: s.what, Figure: f, Values: make(map[peer.Name][]Value)})
	}
	r.Rows = append(r.Rows, rows...)
	return rows
}

func (w *Row) add(n peer.Name, v float64) {
	w.Values[n] = append(w.Values[n], Value(v))
}

func (r *Result) finish() {
	r.LoadEnd = loadAverage()
	for _, w := range r.Rows {
		w.judge()
		if r.Quick && w.Verdict != NoDemand {
			w.Verdict = NotJudged
		}
	}
}

// judge fills in what follows from the rounds' values.
func (w *Row) judge() {
	w.Median, w.Ratio = make(map[peer.Name]Value), make(map[peer.Name]Value)
	weir := floats(w.Values[peer.Weir])
	for n, values := range w.Values {
		w.Median[n] = Value(stat.Median(floats(values)))
		if w.Worst {
			w.Median[n] = Value(slices.Max(floats(values))) // NaN wins: a failed trial is no "0 errors"
		}
		if n != peer.Weir && len(weir) > 0 {
			w.Ratio[n] = Value(stat.Median(stat.Ratios(weir, floats(values))))
		}
	}
	w.Verdict = w.verdict()
}

// verdict: a demand that was not met fails the row whatever else is missing.
func (w *Row) verdict() Verdict {
	if w.Max == nil && len(w.MaxRatio) == 0 {
		return NoDemand
	}
	found := Pass
	check := func(v Value, known bool, max float64) {
		switch {
		case !known || math.IsNaN(float64(v)):
			if found == Pass {
				found = Unknown
			}
		case float64(v) > max:
			found = Fail
		}
	}
	if w.Max != nil {
		v, known := w.Median[peer.Weir]
		check(v, known, *w.Max)
	}
	for n, max := range w.MaxRatio {
		v, known := w.Ratio[n]
		check(v, known, max)
	}
	return found
}

func floats(values []Value) []float64 {
	out := make([]float64, len(values))
	for i, v := range values {
		out[i] = float64(v)
	}
	return out
}
