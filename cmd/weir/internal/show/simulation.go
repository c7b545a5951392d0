package show

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/valor-ivx/weir/proxy/server"
)

// Simulation prints what limits would have done to the requests of a log.
func Simulation(w io.Writer, s *server.Simulation) {
	fmt.Fprintf(w, "%d lines, %d requests", s.Lines, s.Requests)
	if s.Requests > 0 {
		fmt.Fprintf(w, " from %s to %s", instant(s.First), instant(s.Last))
	}
	fmt.Fprintf(w, "\nrefused: %d (%s); the log has %d\n", s.Limited, percent(s.Limited, s.Requests), s.Logged)
	skipped(w, s.Skipped)
	for _, l := range s.Limits {
		simulated(w, l)
	}
	for i, note := range s.Notes {
		if i == 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "note: %s\n", clean(note))
	}
}

func skipped(w io.Writer, s server.Skipped) {
	var parts []string
	for _, c := range []struct {
		n    int
		what string
	}{
		{s.BeforeLimits, "ended before limits are asked"}, {s.NoRoute, "have no route"}, {s.NoClient, "name no client"},
		{s.NotAccess, "are no access lines"}, {s.Unreadable, "are unreadable"},
	} {
		if c.n > 0 {
			parts = append(parts, strconv.Itoa(c.n)+" "+c.what)
		}
	}
	if parts != nil {
		fmt.Fprintf(w, "left out: %s\n", strings.Join(parts, ", "))
	}
}

func simulated(w io.Writer, l server.SimulatedLimit) {
	var what []string
	if l.Rate != "" {
		what = append(what, fmt.Sprintf("%s, %d at once", l.Rate, l.Burst))
	}
	if l.Concurrency > 0 {
		what = append(what, fmt.Sprintf("%d under way", l.Concurrency))
	}
	fmt.Fprintf(w, "\nlimit %s: %s, for each %s\n", clean(l.Name), strings.Join(what, ", "), clean(l.Key))
	if l.Unknown != "" {
		fmt.Fprintf(w, "  unknown: %s\n", clean(l.Unknown))
		return
	}
	over, verb := l.Limited, "limited"
	if l.IsDryRun {
		over, verb = l.DryRun, "over (dry run)"
	}
	fmt.Fprintf(w, "  allowed %d, %s %d (%s)\n", l.Allowed, verb, over, percent(over, l.Allowed+over))
	if over == 0 {
		return
	}
	fmt.Fprintf(w, "  first %s, last %s\n", instant(l.First), instant(l.Last))
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "  KEY\tTIMES\tFIRST\n")
	for _, k := range l.Top {
		times := strconv.Itoa(k.Limited)
		if k.Rough {
			times += " or more"
		}
		fmt.Fprintf(table, "  %s\t%s\t%s\n", clean(k.Key), times, instant(k.First))
	}
	_ = table.Flush() // writes into w, whose errors nobody asks for here either
}

func percent(n, of int) string {
	if of == 0 {
		return "0 %"
	}
	return strconv.FormatFloat(100*float64(n)/float64(of), 'f', 1, 64) + " %"
}

// instant is a time of a log, in UTC as the JSON log has it.
func instant(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05.000Z") }
