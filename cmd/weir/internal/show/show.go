// Package show prints what the admin API says for a person at a terminal. Scripts read --json instead; the
// layout here may change. Nothing from the network reaches the terminal with control characters in it.
package show

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/valor-ivx/weir/proxy/admin"
)

// Status prints the whole live state. now is for how long it has been running.
func Status(w io.Writer, s admin.Status, now time.Time) {
	fmt.Fprintf(w, "%s, pid %d, %s for %s, generation %d\n",
		clean(s.Version), s.PID, clean(s.State), now.Sub(s.StartedAt).Round(time.Second), s.Generation)
	fmt.Fprintf(w, "config %s, loaded %s\n", clean(s.Config.Path), stamp(s.Config.LoadedAt))
	for _, l := range s.Listeners {
		kind := strings.Join(l.Protocols, ", ")
		if l.TLS {
			kind = "tls, " + kind
		}
		fmt.Fprintf(w, "listener %s %s (%s), %d connections\n", clean(l.Name), clean(l.Address), clean(kind), l.Connections)
	}
	cluster(w, s.Cluster)
	for _, d := range s.Discovery {
		discovery(w, d)
	}
	if len(s.Services) > 0 {
		fmt.Fprintln(w)
		services(w, s.Services)
	}
	for _, sv := range s.Services {
		overlay(w, sv)
		marks(w, sv)
		if sv.Rollout != nil {
			Rollout(w, sv.Name, *sv.Rollout)
		}
		breaker(w, sv)
		shadow(w, sv)
	}
	if a := s.Config.LastReload; a != nil && !a.OK && a.Trigger == "revert" {
		fmt.Fprintf(w, "the last reload was taken back (%s):\n", stamp(a.At))
		Details(w, a.Errors)
	} else if a != nil && !a.OK {
		fmt.Fprintf(w, "last reload (%s, %s) was refused, the configuration before it is in force:\n", clean(a.Trigger), stamp(a.At))
		Details(w, a.Errors)
	}
	for _, text := range s.Warnings {
		fmt.Fprintf(w, "warning: %s\n", clean(text))
	}
}

func cluster(w io.Writer, c *admin.Cluster) {
	switch {
	case c == nil:
	case c.Up:
		fmt.Fprintf(w, "redis %s up since %s, %d replicas, this is %s, overlay revision %d\n", clean(c.Address), stamp(c.Since), c.Replicas, clean(c.Replica), c.Revision)
	default:
		fmt.Fprintf(w, "redis %s away since %s: %s\n", clean(c.Address), stamp(c.Since), clean(c.Error))
	}
}

func discovery(w io.Writer, d admin.Discovery) {
	fmt.Fprintf(w, "%s %d targets", clean(d.Source), d.Targets)
	if d.Draining > 0 {
		fmt.Fprintf(w, " (%d draining)", d.Draining)
	}
	if d.Up && d.AnsweredAt != nil {
		fmt.Fprintf(w, ", answered %s\n", stamp(*d.AnsweredAt))
		return
	}
	fmt.Fprintf(w, ", no answer since %s\n", stamp(d.Since))
}

// Service prints one service.
func Service(w io.Writer, s admin.Service) {
	services(w, []admin.Service{s})
	overlay(w, s)
	marks(w, s)
}

// Steered prints what an order has come to.
func Steered(w io.Writer, before, after admin.Service) {
	fmt.Fprintf(w, "service %s: %s → %s\n", clean(after.Name), clean(before.Posture()), clean(after.Posture()))
	overlay(w, after)
	marks(w, after)
}

// WeightsChange prints what a write of weights did, with the shares observed until then.
func WeightsChange(w io.Writer, before, after admin.Service) {
	fmt.Fprintf(w, "service %s: %s → %s\n", clean(after.Name), split(before), split(after))
	for _, g := range before.Groups {
		if g.ObservedShare != nil {
			fmt.Fprintf(w, "observed before: %s %s %% of %d\n", clean(g.Name), share(g), g.ObservedOf)
		}
	}
	overlay(w, after)
	marks(w, after)
}

