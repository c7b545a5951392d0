package show

import (
	"fmt"
	"io"
	"strings"

	"github.com/valor-ivx/weir/proxy/admin"
)

// Request prints a request that has ended, in one line, in colours if somebody can see them.
func Request(w io.Writer, r *admin.RequestSummary, colours bool) error {
	status := fmt.Sprintf("%03d", r.Status)
	if colours {
		status = "\x1b[" + colourOf(r.Status) + "m" + status + "\x1b[0m"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %-4s %s%s", r.At.Local().Format("15:04:05.000"), status, orDash(r.Method), clean(r.Host), clean(r.Path))
	if r.Group != "" {
		fmt.Fprintf(&b, " → %s/%s %s", clean(r.Service), clean(r.Group), clean(r.Target))
	}
	if r.Attempts > 1 {
		fmt.Fprintf(&b, " (%d attempts)", r.Attempts)
	}
	fmt.Fprintf(&b, ", %s, %d B, from %s", millis(float64(r.DurationUS)/1000), r.BytesOut, clean(r.Client))
	if r.Reason != "" {
		fmt.Fprintf(&b, ", ended by weir: %s", clean(r.Reason))
	}
	fmt.Fprintf(&b, " | route %s: %s", clean(r.Route), clean(r.RouteWhy))
	if r.GroupWhy != "" {
		fmt.Fprintf(&b, " | group %s: %s", orDash(r.Group), clean(r.GroupWhy))
	}
	fmt.Fprintf(&b, " | id %s\n", orDash(r.RequestID))
	_, err := io.WriteString(w, b.String())
	return err
}

// PastRequest prints what became of a request, step by step, as Explanation does of one that may come.
func PastRequest(w io.Writer, r *admin.RequestSummary) {
	e := admin.Explanation{Outcome: fmt.Sprintf("%03d in %s, %d B", r.Status, millis(float64(r.DurationUS)/1000), r.BytesOut)}
	step := func(phase, decision, reason string) {
		e.Steps = append(e.Steps, admin.Step{Phase: phase, Decision: decision, Reason: reason})
	}
	step("begin", "client "+r.Client, fmt.Sprintf("%s %s%s by %s, listener %s, ended %s", r.Method, r.Host, r.Path, r.Proto, r.Listener, stamp(r.At)))
	step("begin", fmt.Sprintf("generation %d", r.Generation), "of the configuration that decided all this")
	step("match", "route "+r.Route, r.RouteWhy)
	if r.GroupWhy != "" {
		step("choose", "group "+orDash(r.Group), r.GroupWhy)
	}
	if r.Target != "" {
		step("forward", "target "+r.Target, fmt.Sprintf("%d attempts, head of the answer after %s", r.Attempts, millis(float64(r.HeadUS)/1000)))
	}
	if r.Reason != "" {
		e.Outcome += ", ended by weir: " + r.Reason
	}
	Explanation(w, e)
}

// colourOf is what a status looks like: red, yellow, cyan or green.
func colourOf(status int) string {
	switch {
	case status >= 500 || status < 100:
		return "31"
	case status >= 400:
		return "33"
	case status >= 300:
		return "36"
	}
	return "32"
}
