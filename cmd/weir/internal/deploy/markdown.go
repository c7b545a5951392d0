package deploy

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/valor-ivx/weir/proxy/admin"
)

// Markdown prints the verdict as evidence for a pull request.
func (v *Verdict) Markdown(w io.Writer) {
	fmt.Fprintf(w, "## Deploy of %s to service %s: %s\n\n", plainText(v.To), plainText(v.Service), strings.ReplaceAll(v.Word, "_", " "))
	if v.Reason != "" {
		fmt.Fprintf(w, "%s\n\n", plainText(v.Reason))
	}
	fmt.Fprintf(w, "- Targets: %s\n", plainText(orNone(v.Targets)))
	if v.Started != nil {
		fmt.Fprintf(w, "- Started %s by %s", v.Started.UTC().Format(time.RFC3339), plainText(v.By))
		if v.Ended != nil {
			fmt.Fprintf(w, ", ended %s", v.Ended.UTC().Format(time.RFC3339))
		}
		fmt.Fprintf(w, " (%s)\n", duration(v.Seconds))
	}
	if v.Weights != nil {
		fmt.Fprintf(w, "- Weights in force now: %s\n", plainText(v.Weights.String()))
	}
	fmt.Fprintf(w, "- Exit code: %d\n", v.ExitCode)
	if v.Started != nil {
		v.tables(w)
	}
	fmt.Fprintf(w, "\nTo repeat it:\n\n    %s\n", strings.ReplaceAll(v.Command, "\n", " "))
}

func (v *Verdict) tables(w io.Writer) {
	fmt.Fprintf(w, "\n| step | from | for | requests | failed | others' requests | others' failed |\n|---|---|---|---|---|---|---|\n")
	for _, s := range v.Steps {
		fmt.Fprintf(w, "| %s %% | %s | %s | %d | %d | %d | %d |\n", s.Weight, s.Started.UTC().Format("15:04:05"), duration(s.Seconds), s.Group.Requests, s.Group.Failed, s.Others.Requests,
			s.Others.Failed)
	}
	fmt.Fprintf(w, "\n| | %s | other groups |\n|---|---|---|\n", plainText(v.To))
	row := func(name string, of func(admin.RolloutCount) uint64) {
		fmt.Fprintf(w, "| %s | %s | %s |\n", name, part(of(v.Group), v.Group.Requests), part(of(v.Others), v.Others.Requests))
	}
	fmt.Fprintf(w, "| requests | %d | %d |\n", v.Group.Requests, v.Others.Requests)
	row("failed", func(c admin.RolloutCount) uint64 { return c.Failed })
	row("counted as bad, at most one for each client and second", func(c admin.RolloutCount) uint64 { return c.Errors })
	if v.SlowP95MS > 0 {
		row(fmt.Sprintf("slower than %.4g ms, the others' 95th percentile", v.SlowP95MS), func(c admin.RolloutCount) uint64 { return c.Slow95 })
		row(fmt.Sprintf("slower than %.4g ms, the others' 99th percentile", v.SlowP99MS), func(c admin.RolloutCount) uint64 { return c.Slow99 })
	} else {
		fmt.Fprintf(w, "\nLatency was not compared: the other groups answered too few requests for that, or it is switched off.\n")
	}
	fmt.Fprintf(w, "\nEvidence against %s: %.3g, rolled back at %.0f. Harm done: %.1f failed requests beyond the tolerated ones, rolled back beyond %d.\n", plainText(v.To), v.Evidence, v.Threshold,
		v.Harm, v.MaxHarm)
}

// part is a number and what it is of the whole.
func part(n, of uint64) string {
	if of == 0 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%d (%.2f %%)", n, 100*float64(n)/float64(of))
}

// plainText keeps what came from elsewhere from being Markdown or HTML.
func plainText(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case strings.ContainsRune("\\`*_[]<>|#~&", r):
			b.WriteByte('\\')
		case r < ' ' || r == 0x7f:
			r = ' '
		}
		b.WriteRune(r)
	}
	return b.String()
}