// Reload prints what a reload changed.
func Reload(w io.Writer, r admin.ReloadResult) {
	if r.Unchanged {
		fmt.Fprintf(w, "unchanged: generation %d stays in force\n", r.Generation)
	} else {
		fmt.Fprintf(w, "generation %d in force\n", r.Generation)
		for _, c := range r.Changed {
			fmt.Fprintf(w, "  changed %s\n", clean(c))
		}
	}
	for _, d := range r.Warnings {
		fmt.Fprintf(w, "warning: %s\n", clean(d.String()))
	}
	if u := r.Unconfirmed; u != nil {
		fmt.Fprintf(w, "not confirmed: at %s the configuration of generation %d comes back, unless: weir reload confirm\n", u.Until.Local().Format(time.TimeOnly), u.Generation)
	}
}

// Plan prints what a reload would change and what traffic would notice.
func Plan(w io.Writer, p admin.Plan) {
	if p.Unchanged {
		fmt.Fprintf(w, "%s is what is in force (generation %d): a reload would do nothing\n", clean(p.Path), p.Generation)
		return
	}
	fmt.Fprintf(w, "%s against generation %d\n", clean(p.Path), p.Generation)
	for _, c := range p.Changed {
		fmt.Fprintf(w, "  changes %s\n", clean(c))
	}
	if len(p.Effects) == 0 {
		fmt.Fprintln(w, "traffic would notice nothing")
	} else {
		fmt.Fprintln(w, "traffic would notice")
	}
	for _, e := range p.Effects {
		fmt.Fprintf(w, "  %s: %s\n", clean(e.Subject), clean(e.Text))
	}
	for _, d := range p.Warnings {
		fmt.Fprintf(w, "warning: %s\n", clean(d.String()))
	}
}

// Certificates prints one line for each, and under it what is wrong and when it is tried again.
func Certificates(w io.Writer, list []admin.Certificate, now time.Time) {
	if len(list) == 0 {
		fmt.Fprintln(w, "no certificates")
		return
	}
	// What is wrong comes below the table: a long text would stretch its columns.
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "SUBJECT\tSTATE\tEXPIRES\tKEY\tISSUER\tSOURCE")
	for _, c := range list {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", clean(c.Subject), clean(c.State), expiry(c, now), orDash(c.KeyType), orDash(c.Issuer), clean(c.Source))
	}
	_ = t.Flush()
	for _, c := range list {
		if c.Error != "" {
			fmt.Fprintf(w, "%s: %s; next attempt %s\n", clean(c.Subject), clean(c.Error), stamp(c.NextAttempt))
		}
	}
}

func expiry(c admin.Certificate, now time.Time) string {
	if c.NotAfter.IsZero() {
		return "-"
	}
	left := c.NotAfter.Sub(now)
	if left < 48*time.Hour {
		return stamp(c.NotAfter)
	}
	return fmt.Sprintf("%s (%d days)", c.NotAfter.Local().Format(time.DateOnly), int(left.Hours()/24))
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return clean(s)
}

// Explanation prints the decisions in order.
func Explanation(w io.Writer, e admin.Explanation) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, s := range e.Steps {
		fmt.Fprintf(t, "%s\t%s\t%s\n", clean(s.Phase), clean(s.Decision), clean(s.Reason))
	}
	_ = t.Flush()
	fmt.Fprintf(w, "=> %s\n", clean(e.Outcome))
}

// Details prints FILE:LINE:COL: message lines.
func Details(w io.Writer, details []admin.Detail) {
	for _, d := range details {
		fmt.Fprintln(w, clean(d.String()))
	}
}

func services(w io.Writer, list []admin.Service) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "SERVICE\tGROUP\tWEIGHT\tOBSERVED\tSTATE\tTARGET\tHEALTH\tIN FLIGHT\tLATENCY")
	for _, s := range list {
		for i, g := range s.Groups {
			name := clean(s.Name)
			if i > 0 {
				name = ""
			}
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s", name, clean(g.Name), g.Weight, share(g), clean(g.State))
			for j, target := range g.Targets {
				if j > 0 {
					fmt.Fprint(t, "\t\t\t\t")
				}
				fmt.Fprintf(t, "\t%s\t%s\t%s\t%s\n", clean(target.Address), health(target), inFlight(target), latency(target))
			}
			if len(g.Targets) == 0 {
				fmt.Fprintln(t, "\t-\t\t\t")
			}
		}
	}
	_ = t.Flush()
}

