package compare

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/valor-ivx/weir/cmd/weirbench/internal/peer"
)

// The marks between which a document's table is replaced; the text around them is the author's.
const (
	beginMark = "<!-- weirbench compare: begin -->"
	endMark   = "<!-- weirbench compare: end -->"
)

// Write puts the report into the Markdown file, between its marks or at its end, and the figures
// into the JSON file beside it. Both are replaced whole or not at all. Rows of scenarios that this run did not measure stay.
func (r *Result) Write(path string) error {
	beside := strings.TrimSuffix(path, filepath.Ext(path)) + ".json"
	before, err := readResult(beside)
	if err != nil {
		return err
	}
	if before != nil {
		if err := r.keep(before); err != nil {
			return err
		}
	}
	old, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		old, err = []byte("# Benchmarks\n"), nil
	}
	if err != nil {
		return fmt.Errorf("read report: %w", err)
	}
	text, err := Insert(old, r.Markdown())
	if err != nil {
		return fmt.Errorf("write report %s: %w", path, err)
	}
	figures, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encode figures: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	if err := replace(beside, append(figures, '\n')); err != nil {
		return err
	}
	return replace(path, text)
}

// Insert returns the document with the fragment between its marks, which are added at the end if it
// has none. One mark without the other, or in the wrong order, is an error.
func Insert(doc []byte, fragment string) ([]byte, error) {
	section := beginMark + "\n" + strings.TrimSpace(fragment) + "\n" + endMark + "\n"
	begin, end := bytes.Index(doc, []byte(beginMark)), bytes.Index(doc, []byte(endMark))
	switch {
	case begin < 0 && end < 0:
		head := bytes.TrimRight(doc, "\n")
		if len(head) > 0 {
			head = append(bytes.Clone(head), "\n\n"...)
		}
		return append(head, section...), nil
	case begin < 0 || end < begin:
		return nil, errors.New("find marks: begin and end do not pair up")
	}
	rest := bytes.TrimPrefix(doc[end+len(endMark):], []byte("\n"))
	return bytes.Join([][]byte{doc[:begin], []byte(section), rest}, nil), nil
}

func replace(path string, text []byte) error {
	temp := path + ".new"
	if err := os.WriteFile(temp, text, 0o644); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	if err := os.Rename(temp, path); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

// Markdown is the report.
func (r *Result) Markdown() string {
	var b strings.Builder
	r.head(&b)
	r.earlier(&b)
	r.table(&b)
	r.rounds(&b)
	if len(r.Notes) > 0 {
		b.WriteString("\nNotes:\n\n")
		for _, n := range r.Notes {
			fmt.Fprintf(&b, "- %s\n", strings.Join(strings.Fields(n), " "))
		}
	}
	return b.String()
}

func (r *Result) head(b *strings.Builder) {
	fmt.Fprintf(b, "Measured %s with `%s`.\n\n", r.Date.Format("2006-01-02 15:04 UTC"), r.Command)
	if r.Quick {
		b.WriteString("**A quick run: short windows, few connections. It shows that the bench works, not how fast anything is.**\n\n")
	}
	fmt.Fprintf(b, "Machine: %s, %d cores, Linux %s, %s. Load average (/proc/loadavg) at the start %s, at the end %s; "+
		"when it is above 2 at the start, others were using the machine: trust ratios, not absolute values.\n",
		r.Machine.CPU, r.Machine.Cores, r.Machine.Kernel, r.Machine.Arch, r.LoadStart, r.LoadEnd)
	for _, n := range []string{"nginx", "haproxy", "weir", "wrk", "h2load"} {
		if v := r.Versions[n]; v != "" {
			fmt.Fprintf(b, "%s: %s. ", n, strings.TrimRight(v, ". "))
		}
	}
	fmt.Fprintf(b, "\n\nEach proxy alone on one core, origin and load on another, %d interleaved rounds; a figure is the rounds' "+
		"median (errors: the worst round), a ratio the median of the ratios inside each round. CPU is user and system time of the "+
		"proxy's process tree while the window was open, divided by what was done in it. Latencies run from when a request was due.\n\n", r.Rounds)
}

func (r *Result) table(b *strings.Builder) {
	b.WriteString("| scenario | figure |")
	rule := "|---|---|"
	for _, n := range r.Proxies {
		fmt.Fprintf(b, " %s |", n.Title())
		rule += "---:|"
	}
	for _, n := range r.others() {
		fmt.Fprintf(b, " weir ÷ %s |", n.Title())
		rule += "---:|"
	}
	b.WriteString(" demand (issue) | verdict |\n" + rule + "---|---|\n")
	for _, w := range r.Rows {
		fmt.Fprintf(b, "| `%s` | %s, %s |", w.Scenario, w.Name, w.Unit)
		for _, n := range r.Proxies {
			fmt.Fprintf(b, " %s |", cell(w.Median, n))
		}
		for _, n := range r.others() {
			fmt.Fprintf(b, " %s |", cell(w.Ratio, n))
		}
		fmt.Fprintf(b, " %s | %s |\n", w.demand(), w.shown())
	}
	b.WriteString("\nScenarios:")
	last := ""
	for _, w := range r.Rows {
		if w.Scenario != last {
			fmt.Fprintf(b, " `%s` %s.", w.Scenario, w.What)
		}
		last = w.Scenario
	}
	b.WriteString("\n")
}

// others are the proxies that weir is compared with.
func (r *Result) others() []peer.Name {
	return slices.DeleteFunc(slices.Clone(r.Proxies), func(n peer.Name) bool { return n == peer.Weir })
}

// rounds is every single value: a reader can see the noise.
func (r *Result) rounds(b *strings.Builder) {
	b.WriteString("\n<details><summary>Every round</summary>\n\n| scenario | figure |")
	rule := "|---|---|"
	for _, n := range r.Proxies {
		fmt.Fprintf(b, " %s |", n.Title())
		rule += "---|"
	}
	b.WriteString("\n" + rule + "\n")
	for _, w := range r.Rows {
		fmt.Fprintf(b, "| `%s` | %s |", w.Scenario, w.Name)
		for _, n := range r.Proxies {
			var parts []string
			for _, v := range w.Values[n] {
				parts = append(parts, number(float64(v)))
			}
			fmt.Fprintf(b, " %s |", strings.Join(parts, " · "))
		}
		b.WriteString("\n")
	}
	b.WriteString("\n</details>\n")
}

func (w *Row) demand() string {
	var parts []string
	if w.Max != nil {
		parts = append(parts, fmt.Sprintf("≤ %s %s", number(*w.Max), w.Unit))
	}
	for _, n := range []peer.Name{peer.Nginx, peer.HAProxy, peer.GoStd} {
		if max, ok := w.MaxRatio[n]; ok {
			parts = append(parts, fmt.Sprintf("≤ %.2f × %s", max, n.Title()))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return fmt.Sprintf("%s (%s)", strings.Join(parts, ", "), w.Issue)
}

func (w *Row) shown() string {
	switch w.Verdict {
	case NoDemand:
		return ""
	case Fail:
		return "**fail**"
	default:
		return string(w.Verdict)
	}
}

func cell(values map[peer.Name]Value, n peer.Name) string {
	v, ok := values[n]
	if !ok {
		return "–"
	}
	return number(float64(v))
}

// number shows three digits that matter, and whole numbers as such.
func number(v float64) string {
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return "–"
	case v == math.Trunc(v) && math.Abs(v) < 1e6, math.Abs(v) >= 100:
		return fmt.Sprintf("%.0f", v)
	case math.Abs(v) >= 10:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.2f", v)
	}
}
