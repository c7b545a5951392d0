package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/valor-ivx/weir/cmd/weir/internal/show"
	"github.com/valor-ivx/weir/proxy/header"
	"github.com/valor-ivx/weir/proxy/server"
)

func (sh *shell) auditVerb() *cobra.Command {
	return sh.family("audit", "Judge what a configuration does for the safety of clients", sh.auditHeadersVerb())
}

// auditOptions are what audit headers can be told.
type auditOptions struct {
	config, minGrade string
	urls             []string
	asJSON           bool
}

func (sh *shell) auditHeadersVerb() *cobra.Command {
	var o auditOptions
	cmd := &cobra.Command{
		Use:   "headers -c FILE",
		Short: "List the security fields that answers have, by listener and route, with a grade and what to change",
		Long: "List the security fields that answers have, by listener and route, with a grade and what to change.\n\n" +
			"The fields are those of an answer whose upstream says none of its own; weir's own errors have the same. Grades are by the rules of Mozilla's HTTP\n" +
			"Observatory that look at fields alone. With --url the live answer is fetched too, graded, and held to the configuration.\n" +
			"Exit code 1: a grade is below --min-grade, or a live answer is not what the configuration says.",
		Example: "  weir audit headers -c weir.toml --min-grade B\n  weir audit headers -c weir.toml --url https://example.com/ --json",
		Args:    noArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return sh.auditHeaders(cmd.Context(), o) },
	}
	f := cmd.Flags()
	f.StringVarP(&o.config, "config", "c", defaultConfig, "configuration `FILE`")
	f.StringVar(&o.minGrade, "min-grade", "", "the least `GRADE`, A+ to F, that is good enough")
	f.StringArrayVar(&o.urls, "url", nil, "a `URL` to fetch from the running weir, more than once if need be")
	f.BoolVar(&o.asJSON, "json", false, "print JSON")
	return cmd
}

func (sh *shell) auditHeaders(ctx context.Context, o auditOptions) error {
	least := slices.Index(header.Letters(), strings.ToUpper(o.minGrade))
	if least < 0 && o.minGrade != "" {
		return usageError{fmt.Errorf("--min-grade %q: it is one of %s", o.minGrade, strings.Join(header.Letters(), " "))}
	}
	audit, err := server.AuditHeaders(o.config)
	if err != nil {
		return err
	}
	report := show.HeaderReport{HeaderAudit: audit, Live: []show.LiveAnswer{}}
	for _, text := range o.urls {
		live, err := fetchFields(ctx, audit, text)
		if err != nil {
			return err
		}
		report.Live = append(report.Live, live)
	}
	if o.asJSON {
		out := json.NewEncoder(sh.stdout)
		out.SetIndent("", "  ")
		err = out.Encode(report)
	} else {
		show.Headers(sh.stdout, report)
	}
	if err == nil && !goodEnough(report, least) {
		return exitError(exitInvalid)
	}
	return err
}

// goodEnough holds grades to the least one, -1 for any, and live answers to the configuration.
func goodEnough(r show.HeaderReport, least int) bool {
	below := func(g header.Grade) bool { return least >= 0 && slices.Index(header.Letters(), g.Letter) > least }
	return !slices.ContainsFunc(r.Answers, func(a server.AuditedAnswer) bool { return !a.Redirects && below(a.Grade) }) &&
		!slices.ContainsFunc(r.Live, func(l show.LiveAnswer) bool { return len(l.Differs) > 0 || !l.Redirects && below(l.Grade) })
}

// fetchFields asks for a URL once, follows nothing, and judges what came.
func fetchFields(ctx context.Context, audit *server.HeaderAudit, text string) (live show.LiveAnswer, err error) {
	u, err := url.Parse(text)
	if err != nil {
		return live, usageError{fmt.Errorf("--url: %w", err)}
	}
	expected, err := audit.Find(u)
	if err != nil {
		return live, usageError{fmt.Errorf("--url: %w", err)}
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, text, nil)
	if err != nil {
		return live, usageError{fmt.Errorf("--url: %w", err)}
	}
	c := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := c.Do(req)
	if err != nil {
		return live, fmt.Errorf("fetch %s: %w", text, errors.Unwrap(err)) // a url.Error, which says the URL once more
	}
	_ = res.Body.Close() // the head is all that is wanted
	var fields []header.Field
	for name, values := range res.Header {
		for _, v := range values {
			fields = append(fields, header.Field{Name: name, Value: v})
		}
	}
	return show.LiveAnswer{
		URL: text, Status: res.StatusCode, Route: expected.Route, Listener: expected.Listener, Redirects: expected.Redirects,
		Differs: append([]string{}, expected.Differs(res.Header)...), Grade: header.Judge(fields, u.Scheme == "https"),
	}, nil
}
