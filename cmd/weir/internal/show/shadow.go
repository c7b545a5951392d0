package show

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/valor-ivx/weir/proxy/admin"
)

// Shadow prints what a shadow has found: what was compared, and the first rows of where answers differ, each with its latest sample.
func Shadow(w io.Writer, service string, s admin.Shadow, rows int) {
	fmt.Fprintf(w, "service %s: %s %% asked again of %s, compared with %s, at most %s: %s\n", clean(service), s.Share, clean(s.To), clean(s.From), clean(s.Rate), shadowState(s.State, s.Reason))
	fmt.Fprintf(w, "since %s: %d compared, %d of them differing", stamp(s.Since), s.Compared, s.Differing)
	for _, r := range []struct{ result, words string }{
		{"failed", "not answered by " + s.From}, {"large", "too large"}, {"private", "with credentials"}, {"limited", "beyond the rate"},
		{"dropped", "dropped"}, {"busy", "while busy"}, {"unhealthy", "while unhealthy"},
	} {
		if n := s.Results[r.result]; n > 0 {
			fmt.Fprintf(w, ", %d %s", n, clean(r.words))
		}
	}
	fmt.Fprintln(w)
	if len(s.Differences) == 0 {
		return
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "VERDICT\tDIFFERING\tNOISE\tCOMPARED\tENDPOINT\tWHERE\t%s → %s\n", clean(s.From), clean(s.To))
	for _, d := range s.Differences[:min(rows, len(s.Differences))] {
		sample := "-"
		if n := len(d.Samples); n > 0 {
			sample = clean(d.Samples[n-1].From) + " → " + clean(d.Samples[n-1].To)
		}
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%s\t%s\t%s\n", clean(d.Verdict), d.Differing, d.Noise, d.Compared, clean(d.Endpoint), clean(d.Where), sample)
	}
	_ = t.Flush()
	if more := len(s.Differences) - rows; more > 0 {
		fmt.Fprintf(w, "and %d more: --all\n", more)
	}
}

func shadowState(state, reason string) string {
	if reason == "" {
		return clean(state)
	}
	return clean(state) + ", because " + clean(reason)
}

// shadow prints that a service is compared, in its status.
func shadow(w io.Writer, s admin.Service) {
	if b := s.Shadow; b != nil {
		fmt.Fprintf(w, "service %s: shadow of %s asks %s %s %%, %s: %d compared, %d differing, in %d places beyond noise\n", clean(s.Name), clean(b.From), clean(b.To), b.Share,
			shadowState(b.State, b.Reason), b.Compared, b.Differing, b.Places)
	}
}
