package show

import (
	"fmt"
	"io"

	"github.com/valor-ivx/weir/proxy/header"
	"github.com/valor-ivx/weir/proxy/server"
)

// HeaderReport is what audit headers found.
type HeaderReport struct {
	*server.HeaderAudit
	Live []LiveAnswer `json:"live"`
}

// LiveAnswer is an answer of the running weir beside what the configuration says of it.
type LiveAnswer struct {
	URL       string   `json:"url"`
	Status    int      `json:"status"`
	Listener  string   `json:"listener"`
	Route     string   `json:"route"`
	Redirects bool     `json:"redirects"`
	Differs   []string `json:"differs"`
	header.Grade
}

// Headers prints a report. Answers with the same policy on the same kind of listener are the same, and are shown once with all their routes.
func Headers(w io.Writer, r HeaderReport) {
	shown := map[string]bool{}
	for _, a := range r.Answers {
		kind := a.Policy + fmt.Sprint(a.TLS, a.Redirects)
		if shown[kind] {
			continue
		}
		shown[kind] = true
		for _, b := range r.Answers {
			if b.Policy+fmt.Sprint(b.TLS, b.Redirects) == kind {
				fmt.Fprintf(w, "listener %s, %s\n", clean(b.Listener), routeText(b.Route))
			}
		}
		fmt.Fprintf(w, "  headers %s", clean(a.Policy))
		if a.Redirects {
			fmt.Fprintf(w, ", on redirects to https\n")
		} else {
			fmt.Fprintf(w, ": grade %s, %d points\n", a.Letter, a.Score)
		}
		headerFields(w, "  ", a.Fields)
		if a.OnError != nil {
			fmt.Fprintf(w, "  on errors of weir's own:\n")
			headerFields(w, "  ", a.OnError)
		}
		if !a.Redirects {
			findings(w, a.Grade)
		}
		fmt.Fprintln(w)
	}
	for _, l := range r.Live {
		fmt.Fprintf(w, "live %s: %d, listener %s, %s, grade %s, %d points\n", clean(l.URL), l.Status, clean(l.Listener), routeText(l.Route), l.Letter, l.Score)
		for _, d := range l.Differs {
			fmt.Fprintf(w, "  not as configured: %s\n", clean(d))
		}
		findings(w, l.Grade)
	}
}

func routeText(route string) string {
	if route == "-" {
		return "no route (400, 404, 408)"
	}
	return "route " + clean(route)
}

func headerFields(w io.Writer, indent string, fields []header.Field) {
	for _, f := range fields {
		fmt.Fprintf(w, "%s  %s: %s\n", indent, clean(f.Name), clean(f.Value))
	}
}

func findings(w io.Writer, g header.Grade) {
	for _, f := range g.Findings {
		if f.Advice != "" {
			fmt.Fprintf(w, "  %+4d %s %s. Change: %s\n", f.Points, f.Field, f.Says, f.Advice)
		}
	}
}
