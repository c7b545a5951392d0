package show

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
	"unicode/utf8"

	"github.com/valor-ivx/weir/proxy/admin"
)

// Order is what the groups and routes of Top are sorted by.
type Order int

// The orders, in the turn of the key that changes them. ByName is the order of the configuration.
const (
	ByName Order = iota
	ByRequests
	ByErrors
	ByLatency
	orders
)

// Next is the order after o.
func (o Order) Next() Order { return (o + 1) % orders }

// String names the order.
func (o Order) String() string {
	return [orders]string{"name", "requests", "errors", "latency"}[o]
}

// shownErrors is how many failed requests Top has room for.
const shownErrors = 8

// shownRoutes is how many routes, so that they leave room for what follows.
const shownRoutes = 8

// Top prints one frame of a watch. recent are the last failed requests, the newest last.
func Top(w io.Writer, f admin.Frame, recent []admin.RequestError, by Order) {
	s := f.Status
	fmt.Fprintf(w, "%s, %s for %s, generation %d%s\n", clean(s.Version), clean(s.State), f.At.Sub(s.StartedAt).Round(time.Second), s.Generation, lastReload(s.Config.LastReload))
	fmt.Fprintf(w, "%d connections, %s/s new, %s/s refused\n", f.Connections.Open, rate(f.Connections.Accepted), rate(f.Connections.Refused))
	topGroups(w, f, by)
	topTargets(w, s.Services)
	topRoutes(w, f, by)
	for _, sv := range s.Services {
		overlay(w, sv)
		if sv.Rollout != nil {
			Rollout(w, sv.Name, *sv.Rollout)
		}
		breaker(w, sv)
	}
	topLimits(w, f.Limits)
	if len(f.Ended) > 0 {
		parts := make([]string, len(f.Ended))
		for i, e := range f.Ended {
			parts[i] = fmt.Sprintf("%s %s/s", clean(e.Reason), rate(e.PerSecond))
		}
		fmt.Fprintf(w, "ended by weir: %s\n", strings.Join(parts, ", "))
	}
	topCertificates(w, f.Certificates, f.At)
	topErrors(w, recent)
	for _, text := range s.Warnings {
		fmt.Fprintf(w, "warning: %s\n", clean(text))
	}
}

func lastReload(a *admin.ReloadAttempt) string {
	switch {
	case a == nil:
		return ""
	case a.OK:
		return ", last reload " + stamp(a.At)
	default:
		return ", last reload " + stamp(a.At) + " REFUSED"
	}
}

// topGroups prints the groups, each with its rates.
func topGroups(w io.Writer, f admin.Frame, by Order) {
	type line struct {
		group admin.Group
		rates admin.GroupRates
	}
	rates := map[[2]string]admin.GroupRates{}
	for _, r := range f.Groups {
		rates[[2]string{r.Service, r.Group}] = r
	}
	var lines []line
	for _, s := range f.Status.Services {
		for _, g := range s.Groups {
			r := rates[[2]string{s.Name, g.Name}]
			r.Service = s.Name
			lines = append(lines, line{g, r})
		}
	}
	key := func(l line) float64 {
		switch {
		case by == ByRequests:
			return l.rates.Requests
		case by == ByErrors:
			return l.rates.ServerErrors
		case by == ByLatency && l.rates.Latency != nil:
			return l.rates.Latency.P99
		}
		return 0
	}
	slices.SortStableFunc(lines, func(a, b line) int { return cmp.Compare(key(b), key(a)) })
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\nSERVICE\tGROUP\tWEIGHT\tOBSERVED\tSTATE\tREQ/S\t4XX/S\t5XX/S\tLEFT/S\tP50\tP95\tP99\tIN FLIGHT")
	for _, l := range lines {
		r := l.rates
		p := [3]string{"-", "-", "-"}
		if q := r.Latency; q != nil {
			p = [3]string{millis(q.P50), millis(q.P95), millis(q.P99)}
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%d\n", clean(r.Service), clean(l.group.Name), l.group.Weight, share(l.group), clean(l.group.State),
			rate(r.Requests), rate(r.ClientErrors), rate(r.ServerErrors), rate(r.Left), p[0], p[1], p[2], r.InFlight)
	}
	_ = t.Flush()
}