// inFlight is the requests at a target, with what of them it works on and may where that is limited.
func inFlight(t admin.Target) string {
	if t.ConcurrencyLimit == 0 {
		return strconv.FormatInt(t.InFlight, 10)
	}
	return fmt.Sprintf("%d (%d of %d)", t.InFlight, t.Working, t.ConcurrencyLimit)
}

// breaker prints how full a service is, if it is bounded.
func breaker(w io.Writer, s admin.Service) {
	if b := s.Breaker; b != nil {
		fmt.Fprintf(w, "service %s: breaker %s, %d of %d requests in flight, %d of %d waiting\n", clean(s.Name), clean(b.State), b.InFlight, b.MaxRequests, b.Queued, b.MaxQueue)
	}
}

// overlay prints the line the contract promises while an overlay exists.
func overlay(w io.Writer, s admin.Service) {
	o := s.Overlay
	if o == nil {
		return
	}
	if o.Void != "" {
		fmt.Fprintf(w, "service %s: overlay of %s by %s is void: %s\n", clean(s.Name), stamp(o.Since), clean(o.By), clean(o.Void))
		return
	}
	names := s.Names()
	fmt.Fprintf(w, "service %s: file %s, overlay %s since %s by %s\n",
		clean(s.Name), slashed(o.FileWeights, names), slashed(o.Weights, names), stamp(o.Since), clean(o.By))
}

// marks print what operators have said beside weights.
func marks(w io.Writer, s admin.Service) {
	if p := s.Pause; p != nil {
		fmt.Fprintf(w, "service %s: paused since %s by %s, %d of %d requests waiting for up to %s\n", clean(s.Name), stamp(p.Since), clean(p.By), p.Waiting, p.MaxWaiting, clean(p.Timeout))
	}
	for _, g := range s.Groups {
		if m := g.Mark; m != nil {
			fmt.Fprintf(w, "service %s: group %s %s since %s by %s\n", clean(s.Name), clean(g.Name), clean(m.State), stamp(m.Since), clean(m.By))
		}
		for _, t := range g.Targets {
			if m := t.Mark; m != nil {
				fmt.Fprintf(w, "service %s: target %s of group %s %s since %s by %s\n", clean(s.Name), clean(t.Address), clean(g.Name), clean(m.State), stamp(m.Since), clean(m.By))
			}
		}
	}
}

func slashed(w admin.Weights, names []string) string {
	parts := make([]string, len(names))
	for i, n := range names {
		parts[i] = w[n].String()
	}
	return strings.Join(parts, "/")
}

func split(s admin.Service) string {
	parts := make([]string, len(s.Groups))
	for i, g := range s.Groups {
		parts[i] = clean(g.Name) + "=" + g.Weight.String()
	}
	return strings.Join(parts, " ")
}

func share(g admin.Group) string {
	if g.ObservedShare == nil {
		return "-"
	}
	return fmt.Sprintf("%.2f", *g.ObservedShare)
}

func health(t admin.Target) string {
	text := clean(t.State)
	if t.EjectedUntil != nil {
		text += " (ejected until " + t.EjectedUntil.Local().Format(time.TimeOnly) + ")"
	}
	if t.LastError != "" && t.State != "healthy" {
		text += ": " + clean(t.LastError)
	}
	return text
}

func latency(t admin.Target) string {
	if t.LatencyMS == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f ms", t.LatencyMS)
}

func stamp(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05") }

// Clean is text from the network as it may reach a terminal: without control characters.
func Clean(s string) string { return clean(s) }

// clean drops control characters, among them those that move a terminal's cursor or change its colours.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return -1
		}
		return r
	}, s)
}
