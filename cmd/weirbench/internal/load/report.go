package load

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
	"github.com/tsenart/vegeta/v12/lib/plot"

	"github.com/valor-ivx/weir/cmd/weirbench/internal/proc"
)

// Report is one run. Its plot holds every hit until Write.
type Report struct {
	Options   Options
	Date      time.Time
	Machine   proc.Machine
	LoadStart string
	LoadEnd   string
	Capacity  float64 // good answers a second in the probe before an overload, else zero
	Steps     []StepReport
	plot      *plot.Plot
}

// StepReport is what happened in one step, by the time requests were sent.
type StepReport struct {
	Step    Step
	Metrics vegeta.Metrics
}

// Write puts report.md and plot.html into the folder, which it makes.
func (r *Report) Write(dir string) (err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "report.md"), []byte(r.Markdown()), 0o644); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	f, err := os.Create(filepath.Join(dir, "plot.html"))
	if err != nil {
		return fmt.Errorf("write plot: %w", err)
	}
	defer func() {
		if e := f.Close(); err == nil && e != nil {
			err = fmt.Errorf("write plot: %w", e)
		}
	}()
	r.plot.Close()
	if _, err := r.plot.WriteTo(f); err != nil {
		return fmt.Errorf("write plot: %w", err)
	}
	return nil
}

// Markdown is the report's text.
func (r *Report) Markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Load: %s\n\nMeasured %s with `%s` against %s.\n\n", r.Options.Profile,
		r.Date.Format("2006-01-02 15:04 UTC"), r.Options.Command, r.Options.Target)
	fmt.Fprintf(&b, "Machine: %s, %d cores, Linux %s. Load average at the start %s, at the end %s. The generator (vegeta) shares "+
		"the machine with the edge and its backends, so these latencies are an upper bound.\n\n", r.Machine.CPU, r.Machine.Cores, r.Machine.Kernel, r.LoadStart, r.LoadEnd)
	if r.Capacity > 0 {
		fmt.Fprintf(&b, "Capacity found by a closed loop of %d connections over %v: %.0f good answers/s. The overload asks for %.0f/s.\n\n",
			probeWorkers, probeFor, r.Capacity, r.Steps[0].Step.Rate)
	}
	b.WriteString("| step | asked /s | sent /s | good /s | requests | success | mean | p50 | p90 | p95 | p99 | max |\n" +
		"|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n")
	for _, s := range r.Steps {
		m, l := &s.Metrics, &s.Metrics.Latencies
		fmt.Fprintf(&b, "| %s, %v | %.0f | %.0f | %.0f | %d | %.2f %% | %s | %s | %s | %s | %s | %s |\n", s.Step.Name, s.Step.For, s.Step.Rate,
			m.Rate, m.Throughput, m.Requests, m.Success*100, ms(l.Mean), ms(l.P50), ms(l.P90), ms(l.P95), ms(l.P99), ms(l.Max))
	}
	b.WriteString("\nLatencies in milliseconds, from sending. Status codes (0: no answer):\n\n")
	for _, s := range r.Steps {
		fmt.Fprintf(&b, "- %s:", s.Step.Name)
		for _, code := range slices.Sorted(maps.Keys(s.Metrics.StatusCodes)) {
			fmt.Fprintf(&b, " %s × %d", code, s.Metrics.StatusCodes[code])
		}
		b.WriteString("\n")
	}
	r.errors(&b)
	b.WriteString("\nLatency over time: [plot.html](plot.html).\n")
	return b.String()
}

// errors lists distinct errors; each names a socket, so there may be thousands of kinds.
func (r *Report) errors(b *strings.Builder) {
	const most = 10
	for _, s := range r.Steps {
		all := s.Metrics.Errors
		if len(all) == 0 {
			continue
		}
		fmt.Fprintf(b, "\nErrors in %s (%d different):\n\n", s.Step.Name, len(all))
		for _, e := range all[:min(most, len(all))] {
			fmt.Fprintf(b, "- %s\n", strings.Join(strings.Fields(e), " "))
		}
	}
}

func ms(d time.Duration) string { return fmt.Sprintf("%.2f", float64(d)/float64(time.Millisecond)) }
