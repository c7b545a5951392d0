package show

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/valor-ivx/weir/proxy/admin"
)

// Incidents prints one line for each.
func Incidents(w io.Writer, list []admin.IncidentSummary) {
	if len(list) == 0 {
		fmt.Fprintln(w, "no incidents: no rollout was rolled back by itself")
		return
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ID\tSERVICE\tTO\tCAUSE\tREASON")
	for _, i := range list {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", clean(i.ID), clean(i.Service), clean(i.To), clean(i.Cause), clean(i.Reason))
	}
	_ = t.Flush()
}

// Incident prints one as Markdown. What clients sent is in code spans, which nothing in it ends.
func Incident(w io.Writer, i *admin.Incident) {
	r := &i.Rollout
	fmt.Fprintf(w, "## Rollback of %s in service %s, %s\n\n", clean(i.To), clean(i.Service), i.At.UTC().Format(time.RFC3339))
	fmt.Fprintf(w, "%s: %s. Step %d of %d, harm %g of %g, started by %s. weir %s, generation %d, configuration %s.\n", clean(i.Cause), clean(i.Reason), r.Step, len(r.Steps), r.Harm,
		float64(r.MaxHarm), clean(r.By), clean(i.Version), i.Generation, clean(i.Config))
	fmt.Fprintf(w, "\n### Evidence\n\nThe threshold is %s; %s had %d requests and failed %d, the others %d and %d.\n\n| after | weight | requests | failed | evidence |\n|---|---|---|---|---|\n",
		evidence(r.Threshold), clean(i.To), r.Green.Requests, r.Green.Failed, r.Others.Requests, r.Others.Failed)
	for _, p := range thinned(r.Curve) {
		fmt.Fprintf(w, "| %s | %s %% | %d | %d | 10^%.2f |\n", p.At.Sub(r.Started).Round(100*time.Millisecond), p.Weight, p.Requests, p.Failed, p.EvidenceLog)
	}
	fmt.Fprintln(w, "\n### Changed since the last promotion, or since weir started")
	fmt.Fprintln(w)
	for _, c := range i.Changed {
		fmt.Fprintf(w, "- %s\n", span(c))
	}
	if len(i.Changed) == 0 {
		fmt.Fprintln(w, "Nothing in the configuration.")
	}
	samples(w, "Failed requests of "+clean(i.To), i.Failed)
	samples(w, "Slow requests of "+clean(i.To), i.Slow)
	samples(w, "Requests of the same routes to the others", i.Others)
	fmt.Fprint(w, "\n### Targets\n\n| group | target | state | in flight | last error |\n|---|---|---|---|---|\n")
	for _, g := range i.State.Groups {
		for _, t := range g.Targets {
			fmt.Fprintf(w, "| %s | %s | %s | %d | %s |\n", clean(g.Name), clean(t.Address), clean(t.State), t.InFlight, span(t.LastError))
		}
	}
}

// thinned is a curve of 25 points at most, its ends among them.
func thinned(curve []admin.RolloutPoint) (list []admin.RolloutPoint) {
	const most = 24
	step := max(1, (len(curve)+most-1)/most)
	for k := 0; k < len(curve); k += step {
		list = append(list, curve[k])
	}
	if n := len(curve); n > 0 && (n-1)%step != 0 {
		list = append(list, curve[n-1])
	}
	return list
}

func samples(w io.Writer, title string, list []admin.RequestSummary) {
	if len(list) == 0 {
		return
	}
	fmt.Fprintf(w, "\n### %s\n\n| at | request | status | reason | group, target | took | request id |\n|---|---|---|---|---|---|---|\n", title)
	for _, r := range list {
		fmt.Fprintf(w, "| %s | %s | %d | %s | %s %s | %s | %s |\n", r.At.UTC().Format("15:04:05.000"), span(r.Method+" "+r.Host+r.Path), r.Status, clean(r.Reason), clean(r.Group), clean(r.Target),
			(time.Duration(r.DurationUS) * time.Microsecond).Round(10*time.Microsecond), span(r.RequestID))
	}
}

// span is a client's text as a code span of a table's cell: it has neither the character that ends the one nor that which ends the other.
func span(s string) string {
	if s == "" {
		return ""
	}
	return "`" + strings.NewReplacer("`", "'", "|", "¦").Replace(clean(s)) + "`"
}