func topTargets(w io.Writer, list []admin.Service) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\nTARGET\tOF\tHEALTH\tIN FLIGHT\tLATENCY\tFAILED")
	for _, s := range list {
		for _, g := range s.Groups {
			for _, target := range g.Targets {
				fmt.Fprintf(t, "%s\t%s/%s\t%s\t%d\t%s\t%d\n", clean(target.Address), clean(s.Name), clean(g.Name), health(target), target.InFlight, latency(target), target.Failures)
			}
		}
	}
	_ = t.Flush()
}

// topRoutes prints the busiest routes of a frame. Sorted by name they are still the busiest, in an order that stays.
func topRoutes(w io.Writer, f admin.Frame, by Order) {
	list := slices.Clone(f.Routes)
	key := func(r admin.RouteRates) float64 {
		switch {
		case by == ByErrors:
			return r.ServerErrors
		case by == ByLatency && r.Latency != nil:
			return r.Latency.P95
		case by == ByLatency:
			return -1
		}
		return r.Requests
	}
	slices.SortStableFunc(list, func(a, b admin.RouteRates) int { return cmp.Compare(key(b), key(a)) })
	shown := list[:min(len(list), shownRoutes)]
	if by == ByName {
		slices.SortFunc(shown, func(a, b admin.RouteRates) int { return cmp.Compare(a.Route, b.Route) })
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\nROUTE\tREQ/S\t4XX/S\t5XX/S\tFAILED\tLEFT/S\tP50\tP95")
	for _, r := range shown {
		failed, p := "-", [2]string{"-", "-"}
		if r.Requests > 0 {
			failed = fmt.Sprintf("%.1f %%", 100*r.ServerErrors/r.Requests)
		}
		if q := r.Latency; q != nil {
			p = [2]string{millis(q.P50), millis(q.P95)}
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", cut(clean(r.Route), 40), rate(r.Requests), rate(r.ClientErrors), rate(r.ServerErrors), failed, rate(r.Left), p[0], p[1])
	}
	_ = t.Flush()
	if more := len(list) - len(shown) + f.RoutesOmitted; more > 0 {
		fmt.Fprintf(w, "and %d routes more\n", more)
	}
	fmt.Fprintln(w)
}

func topLimits(w io.Writer, list []admin.LimitRates) {
	for _, l := range list {
		fmt.Fprintf(w, "limit %s: %s/s allowed, %s/s refused", clean(l.Name), rate(l.Allowed), rate(l.Limited))
		if l.DryRun > 0 {
			fmt.Fprintf(w, ", %s/s would be", rate(l.DryRun))
		}
		fmt.Fprintln(w)
	}
}

func topCertificates(w io.Writer, s admin.CertificateSummary, now time.Time) {
	if len(s.First) == 0 {
		return
	}
	c := s.First[0]
	fmt.Fprintf(w, "%d certificates, first to look at: %s, %s, expires %s\n", s.Total, clean(c.Subject), clean(c.State), expiry(c, now))
}

func topErrors(w io.Writer, recent []admin.RequestError) {
	if len(recent) == 0 {
		return
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\nFAILED AT\tSTATUS\tREQUEST\tGROUP\tTARGET\tREASON")
	for _, e := range slices.Backward(recent[max(0, len(recent)-shownErrors):]) {
		why := e.Reason
		if why == "" {
			why = "upstream's answer"
		}
		fmt.Fprintf(t, "%s\t%d\t%s %s\t%s\t%s\t%s\n", e.At.Local().Format(time.TimeOnly), e.Status, clean(e.Method), cut(clean(e.Path), 40),
			orDash(e.Group), orDash(e.Target), clean(why))
	}
	_ = t.Flush()
}

// cut shortens to n characters.
func cut(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n-1]) + "~"
}

// rate is a number per second with as many digits as one reads at a glance.
func rate(perSecond float64) string {
	switch {
	case perSecond == 0:
		return "0"
	case perSecond < 10:
		return fmt.Sprintf("%.1f", perSecond)
	default:
		return fmt.Sprintf("%.0f", perSecond)
	}
}

func millis(ms float64) string {
	if ms < 10 {
		return fmt.Sprintf("%.2f ms", ms)
	}
	return fmt.Sprintf("%.0f ms", ms)
}
