package show

import (
	"fmt"
	"io"
	"time"

	"github.com/valor-ivx/weir/proxy/admin"
)

// Rollout prints a rollout: where it is, what speaks against the group, and what is missing.
func Rollout(w io.Writer, service string, r admin.Rollout) {
	fmt.Fprintln(w, RolloutLine(service, r))
	if r.Reason != "" {
		fmt.Fprintf(w, "  %s\n", clean(r.Reason))
	}
	fmt.Fprintf(w, "  evidence %s, rolled back at %.0f; %.1f failed requests beyond the tolerated ones, rolled back beyond %d\n", evidence(r.Evidence), r.Threshold, r.Harm, r.MaxHarm)
	fmt.Fprintf(w, "  %s failed %d of %d requests, the other groups %d of %d\n", clean(r.To), r.Green.Failed, r.Green.Requests, r.Others.Failed, r.Others.Requests)
	if r.SlowP95 > 0 {
		fmt.Fprintf(w, "  slow from %s (p95) and %s (p99) on: %s %d and %d, the other groups %d and %d\n", time.Duration(r.SlowP95), time.Duration(r.SlowP99), clean(r.To),
			r.Green.Slow95, r.Green.Slow99, r.Others.Slow95, r.Others.Slow99)
	}
	if p := r.Prewarm; p != nil && p.Requests > 0 {
		fmt.Fprintf(w, "  warmed by %d requests for %d pages in %s, %d failed\n", p.Requests, p.Pages, time.Duration(p.Took).Round(time.Millisecond), p.Failed)
	}
	if r.Over() {
		return
	}
	if r.Leader != "" {
		fmt.Fprintf(w, "  decided by replica %s\n", clean(r.Leader))
	}
	if r.Pace == "evidence" && r.Next > 0 {
		fmt.Fprintf(w, "  next weight as things stand: %s %%\n", r.Next)
	}
	switch {
	case r.Needs > 0 && r.NeedsTime > 0:
		fmt.Fprintf(w, "  needs %d more requests of %s at this step, %s at this rate\n", r.Needs, clean(r.To), time.Duration(r.NeedsTime))
	case r.Needs > 0:
		fmt.Fprintf(w, "  needs %d more requests of %s at this step\n", r.Needs, clean(r.To))
	}
}

// RolloutMoment is where a rollout was at a moment that has passed.
func RolloutMoment(service string, r admin.Rollout) string {
	line := place(service, r)
	if r.Reason != "" {
		line += ": " + clean(r.Reason)
	}
	return line
}

// RolloutLine is a rollout in one line.
func RolloutLine(service string, r admin.Rollout) string {
	line := place(service, r)
	if !r.Over() {
		line += fmt.Sprintf(", %s of %s", time.Duration(r.Held).Truncate(time.Second), time.Duration(r.Hold))
	}
	return line + ", started by " + clean(r.By)
}

func place(service string, r admin.Rollout) string {
	of := fmt.Sprintf(" of %d", len(r.Steps))
	if r.Pace == "evidence" && !r.Over() {
		of = "" // that is found on the way
	}
	return fmt.Sprintf("service %s: rollout to %s %s, step %d%s, weight %s %%", clean(service), clean(r.To), clean(r.State), r.Step, of, r.Weight)
}

// evidence is read beside its threshold: as a number, not as a power of ten.
func evidence(e float64) string {
	switch {
	case e > 1e6:
		return "over 1000000"
	case e > 100:
		return fmt.Sprintf("%.0f", e)
	}
	return fmt.Sprintf("%.3g", e)
}
